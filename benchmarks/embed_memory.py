"""Peak memory of filling the store, on few and on ten times as many pictures.

Generates JPEG pictures in class folders and runs the real path over them (folder data set, loader,
encoder, Parquet), each size in a process of its own with a home of its own. The encoder is small
but gives vectors of ViT-B/32's widths. Printed: the peak resident memory of each, and the ratio,
which stays within 1.10.

    python benchmarks/embed_memory.py [--few 2000] [--many 20000] [--side 96]
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LIMIT = 1.10
WIDTH, FEATURE_WIDTH, SIDE = 512, 768, 32


def generate(folder: Path, n: int, side: int) -> None:
    """Write n pictures of noise and gradients in ten class folders."""
    from PIL import Image

    chance = np.random.default_rng(0)
    for i in range(n):
        noise = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).resize((side, side)).save(stream, "JPEG")
        path = folder / f"class_{i % 10}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())


def small_encoder() -> object:
    """Make an encoder of two random matrices that obeys the contract of `nouns.Encoder`."""
    import torch

    from cliplab.nouns import ImageVectors

    class SmallEncoder:
        name = "small"
        identity = {"name": "small"}  # noqa: RUF012
        logit_scale, logit_bias = 100.0, 0.0
        width, feature_width = WIDTH, FEATURE_WIDTH
        resolution = (SIDE, SIDE)
        device = "cpu"
        trunk = torch.randn(3 * SIDE * SIDE, FEATURE_WIDTH) / 55
        projection = torch.randn(FEATURE_WIDTH, WIDTH) / 28

        def preprocess(self, picture):  # type: ignore[no-untyped-def]
            pixels = np.asarray(picture.resize(self.resolution), dtype=np.float32) / 255
            return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()

        def encode_pixels(self, pixels):  # type: ignore[no-untyped-def]
            features = pixels.flatten(1) @ self.trunk
            return ImageVectors(features @ self.projection, features)

        def encode_texts(self, texts):  # type: ignore[no-untyped-def]
            return np.zeros((len(texts), self.width), dtype=np.float32)

    return SmallEncoder()


def measure(folder: Path, home: Path) -> dict[str, float]:
    """Fill the store in this process; peak resident memory in MiB, pictures, seconds."""
    import torch

    from cliplab.datasets.family import open_dataset
    from cliplab.embeddings.extract import fill

    torch.set_num_threads(1)
    dataset, _task = open_dataset(str(folder), home=home)
    start = time.perf_counter()
    stats = fill(dataset, small_encoder(), home=home)  # type: ignore[arg-type]
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB here
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    return {"peak": peak, "n": stats.n_encoded, "seconds": time.perf_counter() - start}


def main() -> int:
    """Measure both sizes and print the ratio; 1 if it exceeds the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=96, help="pixels of a picture's edge")
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return 0
    peaks = []
    for n in (options.few, options.many):
        with tempfile.TemporaryDirectory() as scratch:
            folder, home = Path(scratch, "pictures"), Path(scratch, "home")
            generate(folder, n, options.side)
            command = [sys.executable, __file__, "--measure", str(folder), str(home)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        rate = found["n"] / found["seconds"]
        print(
            f"{n:>9,} pictures: peak {found['peak']:,.1f} MiB, {rate:,.0f} pictures/s", flush=True
        )
        peaks.append(found["peak"])
    ratio = peaks[1] / peaks[0]
    print(f"ratio {ratio:.3f} (limit {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
