"""The whole of it, in a minute and from nothing: train, evaluate, classify; then draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cliplab.classification import Classified, ClassifyConfig, classify
from cliplab.drawing import draw, open_artist
from cliplab.drawing_requests import DrawConfig
from cliplab.evaluation import evaluate
from cliplab.nouns import TEST, Record
from cliplab.protocol import EvaluateConfig

DRAWN, DRAWINGS = 6, 8  # classes, and drawings of each


class Demonstration(NamedTuple):
    """What the demo made."""

    encoder: Path  # folder of the trained CLIP
    record: Record
    digit: Path  # the picture that was classified
    truth: str  # what it shows
    answer: Classified
    drawings: Path  # a grid, a row for each of a few things


def demo(
    out: Path, *, home: Path | None = None, told: Callable[[str], None] = lambda _line: None
) -> Demonstration:
    """Train the tiny CLIP on the digits' training pictures, score it on the held-out ones.

    Parameters
    ----------
    out
        Folder for the trained CLIP (`clip/`), the run (`run/`), a picture and a grid of drawings. A
        CLIP that was trained there before is used again.
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME`.
    told
        Called with a line as each step begins.
    """
    from cliplab.datasets.family import open_dataset
    from cliplab.encoders.contrastive import ContrastiveConfig, train_clip
    from cliplab.runtime.storage import home as home_of
    from cliplab.runtime.storage import write_bytes

    place = home_of(home)
    digits, task = open_dataset("digits", home=place)
    n_train = len(digits.rows(task, "train"))
    told(f"Training a tiny CLIP on {n_train:,} handwritten digits and their captions …")
    encoder = train_clip(digits, ContrastiveConfig(), out / "clip")
    told("Scoring it on the digits that it never saw …")
    config = EvaluateConfig(out=_fresh(out / "run"), home=home, device="cpu")
    record = evaluate(digits, encoder, config, told=told)
    row = int(digits.rows(task, TEST)[0])
    picture = out / "digit.png"
    write_bytes(picture, next(digits.source.open([row]))())
    labels = digits.task(task).class_names
    question = ClassifyConfig(
        label=labels, prompt=("the digit {}",), encoder=str(encoder), device="cpu", home=home
    )
    truth = labels[digits.labels[task][row]]
    answer = classify([picture], question)
    told("Drawing a few things with the model that comes with cliplab …")
    return Demonstration(encoder, record, picture, truth, answer, draw_some(out, home=home))


def draw_some(out: Path, *, home: Path | None = None) -> Path:
    """Write `drawings.png`: a few of the classes that the shipped prior knows, a row each."""
    config = DrawConfig(device="cpu", home=home)
    artist = open_artist(config)
    names = artist.prior.class_names
    chosen = names[:: max(1, len(names) // DRAWN)][:DRAWN]
    return draw(chosen, DRAWINGS, config, artist).save(out / "drawings.png")


def _fresh(folder: Path) -> Path:
    """`folder`, or the first `folder-2`, `folder-3`, … that is not there."""
    number, candidate = 1, folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
