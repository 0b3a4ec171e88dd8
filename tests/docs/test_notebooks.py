"""The notebooks run from top to bottom, and are committed as they ran."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from tests.docs.documents import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 1_000_000  # bytes


def test_there_are_three():
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["01_prepare", "02_evaluate_clip", "03_draw_sketches"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_as_it_ran(path):
    text = path.read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert len(text.encode()) < LARGEST
    for place in ("/work/", "/home/", "/root/", "/tmp/", "site-packages"):
        assert place not in text


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path, tmp_path):
    shutil.copy(path, tmp_path)
    environment = {**os.environ, "CLIPLAB_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    plain = ["-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=500", *plain, path.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed" in run.stdout
