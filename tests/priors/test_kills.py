"""A prior's training that is killed again and again ends in the weights of the undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cliplab.training.checkpoints import FILE

KILLS = 8

# Imports are done once; each training is a fork.
SERVER = """
import os, sys, traceback
import torch
import torch.utils.tensorboard
from tests.tiny_prior import CODES, NOTES, toy_lessons
from cliplab.priors import training
from cliplab.priors.config import PriorConfig

torch.set_num_threads(1)
real = training.LoopConfig
training.LoopConfig = lambda **s: real(**s, checkpoint_seconds=0.0)
config = PriorConfig(
    condition="class", width=16, layers=2, heads=2, steps=100, batch_size=16, device="cpu",
    memory="8GiB", decoder=sys.argv[1],
)

def run(folder):
    try:
        training.train_on_lessons(
            toy_lessons(), None, config, folder, codes=CODES, identity={}, notes=NOTES
        )
    except BaseException:
        traceback.print_exc()
        return 1
    return 0

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os._exit(run(line.strip()))
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Trainings:
    """Starts trainings, one at a time."""

    def __init__(self, decoder):
        root = Path(__file__).resolve().parents[2]
        path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, decoder],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self, folder) -> int:
        self.server.stdin.write(f"{folder}\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def status(self) -> int:
        """Of the training that was started last, when it has ended."""
        return int(self.server.stdout.readline())

    def close(self):
        self.server.stdin.close()
        assert self.server.wait(timeout=60) == 0
        self.server.stdout.close()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill_after_a_checkpoint(pid, path, chance) -> None:
    """Kill it some milliseconds after it has written another checkpoint."""
    before = path.stat().st_mtime_ns if path.exists() else None
    while is_running(pid):
        if path.exists() and path.stat().st_mtime_ns != before:
            time.sleep(chance.uniform(0.0, 0.1))
            break
        time.sleep(0.002)
    if is_running(pid):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["autoregressive", "masked"])
def test_killed_again_and_again_it_ends_in_the_same_weights(tmp_path, decoder):
    trainings = Trainings(decoder)
    trainings.start(tmp_path / "whole")
    assert trainings.status() == 0
    weights = (tmp_path / "whole" / "prior.safetensors").read_bytes()
    chance, kills, folder = random.Random(0), 0, tmp_path / "cut"
    while kills < KILLS:
        pid = trainings.start(folder)
        kill_after_a_checkpoint(pid, folder / "training" / FILE, chance)
        status = trainings.status()
        if not os.WIFSIGNALED(status):
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        kills += 1
    assert kills >= 3
    trainings.start(folder)
    assert trainings.status() == 0
    assert (folder / "prior.safetensors").read_bytes() == weights
    trainings.close()
