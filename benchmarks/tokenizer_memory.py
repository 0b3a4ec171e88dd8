"""Does a tokenizer's training stay within the memory it is given? Random configurations.

Each trains a few steps on pictures of noise in a process of its own, with a random budget; where
the budget is refused as too little, it is run again with what the refusal says would do. Printed:
the budget, the estimate, the peak resident memory of the process as the system counts it, and
estimate / peak. Exit 1 if a peak is above its budget or an estimate more than 15 % off.

    python benchmarks/tokenizer_memory.py [--count 20] [--seed 0] [--device cpu]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

OFF = 0.15
PICTURES = 256
MOST_WORK = 3e9  # larger ones take minutes a step on a CPU


class Noise:
    """Grey pictures of noise."""

    def __init__(self, size: int) -> None:
        self.size = size

    def open(self, rows: Any) -> Any:
        """Refuse: there are no bytes."""
        raise OSError("there are pixels alone")

    def pixels(self, rows: Any) -> np.ndarray:
        """(n, H, W) uint8."""
        chance = np.random.default_rng(0)
        shape = (len(rows), self.size, self.size)
        return chance.integers(0, 256, shape, dtype=np.uint8)


def child(settings: dict[str, Any]) -> None:
    """Train by one configuration; print what was estimated and what was taken."""
    from cliplab.nouns import TRAIN, Dataset, Task
    from cliplab.tokenizers import training
    from cliplab.tokenizers.config import TokenizerConfig
    from cliplab.training.memory import TooLittleMemory, peak_resident_memory

    plain = training.plan_training
    found: dict[str, Any] = {}

    def planned(*args: Any, **kwargs: Any) -> Any:
        plan, estimate = plain(*args, **kwargs)
        found.update(plan=plan.as_json(), estimate=estimate.total)
        return plan, estimate

    training.plan_training = planned
    dataset = Dataset(
        name="noise",
        tasks={"none": Task("none", ("a", "b"))},
        ids=np.array([f"{i:04}" for i in range(PICTURES)], dtype=object),
        labels={"none": np.arange(PICTURES) % 2},
        splits={"none": np.array([TRAIN] * PICTURES, dtype=object)},
        digests=np.array([f"{i:064x}" for i in range(PICTURES)], dtype=object),
        source=Noise(settings["size"]),
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            training.train_tokenizer(dataset, TokenizerConfig(**settings), Path(folder) / "t")
        except TooLittleMemory as error:
            amount = re.search(r"Give --memory (\S+),", str(error))
            found = {"wanted": amount[1] if amount else ""}
    if settings["device"] != "cpu":
        import torch

        found["peak"] = torch.cuda.max_memory_reserved()
    else:
        found["peak"] = peak_resident_memory()
    print(json.dumps(found))


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Train in a process of its own; with what would do, where the budget is refused."""
    call = [sys.executable, __file__, "--child", json.dumps(settings)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "wanted" in found:
        return {**run({**settings, "memory": found["wanted"]}), "refused": settings["memory"]}
    return {**found, "memory": settings["memory"]}


def configurations(count: int, seed: int, device: str) -> list[dict[str, Any]]:
    """Draw configurations."""
    chance = np.random.default_rng(seed)
    floor = 0.2 if device != "cpu" else 0.8  # GiB; the imports alone are 0.65
    made: list[dict[str, Any]] = []
    while len(made) < count:
        quantizer = str(chance.choice(["gumbel", "gumbel_st", "vq", "fsq"]))
        codes = [512, 1000] if quantizer == "fsq" else [128, 512, 1024, 2048, 8192]
        drawn = {
            "size": int(chance.choice([16, 24, 32, 48, 64])),
            "channels": int(chance.choice([1, 3])),
            "width": int(chance.choice([16, 32, 48, 64, 96])),
            "groups": int(chance.integers(2, 5)),
            "blocks": int(chance.integers(1, 3)),
            "quantizer": quantizer,
            "codes": int(chance.choice(codes)),
            "batch_size": int(chance.choice([16, 32, 64])),
            "steps": 2,
            "memory": f"{floor + float(chance.exponential(0.2)):.2f}GiB",
            "device": device,
        }
        grid = drawn["size"] >> (drawn["groups"] - 1)
        weight = drawn["size"] ** 2 * drawn["width"] ** 2 * drawn["blocks"]
        if (weight + grid**2 * drawn["codes"] * drawn["width"]) * drawn["batch_size"] < MOST_WORK:
            made.append(drawn)
    return made


def main() -> int:
    """Run all, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--child")
    given = parser.parse_args()
    if given.child:
        child(json.loads(given.child))
        return 0
    from cliplab.training.memory import in_words, parse_bytes

    print(f"{'budget':>10} {'estimate':>10} {'peak':>10} {'est/peak':>8}  configuration")
    bad = 0
    for settings in configurations(given.count, given.seed, given.device):
        found = run(settings)
        ratio, budget = found["estimate"] / found["peak"], parse_bytes(found["memory"])
        fails = found["peak"] > budget or abs(ratio - 1) > OFF
        bad += fails
        sizes = (in_words(n) for n in (budget, found["estimate"], found["peak"]))
        names = ("size", "channels", "width", "groups", "blocks", "quantizer", "codes")
        shown = " ".join(str(settings[n]) for n in names)
        plan = f"{found['plan']['micro_batch']} of {settings['batch_size']}"
        told = "+".join(found["plan"]["techniques"]) or "plain"
        note = f"  ({found['refused']} refused)" if "refused" in found else ""
        columns = " ".join(f"{size:>10}" for size in sizes)
        mark = "  FAILS" if fails else ""
        print(f"{columns} {ratio:8.2f}  {shown}; {plan}, {told}{note}{mark}", flush=True)
    print(f"{given.count - bad} of {given.count} within budget and {OFF:.0%}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
