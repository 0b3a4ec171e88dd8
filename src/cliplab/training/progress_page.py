"""`progress.html`: the curves of a training and what it can do by now, written anew as it goes.

A small file of its own that asks nobody for anything and reloads itself until the training is done.
What it shows is kept beside TensorBoard's files, so that a training that was cut off goes on in the
same curves.
"""

from __future__ import annotations

import base64
import functools
import io
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.runtime.errors import CliplabError
from cliplab.runtime.storage import read_json, write_bytes, write_json
from cliplab.training.memory import in_words

if TYPE_CHECKING:
    import jinja2

FORMAT_VERSION = 1
FILE, KEPT = "progress.html", "progress.json"
EVERY = 5.0  # seconds between two writings
WIDTH, HEIGHT = 560, 180  # of a curve, in units of its drawing
ROWS = 50  # of the table under a curve, at most
LARGEST = 1400  # pixels of the longer side of a picture
MEMORY = "memory"  # of the gauges: bytes


class Curve(NamedTuple):
    """A number over the steps, ready to be drawn."""

    name: str
    last: str
    line: str  # points of a polyline, "x,y x,y"
    low: str  # labels of the axis
    high: str
    rows: tuple[tuple[str, str], ...]  # step and value
    told: str


class ProgressPage:
    """Gathers the numbers and pictures of a training, and writes them as a page now and then."""

    def __init__(self, folder: Path, kept: Path, steps: int, about: str = "") -> None:
        """Write nothing yet.

        Parameters
        ----------
        folder
            Of what is trained; FILE appears in it.
        kept
            Folder of what the page is made of.
        steps
            Of the whole training.
        about
            A text that stands beside the picture.
        """
        self.path, self.kept, self.steps, self.about = folder / FILE, kept / KEPT, steps, about
        self.step = 0
        self.series: dict[str, list[tuple[int, float]]] = {}
        self.picture, self.drawn_at = "", 0  # address of the latest, and its step
        self._written = -math.inf

    def take_up(self, step: int) -> None:
        """Go on before `step`: what an earlier process kept up to there is shown again."""
        try:
            there = read_json(self.kept, FORMAT_VERSION)
        except (CliplabError, OSError):
            return
        for name, points in there["series"].items():
            self.series[name] = [(int(s), float(v)) for s, v in points if s < step]
        if there["drawn_at"] < step:
            self.picture, self.drawn_at = there["picture"], there["drawn_at"]

    def add(self, step: int, seen: Mapping[str, float]) -> None:
        """Take the numbers of a step; one that is not finite is left out."""
        self.step = step
        for name, value in seen.items():
            if math.isfinite(value):
                self.series.setdefault(name, []).append((step, float(value)))

    def show(self, step: int, picture: np.ndarray) -> None:
        """Take a picture (H, W, C) uint8 in place of the one before."""
        self.step = self.drawn_at = step
        self.picture = _address(picture)

    def write(self, *, now: bool = False) -> None:
        """Write the page where the last writing is a while ago, or `now`."""
        if not self.step or (not now and time.monotonic() - self._written < EVERY):
            return
        kept = {"series": self.series, "picture": self.picture, "drawn_at": self.drawn_at}
        write_json(self.kept, {"format_version": FORMAT_VERSION, **kept})
        page = _template().render(
            title=self.path.parent.name,
            about=self.about,
            step=self.step,
            steps=self.steps,
            done=self.step >= self.steps,
            share=min(1.0, self.step / max(1, self.steps)),
            curves=[_curve(name, points) for name, points in self.series.items() if points],
            picture=self.picture,
            width=WIDTH,
            height=HEIGHT,
        )
        write_bytes(self.path, page.encode("utf-8", "replace"))
        self._written = time.monotonic()


def _curve(name: str, points: Sequence[tuple[int, float]]) -> Curve:
    steps = np.array([step for step, _ in points], dtype=np.float64)
    values = np.array([value for _, value in points])
    low, high = float(values.min()), float(values.max())
    across = (steps - steps[0]) / max(1.0, steps[-1] - steps[0]) * WIDTH
    down = HEIGHT * (1 - (values - low) / ((high - low) or 1.0))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
    places = np.unique(np.linspace(0, len(points) - 1, min(ROWS, len(points))).round().astype(int))
    title, told = name.replace("_", " "), in_words if name == MEMORY else _number
    return Curve(
        title, told(points[-1][1]), line, told(low), told(high),
        tuple((f"{points[i][0]:,}", told(points[i][1])) for i in places),
        f"{title} from {told(points[0][1])} at step {points[0][0]:,} to "
        f"{told(points[-1][1])} at step {points[-1][0]:,}",
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _address(picture: np.ndarray) -> str:
    from PIL import Image

    shown = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    shown.thumbnail((LARGEST, LARGEST))
    if (times := LARGEST // (2 * max(shown.size))) > 1:  # drawings of few pixels are too small
        shown = shown.resize((times * shown.width, times * shown.height), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    shown.save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cliplab.training", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("progress.html.jinja")
