"""Training a tokenizer: pictures a second and memory a picture, beside two others, in one run.

Beside DALLE-pytorch's `DiscreteVAE` (1.6.6, in an environment that `dalle_pytorch_peer.py` makes)
at the same size, tokens, vocabulary and about as many parameters; and beside DALL-E's own networks
trained plainly, as one would write it: PyTorch's Gumbel-softmax, AdamW, nothing recomputed, the
allocator as it comes. All see pictures of noise, in batches of the same size, on as many threads.

Peak memory a picture is the slope of a process's peak resident memory over the batch, from two
fresh processes of a few steps, so that what does not grow with the batch cancels out. cliplab does
the whole batch at once there: smaller micro-batches, which would save more, are left out.
Throughput is the median of rounds in which the sides take turns, each in a process of its own;
ratios are of wall clock, and of processor time, which says more where other programs are running.

    python benchmarks/tokenizer.py [--dalle] [--rounds 5] [--seconds 3] [--threads 1]

`--dalle` takes DALL-E's networks at their full size (97.6 million parameters, 256 pixels; 6 GiB and
some minutes a round on two cores), in place of a quarter of their width and size.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dalle_pytorch_peer import NoPeer, peer_python

STEPS = 3  # of a process whose peak is read; the optimiser's numbers are there from the second on
PICTURES = 512
WIDE = 2  # DALLE-pytorch's codes are as many times as wide as its layers, as in its train_vae.py
BAR_MEMORY, BAR_RATE = 0.5, 0.65  # of plain training: at most, at least

Step = Callable[[], None]


class Side(NamedTuple):
    """Something that trains."""

    name: str
    make: str  # which of MAKERS makes its step
    settings: dict[str, Any]
    python: str = sys.executable


class Found(NamedTuple):
    """What was measured of a side."""

    parameters: int
    a_picture: float  # bytes
    rate: float  # pictures a second
    busy_rate: float  # pictures a second of processor time


# ------------------------------------------------------------------------------- the sides' steps


def noise(settings: dict[str, Any], batch: int) -> Callable[[], Any]:
    """Give what gives batches (B, C, H, W) float32 of pictures of noise."""
    import torch

    shape = (PICTURES, settings["channels"], settings["size"], settings["size"])
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8)

    def draw() -> Any:
        return pictures[torch.randint(0, PICTURES, (batch,))].float().div_(255)

    return draw


def cliplab_step(settings: dict[str, Any], batch: int) -> tuple[int, Step]:
    """Train as `cliplab train tokenizer` does, by the plan that the settings name."""
    import numpy as np
    import torch

    from cliplab.tokenizers import training
    from cliplab.tokenizers.config import TokenizerConfig, resolve
    from cliplab.tokenizers.dvae import parameter_count
    from cliplab.tokenizers.steps import TECHNIQUES, TokenizerGradient
    from cliplab.training.averages import average_of, move_average
    from cliplab.training.memory import Plan, return_freed_memory

    techniques = TECHNIQUES[0]
    if settings["recomputed"]:  # as a tight plan has it
        return_freed_memory()
        techniques = TECHNIQUES[-1]
    config = {k: v for k, v in settings.items() if k != "recomputed"}
    recipe = resolve(TokenizerConfig(**config), settings["size"], settings["channels"] == 1)
    model = training._model(recipe, "cpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)
    average = average_of(model)
    gradient = TokenizerGradient(model, _Noise(settings), recipe, Plan(batch, techniques), "cpu")
    chance = np.random.default_rng(0)
    numbers = iter(range(sys.maxsize))

    def step() -> None:
        number = next(numbers)
        optimizer.zero_grad()
        gradient(chance.integers(0, PICTURES, batch), number)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        model.quantizer.learn(seed=0, step=number)
        move_average(average, model, 0.999, number)

    return parameter_count(model), step


class _Noise:
    """Pictures of noise, read as cliplab reads pixels."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import numpy as np

        shape = (PICTURES, settings["channels"], settings["size"], settings["size"])
        self.pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def read(self, places: Any) -> Any:
        """(n, C, H, W) uint8."""
        return self.pictures[places]


def plain_step(settings: dict[str, Any], batch: int) -> tuple[int, Step]:
    """Train DALL-E's networks as one would write it in a page."""
    import torch
    from torch.nn import functional

    from cliplab.tokenizers.config import TokenizerConfig, resolve
    from cliplab.tokenizers.dvae import DecoderNetwork, EncoderNetwork, parameter_count
    from cliplab.tokenizers.objectives import objective
    from cliplab.tokenizers.pixels import map_pixels

    recipe = resolve(TokenizerConfig(**settings), settings["size"], settings["channels"] == 1)
    config = recipe.networks(recipe.make_quantizer())
    encoder, decoder = EncoderNetwork(config), DecoderNetwork(config)
    both = torch.nn.ModuleList([encoder, decoder])
    optimizer = torch.optim.AdamW(both.parameters(), lr=1e-4, weight_decay=1e-4)
    likelihood, draw = objective(recipe.objective), noise(settings, batch)

    def step() -> None:
        pixels = draw()
        logits = encoder(map_pixels(pixels))
        log_q = logits.log_softmax(1)
        kl = (log_q.exp() * (log_q + math.log(config.codes))).sum()
        outputs = decoder(functional.gumbel_softmax(logits, tau=1.0, dim=1))
        weight = recipe.kl_per_value / math.prod(config.grid(recipe.size, recipe.size))
        loss = likelihood(outputs, pixels).mean() + weight * kl / len(pixels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return parameter_count(both), step


def peer_step(settings: dict[str, Any], batch: int) -> tuple[int, Step]:
    """Train DALLE-pytorch's DiscreteVAE as its train_vae.py does."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    from dalle_pytorch import DiscreteVAE

    def of(width: int) -> tuple[int, Any]:
        model = DiscreteVAE(
            image_size=settings["size"],
            channels=settings["channels"],
            num_tokens=settings["codes"],
            num_layers=settings["groups"] - 1,
            num_resnet_blocks=settings["blocks"],
            hidden_dim=width,
            codebook_dim=WIDE * width,
        )
        return sum(p.numel() for p in model.parameters()), model

    wanted = settings["parameters"]
    count, model = min((of(w) for w in range(4, 260, 4)), key=lambda one: abs(one[0] - wanted))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    draw = noise(settings, batch)

    def step() -> None:
        loss = model(draw(), return_loss=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return count, step


MAKERS = {"cliplab": cliplab_step, "plain": plain_step, "peer": peer_step}


# ------------------------------------------------------------------------------- a side's process


def child(job: dict[str, Any]) -> None:
    """Be one side: tell the peak of a few steps, or answer each line on stdin with a rate."""
    import torch

    torch.set_num_threads(job["threads"])
    parameters, step = MAKERS[job["make"]](job["settings"], job["batch"])
    if not job["seconds"]:
        for _ in range(STEPS):
            step()
        print(json.dumps({"parameters": parameters, "peak": peak()}))
        return
    step()
    print("ready", flush=True)
    for _line in sys.stdin:
        started, used, done = time.perf_counter(), time.process_time(), 0
        while not done or time.perf_counter() - started < job["seconds"]:
            step()
            done += job["batch"]
        found = {
            "rate": done / (time.perf_counter() - started),
            "busy_rate": done / (time.process_time() - used),
        }
        print(json.dumps(found), flush=True)


def peak() -> int:
    """Bytes resident at most; what getrusage says may be the parent's, where there is better."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def start(side: Side, batch: int, seconds: float, threads: int) -> subprocess.Popen[str]:
    """Start a side's process."""
    job = {**side._asdict(), "batch": batch, "seconds": seconds, "threads": threads}
    return subprocess.Popen(
        [side.python, __file__, "--child", json.dumps(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str], name: str) -> str:
    """Read a line of a side."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{name} stopped; what it said stands above.")
    return line


def memory_of(side: Side, batches: tuple[int, int], threads: int) -> tuple[int, float]:
    """Parameters, and bytes a picture."""
    found = []
    for batch in batches:
        process = start(side, batch, 0, threads)
        found.append(json.loads(answer(process, side.name)))
        process.wait()
    few, many = (one["peak"] for one in found)
    return found[0]["parameters"], (many - few) / (batches[1] - batches[0])


def rates_of(
    sides: list[Side], batch: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Median rates of each side, which take turns."""
    processes = {side.name: start(side, batch, options.seconds, options.threads) for side in sides}
    for name, process in processes.items():
        answer(process, name)
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
    for _ in range(options.rounds):
        for name, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            rounds[name].append(json.loads(answer(process, name)))
    for process in processes.values():
        process.terminate()
        process.wait()
    return {
        name: {kind: statistics.median(one[kind] for one in found) for kind in found[0]}
        for name, found in rounds.items()
    }


# ------------------------------------------------------------------------------- the comparisons


def measure(
    sides: list[Side], batches: tuple[int, int], options: argparse.Namespace
) -> dict[str, Found]:
    """Measure sides and print a line each."""
    memory = {side.name: memory_of(side, batches, options.threads) for side in sides}
    rates = rates_of(sides, batches[0], options)
    print(f"{'':<36}{'parameters':>12}{'MiB a picture':>15}{'pictures/s':>12}{'a CPU s':>10}")
    found = {}
    for name, (parameters, a_picture) in memory.items():
        found[name] = one = Found(parameters, a_picture, **rates[name])
        print(
            f"  {name:<34}{parameters:>12,}{a_picture / 2**20:>15.2f}"
            f"{one.rate:>12.2f}{one.busy_rate:>10.2f}",
            flush=True,
        )
    return found


def ratios(ours: Found, theirs: Found) -> str:
    """Say ours as multiples of theirs."""
    return (
        f"{ours.a_picture / theirs.a_picture:.2f}x the memory a picture at "
        f"{ours.rate / theirs.rate:.2f}x the throughput "
        f"({ours.busy_rate / theirs.busy_rate:.2f}x a CPU second)"
    )


def beside_peer(options: argparse.Namespace) -> None:
    """Print cliplab's CPU preset beside DALLE-pytorch's DiscreteVAE."""
    shape = {"size": 32, "channels": 1, "codes": 512, "groups": 3, "blocks": 1}
    try:
        python = peer_python()
    except NoPeer as error:
        print(f"DALLE-pytorch is left out: {error}")
        return
    sides = [
        Side(
            f"cliplab, {quantizer}{', recomputed' if recomputed else ''}",
            "cliplab",
            {**shape, "preset": "cpu", "quantizer": quantizer, "recomputed": recomputed},
        )
        for quantizer in ("vq", "gumbel")
        for recomputed in (False, True)
    ]
    own, _ = cliplab_step(sides[2].settings, 1)
    sides.append(Side("DALLE-pytorch", "peer", {**shape, "parameters": own}, python))
    print("32 pixels, grey, 8x8 tokens of 512 codes, batches of 64")
    found = measure(sides, (64, 192), options)
    theirs = found.pop("DALLE-pytorch")
    for name, ours in found.items():
        print(f"  {name}: {ratios(ours, theirs)}")


def beside_plain(options: argparse.Namespace) -> bool:
    """Print cliplab's thrift beside plain training of DALL-E's networks; tell whether it holds."""
    shape = {"preset": "dalle", "channels": 3, "quantizer": "gumbel"}
    shape |= {"size": 256, "width": 256} if options.dalle else {"size": 64, "width": 64}
    batches = (1, 2) if options.dalle else (8, 24)
    sides = [
        Side("cliplab, recomputed", "cliplab", {**shape, "recomputed": True}),
        Side("plain", "plain", shape),
    ]
    print(
        f"DALL-E's networks of width {shape['width']} at {shape['size']} pixels, colour, 8192 "
        f"codes, batches of {batches[0]}"
    )
    found = measure(sides, batches, options)
    ours, plain = found["cliplab, recomputed"], found["plain"]
    holds = ours.a_picture <= BAR_MEMORY * plain.a_picture and ours.rate >= BAR_RATE * plain.rate
    print(f"  {ratios(ours, plain)}")
    print(
        f"  at most {BAR_MEMORY}x the memory at {BAR_RATE}x the throughput or better: "
        f"{'yes' if holds else 'NO'}"
    )
    return holds


def main() -> int:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dalle", action="store_true", help="DALL-E's networks at their full size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a side's turn, at least")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return 0
    beside_peer(options)
    print()
    return 0 if beside_plain(options) else 1


if __name__ == "__main__":
    sys.exit(main())
