"""Run by `test_kills.py` in a process of its own: download and prepare, killed again and again.

    python kills.py FOLDER KILLS SEED

A server sends two archives slowly. Process after process prepares from it and is killed at a random
moment; whenever one comes to its end, what it made is compared with an undisturbed run, and the
next begins with nothing. It forks, so that the imports are done once; nothing has used threads
before the fork. Prints JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import httpx  # noqa: F401
import PIL.Image  # noqa: F401
import pyarrow.parquet  # noqa: F401
from tests.datasets.toy import FILES, Toy, archives
from tests.web import Web

import datasets  # noqa: F401
from cliplab.datasets import family
from cliplab.datasets.from_archives import prepare_named
from cliplab.datasets.shards import Bounds
from cliplab.runtime.downloads import Remote

COUNT, SIDE = 150, 48
BOUNDS = Bounds(rows=9)


def serve() -> tuple[int, int]:
    """Start the server in a process; give its id and port."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        web = Web(piece=8_000, pause=0.002)
        for name, content in archives(COUNT, SIDE).items():
            web.put(name, content)
        os.write(writing, str(web.url("")).rsplit(":", 1)[1].strip("/").encode())
        signal.pause()
        os._exit(0)
    return child, int(os.read(reading, 10))


def start(member: Toy, home: Path) -> int:
    """Prepare in a process of its own; give its id."""
    child = os.fork()
    if child:
        return child
    family._modules = lambda: [member]
    try:
        with Path(home.parent / "said.txt").open("a") as said:
            os.dup2(said.fileno(), 2)
            prepare_named("toy", home=home, bounds=BOUNDS)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def tree(home: Path) -> dict[str, bytes]:
    """All that is prepared, and the archives; records and indexes hold times.

    What is half-written counts wherever it is.
    """
    files = [*(home / "datasets").rglob("*"), *(home / "archives").glob("*"), *home.rglob("*.part")]
    kept = (path for path in files if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(home)): path.read_bytes() for path in kept}


def where(home: Path) -> str:
    """What the killed process was about."""
    if any((home / "archives").glob("*.part")):
        return "download"
    return "prepare" if any(home.glob("datasets/toy/.*.part")) else "between"


def _wait(home: Path, duration: float, chance: random.Random, *, for_download: bool) -> None:
    """Wait until a random moment of all, or of a download, which is a small part on a busy machine.

    Where all is downloaded already, it is one of all.
    """
    latest = time.monotonic() + chance.uniform(0, duration)
    while time.monotonic() < latest:
        if for_download and where(home) == "download":
            time.sleep(chance.uniform(0, 0.1))
            return
        time.sleep(0.002)


def run(folder: Path, member: Toy, kills: int, chance: random.Random) -> dict:
    began = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(start(member, folder / "undisturbed"), 0)[1]) == 0
    duration = time.monotonic() - began
    whole, home = tree(folder / "undisturbed"), folder / "home"
    found = {"kills": 0, "ends": 0, "equal": 0, "where": {}, "duration": duration}
    while True:
        child = start(member, home)
        left = found["kills"] < kills
        if left:
            _wait(home, duration, chance, for_download=found["kills"] % 2 == 0)
            if os.waitpid(child, os.WNOHANG) == (0, 0):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                found["kills"] += 1
                place = where(home)
                found["where"][place] = found["where"].get(place, 0) + 1
                continue
        else:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        found["ends"] += 1
        found["equal"] += tree(home) == whole
        if not left:
            return found
        shutil.rmtree(home)


def main(folder: str, kills: str, seed: str) -> None:
    server, port = serve()
    try:
        remotes = {
            name: Remote(name, (f"http://127.0.0.1:{port}/{name}",)) for name in FILES.values()
        }
        place = Path(folder)
        member = Toy(remotes, COUNT)
        print(json.dumps(run(place, member, int(kills), random.Random(int(seed)))))
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
