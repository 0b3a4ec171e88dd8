"""What drawings show, as conditions that a prior learns them by: vectors of words, or classes.

N pictures of the data set, R conditions, E their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.embeddings.prompts import resolve_prompts
from cliplab.nouns import TEST, UNLABELLED, VALIDATION, Dataset, Prompts, Task
from cliplab.priors.config import CLASS, IMAGE, TEXT
from cliplab.runtime.errors import DataError, UsageError
from cliplab.tokenizers.pixel_stream import evenly

if TYPE_CHECKING:
    from cliplab.nouns import Encoder
    from cliplab.priors.config import PriorConfig

FEW = 8  # conditions that grids in TensorBoard are asked by
PLAIN = (
    "{}",
    "a {}",
    "a {}.",
    "the {}",
    "A {}.",
    "{} drawing",
    "{} doodle",
    "{} sketch",
    "a drawing of a {}",
    "a doodle of a {}",
    "a sketch of a {}",
    "a picture of a {}",
    "a simple drawing of a {}",
    "a line drawing of a {}",
    "a hand-drawn {}",
    "draw a {}",
)
"""What people ask with, beside the data set's own prompts; `A {}.` is learnt in capitals too."""
EVERYDAY = (
    "apple", "ball", "bed", "bicycle", "bird", "boat", "book", "bottle", "bridge", "bus", "car",
    "cat", "chair", "clock", "cloud", "cup", "dog", "door", "elephant", "eye", "face", "fish",
    "flower", "hand", "hat", "horse", "house", "key", "lamp", "leaf", "moon", "mountain",
    "person", "plane", "river", "shoe", "spoon", "star", "street", "sun", "table", "train", "tree",
)  # fmt: skip
"""What texts are about where a data set has no classes: their mean says where texts lie."""


class Shown(NamedTuple):
    """What the pictures of a data set show, as conditions."""

    conditions: np.ndarray  # (R, E) float32
    start: np.ndarray  # (N,) int64, of the data set's rows: where a picture's conditions begin
    counts: np.ndarray  # (N,) int64, how many they are; 0: none
    prompts: tuple[str, ...]  # templates, `{}` stands for the class; or captions; none
    asked: np.ndarray  # (n, E) float32, a few conditions that the grids in TensorBoard are asked by
    names: tuple[str, ...]  # n, in words


class Subject(NamedTuple):
    """What is learnt: pictures, and what is known of them."""

    dataset: Dataset
    task: Task
    config: PriorConfig
    encoder: Encoder | None
    home: Path

    @property
    def width(self) -> int:
        """E, of a condition."""
        return len(self.task.class_names) if self.encoder is None else self.encoder.width

    @property
    def has_captions_alone(self) -> bool:
        """Whether texts are the pictures' own captions."""
        return self.dataset.captions is not None and not self.task.class_names

    def held_out_split(self) -> str:
        """Give the split that tells how well: validation, else test."""
        return VALIDATION if (self.dataset.splits[self.task.name] == VALIDATION).any() else TEST

    def rows(self, split: str) -> np.ndarray:
        """Rows (n,) int64 of a split: those with a label, a caption, or any, by the condition."""
        chosen = self.dataset.splits[self.task.name] == split
        if self.config.condition != IMAGE and not self.has_captions_alone:
            chosen &= self.dataset.labels[self.task.name] != UNLABELLED
        elif self.config.condition == TEXT:
            chosen &= _have_captions(self.dataset)
        return np.flatnonzero(chosen)

    def check(self, rows: np.ndarray) -> None:
        """Refuse, before anything is made, what cannot be learnt."""
        name, condition = self.dataset.name, self.config.condition
        if condition != CLASS and self.encoder is None:
            raise UsageError(
                f"A prior that is asked by {condition} wants an encoder: give --encoder, such as a "
                "folder made by `cliplab train clip`, or --condition class."
            )
        if condition == CLASS and self.encoder is not None:
            raise UsageError("--condition class takes no --encoder; leave one of them out.")
        if condition == CLASS and not self.task.class_names:
            raise DataError(f"{name!r} has no classes; give --condition text or image.")
        if not len(rows):
            there = sorted({str(one) for one in self.dataset.splits[self.task.name]} - {""})
            what = "pictures" if condition == IMAGE else "labelled pictures"
            raise DataError(
                f"{name!r} has no {what} to learn from: expected the split train, found "
                f"{', '.join(there) or 'none'}."
                + ("" if condition == IMAGE else " --condition image needs no labels.")
            )

    def shown(self, rows: np.ndarray) -> Shown:
        """Give the conditions of these rows."""
        if self.config.condition == CLASS:
            return _by_class(self)
        if self.config.condition == TEXT:
            return _by_caption(self, rows) if self.has_captions_alone else _by_text(self)
        return _by_image(self, rows)


def _have_captions(dataset: Dataset) -> np.ndarray:
    """(N,) bool: which pictures have a caption that is not blank."""
    return np.array([any(map(str.strip, texts)) for texts in dataset.captions or ()], dtype=bool)


def _by_class(subject: Subject) -> Shown:
    labels, names = subject.dataset.labels[subject.task.name], subject.task.class_names
    conditions = np.eye(len(names), dtype=np.float32)
    few = evenly(np.arange(len(names)), FEW)
    return Shown(
        conditions,
        start=labels.clip(0),
        counts=(labels != UNLABELLED).astype(np.int64),
        prompts=(),
        asked=conditions[few],
        names=tuple(names[i] for i in few),
    )


def _by_text(subject: Subject) -> Shown:
    """Texts of each class, one class after another."""
    labels, names = subject.dataset.labels[subject.task.name], subject.task.class_names
    prompts = _prompts(subject)
    texts = [texts_of(name, prompts) for name in names]
    count = np.array([len(of_class) for of_class in texts], dtype=np.int64)
    start = np.cumsum(count) - count
    conditions = _vectors(subject, [text for of_class in texts for text in of_class])
    few = evenly(np.arange(len(names)), FEW)
    asked = [f"a {names[i]}" for i in few]
    return Shown(
        conditions,
        start=start[labels.clip(0)],
        counts=np.where(labels == UNLABELLED, 0, count[labels.clip(0)]),
        prompts=(*prompts.templates, *PLAIN),
        asked=_vectors(subject, asked),
        names=tuple(asked),
    )


def _by_caption(subject: Subject, rows: np.ndarray) -> Shown:
    """Give the pictures' own captions, each distinct text encoded once."""
    captions = subject.dataset.captions
    assert captions is not None
    count = np.zeros(len(subject.dataset), dtype=np.int64)
    own = {int(row): [text for text in captions[row] if text.strip()] for row in rows}
    texts = [text for row in sorted(own) for text in own[row]]
    for row, of_picture in own.items():
        count[row] = len(of_picture)
    distinct = list(dict.fromkeys(texts))
    place = {text: number for number, text in enumerate(distinct)}
    vectors = _vectors(subject, distinct)[[place[text] for text in texts]]
    few = evenly(np.arange(len(distinct)), FEW)
    asked = [distinct[i] for i in few]
    return Shown(
        vectors,
        start=np.cumsum(count) - count,
        counts=count,
        prompts=tuple(distinct),
        asked=_vectors(subject, asked),
        names=tuple(asked),
    )


def _by_image(subject: Subject, rows: np.ndarray) -> Shown:
    """Vectors of the pictures themselves, moved to where those of texts lie."""
    from cliplab.embeddings.extract import ExtractConfig, embed
    from cliplab.embeddings.normalise import normalise

    dataset, encoder, config = subject.dataset, subject.encoder, subject.config
    assert encoder is not None
    found = embed(
        dataset,
        encoder,
        task=subject.task.name,
        rows=np.unique(rows),
        config=ExtractConfig(workers=config.workers, on_bad=config.on_bad),
        home=subject.home,
    ).embeddings
    names = subject.task.class_names or EVERYDAY
    prompts = _prompts(subject)
    texts = _vectors(subject, [text for name in names for text in texts_of(name, prompts)])
    vectors = normalise(found.vectors)
    conditions = normalise(vectors - vectors.mean(axis=0) + texts.mean(axis=0))
    start = np.zeros(len(dataset), dtype=np.int64)
    count = np.zeros(len(dataset), dtype=np.int64)
    place = {id_: number for number, id_ in enumerate(dataset.ids)}
    at = np.array([place[id_] for id_ in found.ids], dtype=np.int64)
    start[at], count[at] = np.arange(len(at)), 1
    few = evenly(np.arange(len(names)), FEW)
    asked = [f"a {names[i]}" for i in few]
    return Shown(conditions, start, count, (), _vectors(subject, asked), tuple(asked))


def _prompts(subject: Subject) -> Prompts:
    return resolve_prompts(subject.config.prompt, None, subject.task, subject.dataset.name)


def texts_of(name: str, prompts: Prompts) -> list[str]:
    """Give the distinct texts that a class is learnt by: its prompts, then the plain forms.

    Before a vowel both "a" and "an" are learnt, as people write both.

    >>> [text for text in texts_of("owl", Prompts("none", ("one {}",))) if "an owl" in text][:2]
    ['an owl', 'an owl.']
    """
    plain = [template.replace("{}", name) for template in PLAIN]
    texts = [*prompts.texts(name), *plain, name.upper(), f"A {name.upper()}."]
    if name[:1].lower() in "aeiou":
        texts += [
            text.replace(f"a {name}", f"an {name}").replace(f"A {name}", f"An {name}")
            for text in texts
        ]
    return list(dict.fromkeys(texts))


def _vectors(subject: Subject, texts: Sequence[str]) -> np.ndarray:
    """(T, E) float32 unit vectors of texts, kept for the next time."""
    from cliplab.embeddings.normalise import normalise
    from cliplab.embeddings.texts import encode_texts

    assert subject.encoder is not None
    return normalise(encode_texts(subject.encoder, texts, home=subject.home))
