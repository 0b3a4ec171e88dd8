"""Makes the pictures of the README anew: `python docs/make_pictures.py`.

docs/pictures/page.png       the top of the page of a run like the demo's, in Chromium by Playwright
docs/pictures/drawings.png   what the model that comes with cliplab draws

Both show digits (UCI, CC BY 4.0) and drawings of a model that learned from Quick, Draw! (CC BY 4.0)
alone. Each is under 300 kB.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).resolve().parent / "pictures"
LARGEST = 300_000  # bytes
WINDOW = {"width": 1200, "height": 1150}  # pixels of the page that are shown
WORDS = ("a cat", "a bicycle", "a house", "a fish")
EACH = 10


def page() -> Path:
    """Evaluate the demo's CLIP on the digits, and take a picture of the top of its page."""
    from playwright.sync_api import sync_playwright

    import cliplab

    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        here = Path("home")
        digits, _task = cliplab.open_dataset("digits", home=here)
        tower = cliplab.ContrastiveConfig(device="cpu")
        clip = cliplab.train_clip(digits, tower, "tiny-clip")
        config = cliplab.EvaluateConfig(device="cpu", home=here, out="run")
        cliplab.evaluate(digits, clip, config)
        report = Path("run", "report.html")
        with sync_playwright() as play:
            chromium = play.chromium.launch(executable_path=browser)
            tab = chromium.new_page(viewport=WINDOW)
            tab.goto(report.absolute().as_uri())
            tab.wait_for_load_state("networkidle")
            shot = tab.screenshot()
            chromium.close()
    return _save("page.png", Image.open(io.BytesIO(shot)))


def drawings() -> Path:
    """Draw a few things, a row each."""
    import cliplab

    return _save("drawings.png", cliplab.draw(WORDS, EACH).grid())


def _save(name: str, picture: Image.Image) -> Path:
    """Write a picture, with fewer colours where it would be too large."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / name
    for colours in (None, 256, 128, 64):
        less = picture if colours is None else picture.convert("RGB").quantize(colours)
        less.save(path, optimize=True)
        if path.stat().st_size < LARGEST:
            break
    assert path.stat().st_size < LARGEST, f"{path} has {path.stat().st_size:,} bytes"
    return path


def main() -> None:
    """Make those named, or all."""
    makers = {"page": page, "drawings": drawings}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", nargs="*", help="page, drawings; default: both")
    for name in parser.parse_args().which or makers:
        print(makers[name]())


if __name__ == "__main__":
    main()
