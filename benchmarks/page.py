"""How long the page of a large run takes to write and to open, and how large it is.

Makes a run of 345 classes and 50,000 predictions of two classifiers with pictures of noise, writes
its page, and opens it from disk in the system's Chromium. Printed: seconds until the numbers can be
read (DOM ready), until the first chart is drawn, and until the page is at rest, by the clock and,
since on a busy machine the clock tells of its neighbours, by the processor time of the page's own
thread, which is what an idle machine waits for; the size of the file and of its pictures. The page
is to open in under 3 s.

    python benchmarks/page.py [--classes 345] [--pictures 50000] [--keep FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.pages.conftest import QUIET, chromium  # noqa: E402

LIMIT = 3.0  # seconds


class Noise:
    """A source of pictures of coloured noise, all different, as large as photographs compress."""

    def open(self, rows):  # type: ignore[no-untyped-def]
        """For each row, a callable that gives a JPEG."""
        from PIL import Image

        def picture(row: int) -> bytes:
            chance = np.random.default_rng(row)
            noise = Image.fromarray(chance.integers(0, 256, (40, 40, 3), dtype=np.uint8))
            stream = io.BytesIO()
            noise.resize((224, 224)).save(stream, "JPEG")
            return stream.getvalue()

        for row in rows:
            yield lambda row=int(row): picture(row)


def make_page(folder: Path, n_classes: int, n: int) -> tuple[Path, float]:
    """Write a run and its page; give the page and the seconds that writing it took."""
    from tests.pages.made_runs import make_data, make_run

    from cliplab.report.page import write_page

    data = make_data([f"class number {i}" for i in range(n_classes)], n, source=Noise())
    make_run(folder, data, skill=4.0)
    begun = time.perf_counter()
    path = write_page([folder], dataset=data).path
    return path, time.perf_counter() - begun


class Opened(NamedTuple):
    """Seconds since a page was asked for."""

    clock: float
    thread: float  # processor time of the page's thread


def open_page(path: Path) -> dict[str, Opened]:
    """Open a page in a new browser; give the times of its steps."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        meter = page.context.new_cdp_session(page)
        meter.send("Performance.enable", {"timeDomain": "threadTicks"})
        begun = time.perf_counter()

        def now() -> Opened:
            clock = time.perf_counter() - begun
            metrics = meter.send("Performance.getMetrics")["metrics"]
            return Opened(clock, next(m["value"] for m in metrics if m["name"] == "TaskDuration"))

        page.goto(path.resolve().as_uri(), wait_until="domcontentloaded")
        found = {"numbers readable": now()}
        while not page.evaluate("!!document.querySelector('.chart svg.main-svg')"):
            time.sleep(0.05)
        found["first chart drawn"] = now()
        page.evaluate("new Promise((done) => requestIdleCallback(done))")
        found["at rest"] = now()
        browser.close()
    return found


def main() -> None:
    """Make, open, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=345)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--keep", type=Path, help="where the page is kept")
    given = parser.parse_args()
    if chromium() is None:
        print("no Chromium here: install the system's package `chromium`")
        return
    with tempfile.TemporaryDirectory() as place:
        path, seconds = make_page(Path(place) / "run", given.classes, given.pictures)
        text = path.read_text(encoding="utf-8")
        shown = json.loads(re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)[1])
        print(f"{given.classes} classes, {given.pictures:,} predictions of two classifiers")
        print(
            f"written in {seconds:.1f} s: {len(text) / 1e6:.1f} MB, of it {len(shown):,} pictures"
        )
        print(f"with {sum(map(len, shown)) / 1e6:.1f} MB")
        found = [open_page(path) for _ in range(3)]
        for step in found[0]:
            clock = ", ".join(f"{one[step].clock:.2f}" for one in found)
            thread = ", ".join(f"{one[step].thread:.2f}" for one in found)
            print(f"{step:>18}: {clock} s by the clock; {thread} s of its thread")
        load = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
        best = min(one["at rest"].thread for one in found)
        print(f"load a core: {load:.1f}; opens in {best:.2f} s of its thread, limit {LIMIT} s")
        if given.keep:
            given.keep.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
