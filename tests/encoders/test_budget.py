"""Training a CLIP in a stated memory: its peak as the system counts it, in its own process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from cliplab.training.memory import parse_bytes

TOWERS = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 32, "layers": 6, "width": 192, "head_width": 32, "patch_size": 4},
    "text_cfg": {
        "context_length": 24, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2
    },
}  # fmt: skip
SCRIPT = """
import sys
from pathlib import Path
from cliplab.datasets.family import open_dataset
from cliplab.encoders import contrastive
from cliplab.encoders.contrastive import ContrastiveConfig, train_clip
from cliplab.training.memory import peak_resident_memory
real = contrastive._loop
def short(config, steps_per_epoch):
    return real(config, 2)
contrastive._loop = short
config = ContrastiveConfig(
    model=sys.argv[1], batch_size=128, epochs=1, device="cpu", memory=sys.argv[3]
)
train_clip(open_dataset("digits").dataset, config, Path(sys.argv[2]))
print(peak_resident_memory())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memory", "expected"), [("1200MiB", "recomputed: nothing"), ("2GiB", "in 1 part of")]
)
def test_a_training_stays_within_its_memory(tmp_path, memory, expected):
    towers = tmp_path / "towers.json"
    towers.write_text(json.dumps(TOWERS))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(towers), str(tmp_path / "out"), memory],
        env={**os.environ, "CLIPLAB_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert expected in done.stderr
    told = re.search(r"peak, estimated\s+(\S+ .iB)", done.stderr)
    assert told is not None
    assert int(done.stdout) <= parse_bytes(memory)
    assert parse_bytes(told[1]) == pytest.approx(int(done.stdout), rel=0.15)
