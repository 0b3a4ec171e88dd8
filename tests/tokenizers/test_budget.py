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
from pathlib import Path
from cliplab.datasets.family import open_dataset
from cliplab.tokenizers.config import TokenizerConfig
from cliplab.tokenizers.training import train_tokenizer
from cliplab.training.memory import peak_resident_memory
settings = json.loads(sys.argv[1])
train_tokenizer(open_dataset("digits").dataset, TokenizerConfig(**settings), Path(sys.argv[2]))
print(peak_resident_memory())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memory", "settings"),
    [
        ("1000MiB", {"size": 32, "groups": 3, "width": 64, "batch_size": 64, "quantizer": "vq"}),
        ("1030MiB", {"size": 32, "groups": 4, "width": 64, "batch_size": 32, "codes": 2048,
                    "quantizer": "gumbel"}),
        ("1200MiB", {"size": 32, "groups": 2, "width": 48, "batch_size": 64, "blocks": 2,
                     "channels": 3, "quantizer": "fsq"}),
    ],
)  # fmt: skip
def test_a_training_stays_within_its_memory(tmp_path, memory, settings):
    given = {**settings, "memory": memory, "steps": 3, "device": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(given), str(tmp_path / "out")],
        env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Batches of" in done.stderr  # the plan was told
    assert int(done.stdout) <= parse_bytes(memory)


TIMED = """
import sys
from pathlib import Path
import numpy as np
from cliplab.datasets.family import open_dataset
from cliplab.tokenizers import training
from cliplab.tokenizers.config import TokenizerConfig
from cliplab.training.memory import Plan, resident_memory
out = Path(sys.argv[1])
config = TokenizerConfig(size=8, groups=3, blocks=3, width=128, codes=16, steps=8, batch_size=1)
recipe = training.resolve(config, 8, True)
digits = open_dataset("digits").dataset
pixels, _ = training.open_pixels(digits, np.arange(64), size=(8, 8), channels=1, folder=out)
shown = np.empty((0, 1, 8, 8), np.uint8)
job = training._Job(recipe, pixels, shown, (), Plan(1), "cpu", out, {})
training._warm_up(recipe)
def timed(minutes, take):
    take(0)
    print(resident_memory())
    return 5
training.steps_in = timed
print(resident_memory())
training._steps_in(job, 1.0)
print(resident_memory())
"""


@pytest.mark.slow
def test_what_was_timed_leaves_no_memory_behind(tmp_path):
    """Ten million parameters with gradients, optimiser and average are some 200 MB."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED, str(tmp_path)],
        env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, held, after = map(int, done.stdout.split())
    assert held - before > 100 << 20
    assert after - before < (held - before) / 4
