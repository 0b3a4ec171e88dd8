"""Pictures a second of the loader beside PyTorch's DataLoader, in one run on one machine.

Both read the same files, give the same batches of the same open_clip transform, and take turns,
round by round. The DataLoader works as the field's tools use it: `Image.open(file).convert("RGB")`
in worker processes, started anew for each pass.

    python benchmarks/loader.py [FOLDER] --workers 1 2 4

Without FOLDER, JPEG pictures of 500 x 375 pixels are made for it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MADE = 400  # pictures, where no folder is given


class Files:
    """Picture files as the loader's source and as PyTorch's data set."""

    def __init__(self, files: Sequence[Path], transform: Callable[[Any], Any]) -> None:
        self.files, self.transform = files, transform

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """Give the reader of each row's bytes."""
        for row in rows:
            yield self.files[row].read_bytes

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Any:
        from PIL import Image

        with Image.open(self.files[row]) as picture:
            return self.transform(picture.convert("RGB"))


def ours(files: Files, workers: int, batch_size: int) -> int:
    """One pass of the loader; the number of pictures it gave."""
    from cliplab.pictures.loader import batches

    rows = range(len(files))
    stream = batches(files, rows, files.transform, batch_size=batch_size, workers=workers)
    return sum(len(batch.rows) for batch in stream)


def theirs(files: Files, workers: int, batch_size: int) -> int:
    """One pass of PyTorch's DataLoader; the number of pictures it gave."""
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(files, batch_size=batch_size, num_workers=workers)  # type: ignore[arg-type]
    return sum(len(batch) for batch in loader)


def readable(folder: Path, most: int | None) -> list[Path]:
    """Picture files under a folder that both can read."""
    from cliplab.pictures.decode import decode
    from cliplab.pictures.unreadable import UnreadablePicture

    found = []
    for file in sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES)[:most]:
        try:
            decode(file.read_bytes())
        except UnreadablePicture as error:
            print(f"left out: {file}: {error.reason}", file=sys.stderr)
            continue
        found.append(file)
    return found


def generate(folder: Path, n: int) -> None:
    """Write n JPEG pictures, as smooth as photos are."""
    import numpy as np
    from PIL import Image

    chance = np.random.default_rng(0)
    for i in range(n):
        noise = chance.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((500, 375)).save(folder / f"{i:05d}.jpg")


def rate(measure: Callable[..., int], files: Files, workers: int, batch_size: int) -> float:
    """Pictures a second of one pass."""
    started = time.perf_counter()
    count = measure(files, workers, batch_size)
    assert count == len(files)
    return count / (time.perf_counter() - started)


def main() -> None:
    """Measure, and print a line for each number of workers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="default: made for it")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--size", type=int, default=224, help="side of the encoder's pictures")
    parser.add_argument("--pictures", type=int, help="at most so many")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    from cliplab.pictures.preprocessing import Preprocessing

    transform = Preprocessing(size=(options.size, options.size)).transform()
    with tempfile.TemporaryDirectory() as scratch:
        if options.folder is None:
            generate(Path(scratch), options.pictures or MADE)
        folder = options.folder or Path(scratch)
        files = Files(readable(folder, options.pictures), transform)
        if not len(files):
            sys.exit(f"no pictures under {folder}")
        compare(files, options)


def compare(files: Files, options: argparse.Namespace) -> None:
    """Let the two take turns, and print the medians."""
    print(f"{len(files)} pictures, {options.rounds} rounds, medians in pictures a second")
    print(f"{'workers':>7}  {'cliplab':>8}  {'DataLoader':>10}  {'ratio':>5}")
    for workers in options.workers:
        rates: dict[Any, list[float]] = {ours: [], theirs: []}
        for turn in range(options.rounds):
            for measure in (ours, theirs) if turn % 2 else (theirs, ours):
                rates[measure].append(rate(measure, files, workers, options.batch_size))
        mine, other = statistics.median(rates[ours]), statistics.median(rates[theirs])
        print(f"{workers:>7}  {mine:>8.0f}  {other:>10.0f}  {mine / other:>5.2f}", flush=True)


if __name__ == "__main__":
    main()
