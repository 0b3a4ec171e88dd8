"""What the documents say is so: paths exist, Python blocks run, names are exported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
PATH = re.compile(r"`((?:src|tests|docs|benchmarks|\.ci)/[\w./-]*|[\w]+\.(?:md|txt|toml))`")
MADE_BY_RUNS = {"labels.csv", "record.json"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_named_in_prose_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(PATH.findall(text)) - MADE_BY_RUNS
    missing = [path for path in sorted(named) if not (ROOT / path).exists()]
    assert not missing


def test_architecture_names_every_stage():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "cliplab"
    stages = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    stages -= {"__init__", "__main__", "__pycache__", "py"}
    assert not [stage for stage in sorted(stages) if not re.search(rf"\b{stage}\b", text)]


def test_readme_lists_the_public_names():
    import cliplab

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(cliplab.__all__) <= 20
    assert not [name for name in cliplab.__all__ if f"`{name}`" not in text]
    assert all(getattr(cliplab, name) is not None for name in cliplab.__all__)


def test_readme_names_commands_and_options_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    calls = re.findall(r"^ *(?:\$ )?cliplab +(.+)$", text, re.MULTILINE)
    assert calls
    for call in calls:
        command = " ".join(call.split()[: 2 if call.startswith("train") else 1])
        assert f"## cliplab {command}" in reference, call
        section = reference.partition(f"## cliplab {command}\n")[2].partition("\n## ")[0]
        for option in re.findall(r"(?<=\s)--[a-z-]+", call):
            assert option in section, call


@pytest.mark.slow
def test_readme_python_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    environment = {**os.environ, "CLIPLAB_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert run.returncode == 0, run.stderr
