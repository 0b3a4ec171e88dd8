"""Import does no work, and `--help` answers at once: both in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("torch", "open_clip", "torchvision", "timm", "sklearn", "datasets", "pyarrow", "pandas")

AUDIT = """
import json, pkgutil, sys
import numpy, scipy.stats, jaxtyping, torch, open_clip, sklearn.linear_model, torchvision
import filelock, PIL.Image, PIL.ImageCms, safetensors.torch, pyarrow.parquet
import jsonschema, rich, typer, threading
import torch.utils.data
done, watching = [], True
def watch(event, args):
    if not watching:
        return
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        if not str(args[0]).endswith(".pyc") and "__pycache__" not in str(args[0]):
            done.append(f"{event} {args[0]}")
    if event in ("socket.connect", "subprocess.Popen", "os.putenv", "os.mkdir", "os.rename"):
        if "__pycache__" not in str(args):
            done.append(f"{event} {args}")
sys.addaudithook(watch)
import cliplab
names = [m.name for m in pkgutil.walk_packages(cliplab.__path__, "cliplab.")]
for name in names:
    if not name.endswith("__main__"):
        __import__(name)
watching = False
threads = threading.active_count()
print(json.dumps({"did": done, "modules": len(names), "threads": threads}))
"""


def _python(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_importing_every_module_does_no_work():
    found = json.loads(_python(AUDIT).splitlines()[-1])
    assert found["modules"] > 20
    assert found["did"] == []
    assert found["threads"] == 1


def test_import_cliplab_is_light():
    code = f"import cliplab, sys; print([m for m in {HEAVY} if m in sys.modules])"
    assert _python(code).strip() == "[]"


def test_help_is_quick_and_imports_no_torch():
    code = f"""
import resource, sys
from cliplab.cli import main
try:
    main(["--help"])
except SystemExit as stop:
    assert not stop.code
used = resource.getrusage(resource.RUSAGE_SELF)
print()
print([m for m in {HEAVY} if m in sys.modules], used.ru_utime + used.ru_stime)
"""
    last = _python(code).splitlines()[-1]
    heavy, seconds = last.rsplit(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 0.5
