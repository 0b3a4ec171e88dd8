"""Sampling from a prior: drawings a second with its cache, without, and beside DALLE-pytorch.

Three comparisons in one run, each of medians over rounds in which the sides take turns, each side
in a process of its own on as many threads:

1. The prior with its cache and the same network without, which reads prefix and tokens anew for
   every token; 64 tokens, 32 drawings at once, no guidance.
2. The prior and DALLE-pytorch's `generate_images` (1.6.6, in an environment that
   `dalle_pytorch_peer.py` makes) with `use_cache=True`, at the same layers, width, image tokens and
   codes; its text is 16 tokens long, not 256, which would cost it more, and the rest is at its
   defaults. The pixels are left out on both sides. Without guidance 1.6.6 does not hand its cache
   on (`forward_with_cond_scale` at a `cond_scale` of 1), so two further lines, to which no bar
   belongs, show it in use: with guidance 2, and with the cache handed on by this file.
3. A fresh process of `cliplab draw "a cat" -n 16`, and one that only imports torch and open_clip.

Ratios are of wall clock, and of processor time, which says more where other programs are running.

    python benchmarks/sampling.py [--rounds 3] [--threads 1] [--without-peer]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dalle_pytorch_peer import NoPeer, peer_python

ROWS, GRID, CODES = 32, 8, 512
SHAPE = {"width": 192, "layers": 6}
TEXT = 16  # tokens of the text that DALLE-pytorch is asked with
WORDS = 192  # that stand in it, out of the 10,000 that it knows
BAR_UNCACHED, BAR_PEER, BAR_FRESH = 8, 10, 2  # at least, at least, at most

Draw = Callable[[], object]


class Side(NamedTuple):
    """Something that draws."""

    name: str
    make: str  # which of MAKERS makes what draws ROWS drawings
    settings: dict[str, Any]
    python: str = sys.executable


class Rate(NamedTuple):
    """Drawings a second, of wall clock and of processor time: medians."""

    wall: float
    busy: float


# ------------------------------------------------------------------------------- the sides


def our_network() -> Any:
    """Give a prior of random weights."""
    import torch

    from cliplab.priors.transformer import PriorNetwork, PriorSizes

    torch.manual_seed(0)
    sizes = PriorSizes(codes=CODES, grid=(GRID, GRID), condition=128, heads=6, **SHAPE)
    return PriorNetwork(sizes).eval()


def cached(settings: dict[str, Any]) -> Draw:
    """Draw as cliplab does."""
    import torch

    from cliplab.priors.sampling import Sampling, sample

    network, condition = our_network(), torch.randn(ROWS, 128)
    how = Sampling(guidance=settings["guidance"])
    return lambda: sample(network, condition, how, seed=0)


def uncached(_settings: dict[str, Any]) -> Draw:
    """Draw from the same network, reading what is drawn so far anew for every token."""
    import torch

    from cliplab.priors.kernels import norm
    from cliplab.priors.sampling import Sampling, draw

    network, condition = our_network(), torch.randn(ROWS, 128)
    length, how = network.sizes.tokens, Sampling(guidance=1.0)

    def run() -> object:
        with torch.inference_mode():
            prefix = network.prefix(condition)
            tokens = torch.empty((ROWS, 0), dtype=torch.int64)
            for position in range(length):
                so_far = norm(network.tokens(tokens) + network.places[1 : position + 1])
                x = torch.cat((prefix, so_far), dim=1)
                for layer in network.layers:
                    x = layer(x, network.turns[: x.shape[1]])
                drawn = draw(network.head(norm(x[:, -1])), torch.rand(ROWS), how)
                tokens = torch.cat((tokens, drawn[:, None]), dim=1)
            return tokens

    return run


def peer(settings: dict[str, Any]) -> Draw:
    """Draw as DALLE-pytorch does."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    from dalle_pytorch import DALLE, DiscreteVAE

    torch.manual_seed(0)
    vae = DiscreteVAE(
        image_size=8 * GRID, num_layers=3, num_tokens=CODES, codebook_dim=16, hidden_dim=8
    )
    vae.decode = lambda tokens: tokens
    sizes = {"dim": SHAPE["width"], "depth": SHAPE["layers"], "text_seq_len": TEXT}
    model = DALLE(vae=vae, **sizes).eval()
    text = torch.randint(1, WORDS, (ROWS, TEXT))
    if settings["handed_on"]:

        def scaled(*inputs: Any, cond_scale: float = 1, cache: Any = None) -> Any:
            return model(*inputs, cache=cache)

        model.forward_with_cond_scale = scaled
    scale = settings["guidance"]
    # A copy: with guidance it empties the text that it is given.
    return lambda: model.generate_images(text.clone(), use_cache=True, cond_scale=scale)


MAKERS = {"cached": cached, "uncached": uncached, "peer": peer}


# ------------------------------------------------------------------------------- a side's process


def child(job: dict[str, Any]) -> None:
    """Be one side: answer each line on stdin with the rates of at least so many seconds."""
    import torch

    torch.set_num_threads(job["threads"])
    draw = MAKERS[job["make"]](job["settings"])
    draw()
    print("ready", flush=True)
    for _line in sys.stdin:
        started, used, done = time.perf_counter(), time.process_time(), 0
        while not done or time.perf_counter() - started < job["seconds"]:
            draw()
            done += ROWS
        wall, busy = time.perf_counter() - started, time.process_time() - used
        print(json.dumps([done / wall, done / busy]), flush=True)


def answer(process: subprocess.Popen[str], name: str) -> str:
    """Read a line of a side."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        sys.exit(f"{name} stopped; what it said stands above.")
    return line


def start(side: Side, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Start a side's process and wait until it has drawn once."""
    job = {**side._asdict(), "threads": options.threads, "seconds": options.seconds}
    process = subprocess.Popen(
        [side.python, __file__, "--child", json.dumps(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer(process, side.name)
    return process


def rates(sides: list[Side], options: argparse.Namespace) -> dict[str, Rate]:
    """Median rates of sides that take turns; a line each is printed."""
    processes = {side.name: start(side, options) for side in sides}
    rounds: dict[str, list[list[float]]] = {side.name: [] for side in sides}
    for _ in range(options.rounds):
        for name, process in processes.items():
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            rounds[name].append(json.loads(answer(process, name)))
    for process in processes.values():
        process.terminate()
        process.wait()
    found = {
        name: Rate(*(statistics.median(kind) for kind in zip(*each, strict=True)))
        for name, each in rounds.items()
    }
    for name, rate in found.items():
        print(f"  {name:<48}{rate.wall:>10.2f} drawings/s{rate.busy:>10.2f} a CPU s", flush=True)
    return found


# ------------------------------------------------------------------------------- the comparisons


def verdict(ours: Rate, theirs: Rate, bar: float | None) -> bool:
    """Print how many times the rate, and whether it is at least `bar` by processor time."""
    wall, busy = ours.wall / theirs.wall, ours.busy / theirs.busy
    holds = bar is None or busy >= bar
    asked = "" if bar is None else f"; at least {bar}: {'yes' if holds else 'NO'}"
    print(f"  {wall:.1f} times the rate, {busy:.1f} a CPU second{asked}", flush=True)
    return holds


def beside_itself(options: argparse.Namespace) -> bool:
    """With and without cache."""
    print(f"{GRID * GRID} tokens, {ROWS} drawings at once, no guidance", flush=True)
    sides = [Side("with cache", "cached", {"guidance": 1.0}), Side("without cache", "uncached", {})]
    ours, theirs = rates(sides, options).values()
    return verdict(ours, theirs, BAR_UNCACHED)


def beside_peer(options: argparse.Namespace) -> bool:
    """Beside DALLE-pytorch, without guidance and with."""
    try:
        python = peer_python()
    except NoPeer as error:
        print(f"DALLE-pytorch is left out: {error}")
        return True
    holds = True
    for guidance, handed_on, bar, told in (
        (1.0, False, BAR_PEER, "as it is"),
        (2.0, False, None, "guidance 2, which uses its cache"),
        (1.0, True, None, "its cache handed on"),
    ):
        print(f"beside DALLE-pytorch, {told}", flush=True)
        settings = {"guidance": guidance, "handed_on": handed_on}
        sides = [
            Side("cliplab", "cached", settings),
            Side("DALLE-pytorch", "peer", settings, python),
        ]
        ours, theirs = rates(sides, options).values()
        holds &= verdict(ours, theirs, bar)
    return holds


def fresh(options: argparse.Namespace) -> bool:
    """Time a fresh process that draws beside one that only imports."""
    import cliplab

    if not (Path(cliplab.__file__).parent / "weights" / "prior").is_dir():
        print("The weights that come with cliplab are not here: no fresh process is timed.")
        return True
    with tempfile.TemporaryDirectory() as scratch:
        out = str(Path(scratch, "cats.png"))
        commands = {
            'cliplab draw "a cat" -n 16': ["-m", "cliplab", "draw", "a cat", "-n16", "--out", out],
            "import torch, open_clip": ["-c", "import torch, open_clip"],
        }
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CLIPLAB_HOME": scratch}
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(options.rounds + 1):  # the first reads files from the disk
            for name, arguments in commands.items():
                took = seconds_of([sys.executable, *arguments], environment)
                if number:
                    rounds[name].append(took)
    print("a fresh process")
    medians = {n: [statistics.median(k) for k in zip(*r, strict=True)] for n, r in rounds.items()}
    for name, (wall, busy) in medians.items():
        print(f"  {name:<48}{wall:>10.2f} s{busy:>10.2f} CPU s")
    ours, theirs = medians.values()
    wall, busy = (a / b for a, b in zip(ours, theirs, strict=True))
    holds = wall <= BAR_FRESH
    print(
        f"  {wall:.2f} times as long, {busy:.2f} of processor time; at most {BAR_FRESH}: "
        f"{'yes' if holds else 'NO'}"
    )
    return holds


def seconds_of(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall clock and processor time of a process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Run the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a side's turn, at least")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--child")
    options = parser.parse_args()
    if options.child:
        child(json.loads(options.child))
        return 0
    held = [beside_itself(options)]
    if not options.without_peer:
        held.append(beside_peer(options))
    held.append(fresh(options))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
