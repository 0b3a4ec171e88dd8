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
