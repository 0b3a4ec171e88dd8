"""Download and prepare killed at random moments end in the same bytes as undisturbed ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kills.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
@pytest.mark.slow
def test_fifty_kills_and_a_last_run_end_in_the_same_bytes(tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path), "50", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr + (tmp_path / "said.txt").read_text()[-2000:]
    found = json.loads(done.stdout)
    assert found["kills"] == 50, found
    assert found["equal"] == found["ends"] >= 1, found
    assert min(found["where"][moment] for moment in ("download", "prepare")) >= 5, found
