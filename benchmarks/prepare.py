"""`cliplab prepare` of a zip beside `unzip` and Pillow, in one run on one machine.

Makes a zip of photographs on the spot (crops of scikit-learn's two, each file of its own bytes, 2
in 1,000 cut short), then takes it

    ours     through the real command, in a process of its own: digest of the archive, contents
             checked, hashed and decoded, unreadable pictures listed, Parquet written and flushed
    theirs   through `unzip` to a folder, then Pillow decoding every picture in as many processes
             (finding what cannot be read means decoding it)

and prints pictures a second, MB a second, their ratio, and our peak memory beyond the imports. Ends
with 1 if ours is slower, finds other pictures unreadable, or takes more than 500 MB.

    python benchmarks/prepare.py [--size 1000] [--workers N]
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAME, ARCHIVE = "photographs", "photographs.zip"
MOST_MEMORY = 500e6  # bytes beyond the imports
DISTINCT = 200  # pictures that are encoded; the others differ in a comment
BAD_EVERY = 500


def photographs() -> list[bytes]:
    """Encode crops of real photographs, 500 to 1,000 pixels wide."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    chance, made = np.random.default_rng(0), []
    sources = [Image.fromarray(picture) for picture in load_sample_images().images]
    for number in range(DISTINCT):
        source = sources[number % len(sources)]
        width = int(chance.integers(500, 1000))
        part = chance.uniform(0.4, 1.0)
        left, top = chance.uniform(0, 1 - part, 2) * source.size
        box = (left, top, left + part * source.width, top + part * source.height)
        picture = source.resize((width, width * 2 // 3), box=box)
        grain = chance.normal(0, 4, (picture.height, picture.width, 3))
        pixels = (np.asarray(picture) + grain).clip(0, 255).astype(np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=int(chance.integers(80, 95)))
        made.append(stream.getvalue())
    return made


def contents(size: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of pictures until `size` bytes are reached."""
    made, number, total = photographs(), 0, 0
    while total < size:
        picture = made[number % len(made)]
        note = f"picture {number}".encode()
        comment = b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note
        content = picture[:2] + comment + picture[2:]
        if number % BAD_EVERY == 7:
            content = content[: len(content) // 2]
        yield f"photos/class_{number % 10}/{number:06d}.jpg", content
        number, total = number + 1, total + len(content)


def make_zip(path: Path, size: int) -> int:
    """Write the zip; give the number of its pictures."""
    count = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in contents(size):
            archive.writestr(name, content)
            count += 1
    return count


class Photographs:
    """The member of the catalogue that reads the zip; see `datasets/entry.py`."""

    def __init__(self) -> None:
        from cliplab.datasets.entry import CatalogueEntry

        self.ENTRIES = (CatalogueEntry(NAME, "Crops.", {"class": 10}, 0, {}, "BSD", None),)

    def remotes(self, name: str) -> tuple[Any, ...]:
        """Name the file, which is not downloaded."""
        from cliplab.runtime.downloads import Remote

        return (Remote(ARCHIVE, (), by_hand="it is made on the spot"),)

    def read_archives(self, name: str, files: Any) -> Any:
        """Open the data set on the zip."""
        from cliplab.datasets.archived import ArchivePictures
        from cliplab.nouns import Dataset, Task
        from cliplab.runtime.archives import list_members

        members = list_members(files[ARCHIVE]).members
        labels = np.array([int(member.name.split("/")[1][-1]) for member in members])
        count = len(members)
        return Dataset(
            name=name,
            tasks={"class": Task("class", tuple(f"class {i}" for i in range(10)))},
            ids=np.array([member.name for member in members], dtype=object),
            labels={"class": labels},
            splits={"class": np.full(count, "test", dtype=object)},
            digests=np.full(count, "", dtype=object),
            source=ArchivePictures(members, {ARCHIVE: files[ARCHIVE]}),
        )

    def open_entry(self, name: str, *, home: Path) -> Any:
        """Never called: what is prepared is read from there."""
        raise KeyError(name)


def measure_ours(archives: Path, home: Path, workers: int) -> dict[str, float]:
    """Run the command in this process: seconds, and bytes of memory beyond the imports."""
    import httpx  # noqa: F401
    import psutil
    import pyarrow.parquet  # noqa: F401

    import datasets  # noqa: F401
    from cliplab.cli import main
    from cliplab.datasets import family, from_archives  # noqa: F401

    member = Photographs()
    family._modules = lambda: iter([member])
    before = psutil.Process().memory_info().rss
    start, cpu_before = time.perf_counter(), time.process_time()
    arguments = ["prepare", NAME, "--archives", archives, "--offline", "--home", home]
    code = 0
    try:
        main([*map(str, arguments), "--workers", str(workers)])
    except SystemExit as stop:
        code = int(stop.code or 0)
    seconds = time.perf_counter() - start
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = time.process_time() - cpu_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"seconds": seconds, "memory": peak - before, "code": code, "cpu": cpu}


class Taken(NamedTuple):
    """What one way took."""

    seconds: float
    cpu: float  # seconds of all processes together
    unreadable: set[str]
    memory: float = 0.0


def ours(archives: Path, home: Path, workers: int) -> Taken:
    """Prepare in a process of its own."""
    command = [sys.executable, __file__, "--measure", str(archives), str(home), str(workers)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, "the command failed"
    manifest = json.loads((home / "datasets" / NAME / "cliplab.json").read_text())
    unreadable = {one["id"] for one in manifest["unreadable"]}
    return Taken(found["seconds"], found["cpu"], unreadable, found["memory"])


def decodes(path: str) -> bool:
    """Whether Pillow decodes a file to RGB."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.convert("RGB")
    except OSError:
        return False
    return True


def theirs(archive: Path, folder: Path, workers: int) -> Taken:
    """Unpack, then decode every file."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-q", str(archive), "-d", str(folder)], check=True)
    else:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    files = sorted(str(path) for path in folder.rglob("*.jpg"))
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    with context.Pool(workers) as pool:
        readable = pool.map(decodes, files, chunksize=32)
        pool.close()
        pool.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = time.perf_counter() - start
    bad = {
        Path(file).relative_to(folder).as_posix()
        for file, is_good in zip(files, readable, strict=True)
        if not is_good
    }
    return Taken(seconds, cpu, bad)


def main() -> int:
    """Make the zip, go both ways, print; 1 where ours does not keep what the docstring says."""
    from cliplab.runtime.machine import usable_cores

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="MB of the zip")
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        archives, home, workers = options.measure
        print(json.dumps(measure_ours(Path(archives), Path(home), int(workers))))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        archives = Path(scratch, "archives")
        archives.mkdir()
        count = make_zip(archives / ARCHIVE, options.size * 1_000_000)
        megabytes = (archives / ARCHIVE).stat().st_size / 1e6
        print(f"{count:,} pictures, {megabytes:,.0f} MB, {options.workers} workers", flush=True)
        unpacked = theirs(archives / ARCHIVE, Path(scratch, "unpacked"), options.workers)
        shutil.rmtree(Path(scratch, "unpacked"))
        prepared = ours(archives, Path(scratch, "home"), options.workers)
    ways = (("unzip, then Pillow", unpacked), ("cliplab prepare", prepared))
    for name, taken in ways:
        rate = f"{count / taken.seconds:,.0f} pictures/s, {megabytes / taken.seconds:,.1f} MB/s"
        spent = f"{taken.seconds:7.1f} s ({taken.cpu:.1f} s of processor)"
        print(f"{name:<20}{spent}, {rate}, {len(taken.unreadable)} unreadable")
    ratio = unpacked.seconds / prepared.seconds
    print(f"ratio {ratio:.2f} (at least 1); peak {prepared.memory / 1e6:,.0f} MB beyond imports")
    same = unpacked.unreadable == prepared.unreadable
    return int(ratio < 1 or not same or prepared.memory > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
