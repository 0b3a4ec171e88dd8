"""Which captions go with which training picture: the data set's own, or prompts of its classes.

n chosen pictures, K distinct texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cliplab.nouns import UNLABELLED, Dataset, Prompts, Task
from cliplab.runtime.errors import DataError, UsageError

AUTO, COLUMN, PROMPTS = "auto", "column", "prompts"
OWN = "the data set's captions"
SIMPLE = Prompts("simple", ("a photo of a {}.",))
"""Where neither the call nor the data set gives prompts; what zero-shot then takes as well."""


class Captioned(NamedTuple):
    """Pictures, each with one caption or more to draw from."""

    rows: np.ndarray  # (n,) int64, of the data set, ascending
    texts: tuple[str, ...]  # K, in the order of first use
    choices: np.ndarray  # int64 in 0..K-1: captions, one picture's (or one class's) after another
    start: np.ndarray  # (n,) int64: where a picture's captions begin in `choices`
    n_captions: np.ndarray  # (n,) int64: how many they are, 1 or more
    classes: np.ndarray  # (n,) int64: whose prompts they are; -1: the data set's own captions
    origin: str  # where they come from, in words
    n_without: int  # pictures left out for want of a caption

    def draw(self, positions: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        """(b,) int64 in 0..K-1: a caption for each of b of the n pictures, drawn evenly."""
        drawn = chance.integers(0, self.n_captions[positions])
        return np.asarray(self.choices[self.start[positions] + drawn], dtype=np.int64)

    def only(self, positions: np.ndarray) -> Captioned:
        """Leave these of the n pictures; texts keep their places."""
        return self._replace(
            rows=self.rows[positions],
            start=self.start[positions],
            n_captions=self.n_captions[positions],
            classes=self.classes[positions],
        )


def caption_pictures(
    dataset: Dataset,
    task: Task,
    splits: Sequence[str],
    *,
    captions: str = AUTO,
    templates: Sequence[str] = (),
) -> Captioned:
    """Choose the pictures of `splits` and the captions to draw from for each.

    Parameters
    ----------
    dataset, task, splits
        With the data set's own captions, unlabelled pictures of the splits are taken too.
    captions
        "column": the data set's own; "prompts": the classes' prompts; "auto": its own where it has
        some and no templates are given, else prompts.
    templates
        Caption templates in place of the task's own, ``{}`` stands for the class.

    Raises
    ------
    DataError
        No picture to train on, none with a caption, or one caption or class alone.
    UsageError
        The data set has no captions and they are asked for.
    """
    if captions == COLUMN and dataset.captions is None:
        raise UsageError(
            f"--captions column: {dataset.name!r} has no captions of its own. Leave the option out "
            "to take the prompts of its classes."
        )
    if not task.class_names and (captions == PROMPTS or templates):
        raise UsageError(
            f"{dataset.name!r} has captions and no classes that prompts could name. Leave "
            "--captions and --prompt out to train on the captions."
        )
    chosen = np.isin(dataset.splits[task.name].astype(str), list(splits))
    own = captions == COLUMN or (
        captions == AUTO and not templates and dataset.captions is not None
    )
    if not own:
        chosen &= dataset.labels[task.name] != UNLABELLED
    rows = np.flatnonzero(chosen)
    if not len(rows):
        there = ", ".join(sorted({str(s) for s in dataset.splits[task.name]} - {""})) or "no split"
        raise DataError(
            f"{dataset.name!r} has no {'' if own else 'labelled '}picture to train on: expected "
            f"the split {' or '.join(splits)}, found {there}."
        )
    return _own(dataset, rows) if own else _prompted(dataset, task, rows, templates)


def check_classes(captioned: Captioned) -> None:
    """Make sure that captions are prompts of classes, for a loss whose targets are classes.

    Raises
    ------
    UsageError
        They are the data set's own, each of its picture.
    """
    if captioned.origin == OWN:
        raise UsageError(
            f"--targets classes wants prompts of classes as captions, and these are {OWN}. Give "
            "--captions prompts, or leave --targets out."
        )


def _own(dataset: Dataset, rows: np.ndarray) -> Captioned:
    assert dataset.captions is not None
    given = [[text for text in dataset.captions[row] if text.strip()] for row in rows]
    count = np.array([len(texts) for texts in given], dtype=np.int64)
    number: dict[str, int] = {}
    choices = [number.setdefault(text, len(number)) for texts in given for text in texts]
    if len(number) < 2:
        raise DataError(
            f"The training pictures of {dataset.name!r} have {len(number)} distinct captions; a "
            "contrast takes at least two. With --captions prompts, class names are the captions."
        )
    found = Captioned(
        rows=rows,
        texts=tuple(number),
        choices=np.array(choices, dtype=np.int64),
        start=np.cumsum(count) - count,
        n_captions=count,
        classes=np.full(len(rows), UNLABELLED, dtype=np.int64),
        origin=OWN,
        n_without=int((count == 0).sum()),
    )
    return found.only(np.flatnonzero(count))


def _prompted(
    dataset: Dataset, task: Task, rows: np.ndarray, templates: Sequence[str]
) -> Captioned:
    prompts = Prompts("given", tuple(templates)) if templates else task.prompts or SIMPLE
    labels = dataset.labels[task.name][rows]
    present = np.unique(labels)
    if len(present) < 2:
        raise DataError(
            f"The training pictures of {dataset.name!r} are all of one class "
            f"({task.class_names[present[0]]!r}); a contrast takes at least two."
        )
    number: dict[str, int] = {}
    choices: list[int] = []
    start, count = np.zeros((2, len(task.class_names)), dtype=np.int64)
    for label in present:
        texts = prompts.texts(task.class_names[label])
        if not texts:
            raise DataError(
                f"No caption for the class {task.class_names[label]!r} in the prompts "
                f"{prompts.name!r}. Give one with --prompt TEXT."
            )
        start[label], count[label] = len(choices), len(texts)
        choices += [number.setdefault(text, len(number)) for text in texts]
    return Captioned(
        rows=rows,
        texts=tuple(number),
        choices=np.array(choices, dtype=np.int64),
        start=start[labels],
        n_captions=count[labels],
        classes=labels,
        origin=f"prompts: {prompts.name}",
        n_without=0,
    )
