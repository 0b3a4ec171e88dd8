"""A training's peak resident memory against what was stated, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cliplab.training.memory import parse_bytes

SCRIPT = """
import json, sys
import numpy as np
from cliplab.priors.config import PriorConfig
from cliplab.priors.steps import Lessons
from cliplab.priors.training import train_on_lessons
from cliplab.training.memory import peak_resident_memory
chance = np.random.default_rng(0)
lessons = Lessons(
    chance.integers(0, 1024, (400, 8, 8)), np.eye(30, dtype=np.float32),
    chance.integers(0, 30, 400), np.ones(400, dtype=np.int64),
)
notes = {"class_names": [], "tokenizer": {}, "encoder": None, "prompts": []}
train_on_lessons(
    lessons, lessons, PriorConfig(**json.loads(sys.argv[1])), sys.argv[2], codes=1024,
    identity={}, notes=notes,
)
print(peak_resident_memory())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memory", "settings"),
    [
        ("1000MiB", {"preset": "cpu", "batch_size": 128}),
        ("1050MiB", {"preset": "small", "batch_size": 64, "layers": 6}),
        ("1000MiB", {"preset": "cpu", "batch_size": 128, "decoder": "masked"}),
    ],
)
def test_a_training_stays_within_its_memory(tmp_path, memory, settings):
    given = {**settings, "condition": "class", "memory": memory, "steps": 2, "device": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(given), str(tmp_path / "out")],
        env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "Batches of" in line]
    assert "in 1 part" not in told[0]  # it had to be cut
    assert int(done.stdout) <= parse_bytes(memory)
