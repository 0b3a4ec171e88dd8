"""A tokenizer's training killed thirty times ends in the weights of the undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from cliplab.training.checkpoints import FILE

KILLS = 30
STEPS = 150

# Imports are done once; each training is a fork, so that thirty of them take no minutes.
SERVER = """
import os, sys, traceback
from pathlib import Path
import torch
import torch.utils.tensorboard
from cliplab.datasets.family import open_dataset
from cliplab.tokenizers import training
from cliplab.tokenizers.config import TokenizerConfig

torch.set_num_threads(1)
real = training.LoopConfig
training.LoopConfig = lambda **s: real(**s, checkpoint_seconds=0.0)
config = TokenizerConfig(
    size=8, groups=2, width=16, codes=64, steps=int(sys.argv[1]), batch_size=16, device="cpu",
    memory="8GiB", quantizer="vq",
)
digits = open_dataset("digits").dataset

def run(folder):
    try:
        training.train_tokenizer(digits, config, Path(folder))
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

    def __init__(self, home):
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(STEPS)],
            env={**os.environ, "CLIPLAB_HOME": str(home)},
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


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def changed(path):
    """A question: was the file written since?"""

    def stamp():
        try:
            return path.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    before = stamp()
    return lambda: stamp() != before


def wait_for(pid, happened, pause) -> None:
    while is_running(pid) and not happened():
        time.sleep(pause)


def kill(pid, folder, how, chance) -> None:
    """Kill it at some moment of its start, of its steps, or of a checkpoint's writing."""
    under_way = folder / "training"
    if how == "at its start":
        time.sleep(chance.uniform(0.0, 2.0))
    else:
        wait_for(pid, changed(under_way / FILE), 0.002)
        time.sleep(chance.uniform(0.0, 0.1))
    if how == "as it writes":
        wait_for(pid, lambda: any(under_way.glob(f".{FILE}.*.part")), 0.0)
    if is_running(pid):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_killed_thirty_times_it_ends_in_the_same_weights(tmp_path):
    trainings = Trainings(tmp_path / "home")
    trainings.start(tmp_path / "whole")
    assert trainings.status() == 0
    weights = (tmp_path / "whole" / "tokenizer.safetensors").read_bytes()
    chance, kills, cut_short, number = random.Random(0), 0, 0, 0
    while kills < KILLS:
        folder = tmp_path / f"cut-{number}"
        how = ("as it writes", "in a step", "as it writes", "in a step", "at its start")[kills % 5]
        pid = trainings.start(folder)
        kill(pid, folder, how, chance)
        status = trainings.status()
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            kills += 1
            cut_short += any((folder / "training").glob(f".{FILE}.*.part"))
        else:
            assert status == 0
            assert (folder / "tokenizer.safetensors").read_bytes() == weights
            number += 1
    trainings.start(folder)
    assert trainings.status() == 0
    assert (folder / "tokenizer.safetensors").read_bytes() == weights
    assert cut_short >= 5  # a checkpoint was half written
    assert not list((tmp_path / "cut-0").rglob("*.part"))
    trainings.server.stdin.close()
    assert trainings.server.wait(timeout=60) == 0
    trainings.server.stdout.close()
