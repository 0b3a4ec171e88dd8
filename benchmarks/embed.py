"""Zero-shot evaluation beside CLIP_benchmark's, in one run on one machine.

Both take the same pictures, the same ViT-B/32 weights (random ones, written on the spot), the same
batch size and as many workers; the weights are loaded and hashed before the clock starts. The two
alternate, each in a process of its own, with nothing cached between rounds. Printed: the median
of each, their ratio, and what share of cliplab's time is the encoder's own; and the same of the
processor's time, which says more where other programs are running.

    python benchmarks/embed.py [--pictures FOLDER] [--peer PYTHON]

FOLDER holds class folders. PYTHON is the interpreter of an environment with CLIP_benchmark:
`pip install clip_benchmark==1.6.2 numpy==2.1.3 open_clip_torch==3.3.0` and the same torch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARCHITECTURE = "ViT-B-32"
TEMPLATE = "a photo of a {c}."


def make_weights(path: Path) -> None:
    """Write random weights of the architecture as an OpenCLIP state dict."""
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model(ARCHITECTURE).state_dict(), path)


def make_pictures(folder: Path, classes: int = 10, each: int = 20) -> Path:
    """Write JPEG pictures of smooth noise, 400x300, in class folders."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(0)
    for name in range(classes):
        (folder / f"thing {name}").mkdir(parents=True)
        for number in range(each):
            coarse = Image.fromarray(chance.integers(0, 255, (9, 12, 3), dtype=np.uint8))
            coarse.resize((400, 300), 3).save(folder / f"thing {name}" / f"{number}.jpg")
    return folder


def serve(measure: object) -> None:
    """Answer each line on stdin with one measurement as JSON on stdout."""
    print("ready", flush=True)
    for _line in sys.stdin:
        print(json.dumps(measure()), flush=True)  # type: ignore[operator]


def processor_seconds() -> float:
    """Processor time of this process, its threads, and the workers that it had and that ended."""
    import resource

    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(one.ru_utime + one.ru_stime for one in used)


def serve_cliplab(options: argparse.Namespace) -> None:
    """Run cliplab's whole zero-shot evaluation, in process, with a fresh home each time."""
    import contextlib

    import cliplab
    from cliplab.protocol import EvaluateConfig

    encoder = cliplab.load_encoder(ARCHITECTURE, weights=options.weights, device="cpu")
    encode = encoder.encode_pixels
    inside = [0.0]

    def timed(pixels: object) -> object:
        start = time.perf_counter()
        vectors = encode(pixels)
        inside[0] += time.perf_counter() - start
        return vectors

    encoder.encode_pixels = timed  # type: ignore[method-assign,assignment]

    def measure() -> dict[str, float]:
        inside[0] = 0.0
        with tempfile.TemporaryDirectory() as scratch:
            config = EvaluateConfig(
                classifier=("zero_shot",),
                split="all",
                prompt=(TEMPLATE,),
                batch_size=options.batch_size,
                workers=options.workers,
                home=Path(scratch, "home"),
                out=Path(scratch, "run"),
            )
            start, used = time.perf_counter(), processor_seconds()
            with contextlib.redirect_stdout(sys.stderr):
                record = cliplab.evaluate(options.pictures, encoder, config)
            seconds, used = time.perf_counter() - start, processor_seconds() - used
        top1 = record["results"][0]["metrics"]["top1"]["value"]
        return {
            "seconds": seconds,
            "processor": used,
            "top1": top1,
            "encoder_seconds": inside[0],
        }

    serve(measure)


def serve_peer(options: argparse.Namespace) -> None:
    """Run CLIP_benchmark's own evaluate over an ImageFolder and a DataLoader, in process."""
    import hashlib

    import open_clip
    import torch
    from clip_benchmark.metrics import zeroshot_classification
    from torchvision.datasets import ImageFolder

    model, _, transform = open_clip.create_model_and_transforms(
        ARCHITECTURE, pretrained=str(options.weights)
    )
    hashlib.sha256(options.weights.read_bytes()).hexdigest()
    model.eval()
    tokenizer = open_clip.get_tokenizer(ARCHITECTURE)

    def measure() -> dict[str, float]:
        start, used = time.perf_counter(), processor_seconds()
        pictures = ImageFolder(options.pictures, transform=transform)
        loader = torch.utils.data.DataLoader(
            pictures, batch_size=options.batch_size, num_workers=options.workers
        )
        names = [name.replace("_", " ") for name in pictures.classes]
        scores = zeroshot_classification.evaluate(
            model, loader, tokenizer, names, [TEMPLATE], "cpu", amp=False
        )
        seconds, used = time.perf_counter() - start, processor_seconds() - used
        return {"seconds": seconds, "processor": used, "top1": scores["acc1"]}

    serve(measure)


def start(role: str, python: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    """Start one side and wait until its weights are loaded."""
    command = [python, __file__, "--role", role, "--pictures", str(options.pictures)]
    command += ["--weights", str(options.weights), "--batch-size", str(options.batch_size)]
    command += ["--workers", str(options.workers)]
    quiet = None if options.verbose else subprocess.DEVNULL
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    side = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=quiet,
        text=True,
        env=environment,
    )
    assert side.stdout is not None
    if side.stdout.readline().strip() != "ready":
        sys.exit(f"{role} did not start; run again with --verbose to see why")
    return side


def ask(side: subprocess.Popen[str]) -> dict[str, float]:
    """One measurement of one side."""
    assert side.stdin is not None
    assert side.stdout is not None
    side.stdin.write("go\n")
    side.stdin.flush()
    answer: dict[str, float] = json.loads(side.stdout.readline())
    return answer


def compare(options: argparse.Namespace) -> None:
    """Alternate the two sides and print medians, ratio and the encoder's share."""
    with tempfile.TemporaryDirectory() as scratch:
        options.weights = Path(scratch, "weights.pt")
        make_weights(options.weights)
        options.pictures = options.pictures or make_pictures(Path(scratch, "pictures"))
        ours = start("cliplab", sys.executable, options)
        theirs = start("peer", options.peer, options) if options.peer else None
        rounds: list[tuple[dict[str, float], dict[str, float] | None]] = []
        for number in range(options.rounds):
            rounds.append((ask(ours), ask(theirs) if theirs else None))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
        for side in filter(None, (ours, theirs)):
            side.terminate()
    share = statistics.median(a["encoder_seconds"] / a["seconds"] for a, _ in rounds)
    for kind, told in (("seconds", "wall clock"), ("processor", "processor")):
        mine = statistics.median(a[kind] for a, _ in rounds)
        print(f"{told}, medians of {len(rounds)}")
        print(f"  cliplab        {mine:7.2f} s")
        if theirs:
            peer = statistics.median(b[kind] for _, b in rounds if b)
            print(f"  CLIP_benchmark {peer:7.2f} s")
            print(f"  ratio          {mine / peer:7.3f} (lower: cliplab is faster)")
    print(f"encoder's share of cliplab's wall clock {share:.1%}")


def main() -> None:
    """Parse and run one role."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, help="class folders; none: 200 made ones")
    parser.add_argument("--peer", help="python of an environment with CLIP_benchmark 1.6.2")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--role", choices=("compare", "cliplab", "peer"), default="compare")
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args()
    if options.pictures and not options.pictures.is_dir():
        sys.exit(f"{options.pictures} is not a folder of class folders; name one with --pictures")
    {"compare": compare, "cliplab": serve_cliplab, "peer": serve_peer}[options.role](options)


if __name__ == "__main__":
    main()
