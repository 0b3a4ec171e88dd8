"""Run by `test_processes.py` in a process of its own: extraction that is killed, or runs twice.

    python processes.py kills HOME SEED     killed ten times at random moments, then left alone
    python processes.py two HOME            two at once

It forks, so that PyTorch is imported once; nothing has used it before the fork. Prints JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import PIL.Image  # noqa: F401
import pyarrow.parquet  # noqa: F401
import torch  # noqa: F401

import cliplab.embeddings.plan
from cliplab.embeddings.extract import ExtractConfig, fill

TESTS = Path(__file__).resolve().parents[1]


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"loaded_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SUITE, HERE = load(TESTS / "conftest.py"), load(TESTS / "embeddings" / "conftest.py")


DATASET = HERE.dataset(90, bad=(4, 33))
cliplab.embeddings.plan.PART = 8


class ToldEncoder(SUITE.ToyEncoder):
    """Tells a pipe of each batch, and takes a while over it, so that a kill finds it at work."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self.pipe = pipe

    def encode_pixels(self, pixels):
        os.write(self.pipe, bytes([len(pixels)]))
        time.sleep(0.004)
        return super().encode_pixels(pixels)


def start(home: Path) -> tuple[int, int]:
    """Extract in a child; gives its id and a pipe of one byte a batch: how many were encoded."""
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        return child, read
    status = 1
    try:
        fill(DATASET, ToldEncoder(write), config=ExtractConfig(batch_size=3), home=home)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def n_parts(home: Path) -> int:
    return len(list(home.rglob("part-*.parquet")))


def kills(home: Path, seed: int) -> dict:
    chance = random.Random(seed)
    n_killed, parts = 0, [0]
    for attempt in range(10):
        child, pipe = start(home)
        batches = chance.randint(1, 6)
        while batches and os.read(pipe, 1):  # nothing is read when the child has ended
            batches -= 1
        while attempt % 2 and n_parts(home) == parts[-1] and os.read(pipe, 1):
            pass  # every other time, not before another part is there
        time.sleep(chance.uniform(0, 0.015))
        os.kill(child, signal.SIGKILL)
        n_killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        os.close(pipe)
        parts.append(n_parts(home))
    child, pipe = start(home)
    with os.fdopen(pipe, "rb") as told:
        encoded = sum(told.read())
    return {
        "killed": n_killed,
        "parts": parts,
        "encoded_last": encoded,
        "status": os.waitpid(child, 0)[1],
    }


def two(home: Path) -> dict:
    children = [start(home), start(home)]
    encoded = []
    for _, pipe in children:
        with os.fdopen(pipe, "rb") as told:
            encoded.append(sum(told.read()))
    statuses = [os.waitpid(child, 0)[1] for child, _ in children]
    return {"encoded": sorted(encoded), "statuses": statuses}


if __name__ == "__main__":
    what, home, *rest = sys.argv[1:]
    print(json.dumps(kills(Path(home), int(rest[0])) if what == "kills" else two(Path(home))))
