"""What a training tells of itself: its numbers, and pictures of what it can do.

Written under OUT/tensorboard, which `tensorboard --logdir OUT` shows, and as OUT/progress.html. A
training that was cut off goes on in the same curves: what was written after its checkpoint is
marked as void (purge_step).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cliplab.training.checkpoints import Trained
from cliplab.training.progress_page import ProgressPage

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
POINTS, GRIDS = 1000, 20  # of a whole training, at most, beside its first and last

Draw = Callable[[Trained], np.ndarray]
"""A picture (H, W, C) uint8 of what is trained."""


class Watch:
    """Writes the numbers of steps, evenly over a training; `loop.train` calls it."""

    def __init__(
        self,
        folder: Path,
        steps: int,
        *,
        draw: Draw | None = None,
        grids: int = GRIDS,
        about: str = "",
    ) -> None:
        """Write nothing yet.

        Parameters
        ----------
        folder
            Of what is trained; FOLDER is made in it.
        steps
            Of the whole training.
        draw
            Makes a picture every so often.
        grids
            How many pictures at most beside the first and the last; 0: the first alone.
        about
            A text that stands beside the first picture.
        """
        self.folder, self.steps, self.about = folder / FOLDER, steps, about
        self.draw, self.grids = draw, grids
        self.writer: SummaryWriter | None = None
        self.page = ProgressPage(folder, self.folder, steps, about)

    def __call__(self, step: int, seen: Mapping[str, float], trained: Trained) -> None:
        """Write what was seen when `step` steps were done, where it is due."""
        if self.writer is None:
            self.writer = _writer(self.folder, step)
            self.page.take_up(step)
        if self.draw is not None and self._due(step, self.grids):
            picture = self.draw(trained)
            self.writer.add_image("pictures", picture, step, dataformats="HWC")
            self.page.show(step, picture)
            if step == 1 and self.about:
                self.writer.add_text("about", self.about, step)
        if self._due(step, POINTS):
            for name, value in seen.items():
                self.writer.add_scalar(name, value, step)
            self.writer.flush()
            self.page.add(step, seen)
            self.page.write(now=step == self.steps)

    def _due(self, step: int, count: int) -> bool:
        if step == 1 or not count:
            return step == 1
        return step == self.steps or step % max(1, self.steps // count) == 0

    def close(self) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None
            self.page.write(now=True)


@contextmanager
def watching(folder: Path, steps: int, **settings: Any) -> Iterator[Watch]:
    """Give a `Watch` that is closed when the block ends."""
    watch = Watch(folder, steps, **settings)
    try:
        yield watch
    finally:
        watch.close()


def load_tensorboard() -> None:
    """Import what writes, so that it counts as held before a training is planned."""
    import jinja2  # noqa: F401
    import torch.utils.tensorboard  # noqa: F401


def _writer(folder: Path, step: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    folder.mkdir(parents=True, exist_ok=True)
    return SummaryWriter(str(folder), purge_step=step)


def picture_grid(*rows: np.ndarray, gap: int = 2) -> np.ndarray:
    """Lay rows of pictures (n, C, H, W) uint8 one above the other, white between: (H', W', C).

    >>> picture_grid(np.zeros((3, 1, 8, 8), np.uint8), np.zeros((3, 1, 8, 8), np.uint8)).shape
    (22, 34, 1)
    """
    n, channels, height, width = rows[0].shape
    shape = (len(rows) * (height + gap) + gap, n * (width + gap) + gap, channels)
    grid = np.full(shape, 255, dtype=np.uint8)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = gap + y * (height + gap), gap + x * (width + gap)
            grid[top : top + height, left : left + width] = picture.transpose(1, 2, 0)
    return grid
