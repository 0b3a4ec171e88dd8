"""The types that cross a boundary between stages; imported by all stages.

Those of the second river, from pixels to drawings, stand in `drawing_nouns` and are found here too.

Legend of letters, used in shapes throughout the project: N pictures, M scored pictures, C classes,
D width of the joint space, F width of the features before the projection, B batch, H W pixels,
T text tokens, K codes of an image tokenizer, h w its token grid.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from cliplab import display
from cliplab.drawing_nouns import ImageTokenizer as ImageTokenizer
from cliplab.drawing_nouns import Pixels as Pixels
from cliplab.drawing_nouns import Prior as Prior
from cliplab.drawing_nouns import Recognizer as Recognizer

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

TRAIN, VALIDATION, TEST = "train", "validation", "test"
DEFAULT_ENCODER = "ViT-B-32/openai"
UNLABELLED = -1


def digest_of(value: object) -> str:
    """Hex SHA-256 of the canonical JSON (sorted keys, no spaces) of a value made of plain types."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class Skipped(NamedTuple):
    """A picture that could not be read, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prompts:
    """Templates that turn a class name into captions; `{}` (or `{c}`) stands for the name.

    With `per_class`, the texts of a class are given outright and `templates` serves the classes
    that it does not name.
    """

    name: str  # where they come from: "simple", "openai-80", "data set", "given", a file's path
    templates: tuple[str, ...] = ()
    per_class: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def texts(self, class_name: str) -> tuple[str, ...]:
        """Captions of one class, in the order given."""
        templates = self.per_class.get(class_name, self.templates)
        return tuple(t.replace("{c}", class_name).replace("{}", class_name) for t in templates)


@dataclass(frozen=True, slots=True)
class Task:
    """A label column: what its integers mean, and how to put them into words."""

    name: str
    class_names: tuple[str, ...]  # C names; the integer label is the position; none: see below
    prompts: Prompts | None = None  # the data set's own; None: the default prompts
    may_lack_training: bool = False  # the source is known to have classes without training pictures
    catch_all: tuple[str, ...] = ()  # of class_names: those that hold what fits no other class


CAPTIONS_ALONE = Task("captions", ())
"""The one task of pictures that have captions and no classes: each is unlabelled; it has splits."""


@dataclass(frozen=True, slots=True)
class Card:
    """Where a data set comes from and what one may do with it."""

    description: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""


class Query(NamedTuple):
    """One query of a retrieval benchmark: a part of a picture, and what should be found by it."""

    name: str  # "all_souls_1"
    id: str  # of the query's picture
    box: tuple[float, float, float, float]  # left, top, right, bottom, in pixels
    good: tuple[str, ...]  # ids of pictures that show it clearly
    ok: tuple[str, ...]  # ids of pictures that show more than a quarter of it
    junk: tuple[str, ...]  # ids that count neither for nor against


class PictureSource(Protocol):
    """Encoded bytes of a data set's pictures, read where they lie."""

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, in the order asked for, a callable that reads its encoded bytes.

        The iterator is used by one thread; the callables may be called later and in others. One
        that cannot read raises OSError.
        """
        ...


@runtime_checkable
class PixelSource(Protocol):
    """A `PictureSource` of grey pictures of one size that has their pixels without decoding them.

    What trains on many small pictures asks for them so, thousands at once.
    """

    def pixels(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, H, W) uint8, exactly what the encoded pictures of `rows` hold, in that order.

        Raises OSError where one of them cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Dataset(display.DatasetInNotebook):
    """Labelled pictures with stable ids, tasks and splits; the pictures themselves stay on disk."""

    name: str  # as the user names it, without the task: "photos/", "digits", "hf:owner/name"
    tasks: Mapping[str, Task]  # the first is the default
    ids: np.ndarray  # (N,) str objects, unique, POSIX paths in Unicode NFC
    labels: Mapping[str, np.ndarray]  # task → (N,) int64 in -1..C-1, -1 is unlabelled
    splits: Mapping[str, np.ndarray]  # task → (N,) str objects: train, validation, test, "" (none)
    digests: np.ndarray  # (N,) str objects: hex SHA-256 of each picture's encoded bytes
    source: PictureSource
    captions: Sequence[tuple[str, ...]] | None = None  # N tuples, where the source has captions
    card: Card = field(default_factory=Card)
    split_origin: str = "given"  # or "fixed", "hashed": the project's own (`datasets/splits.py`)
    location: Path | None = None  # the folder (or single file) read, where there is one
    archives: Mapping[str, str] = field(default_factory=dict)  # file name → "md5:…", "sha256:…"
    queries: tuple[Query, ...] = ()  # of its retrieval benchmark, where it has one

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        tasks = ", ".join(f"{name} ({len(t.class_names)})" for name, t in self.tasks.items())
        return f"Dataset({self.name!r}, {len(self):,} pictures; classes: {tasks})"

    def task(self, name: str | None = None) -> Task:
        """Give the task of that name, the default one without."""
        from cliplab.runtime.errors import UnknownName

        key = name or next(iter(self.tasks))
        if key not in self.tasks:
            raise UnknownName("task", key, self.tasks, hint=f"of data set {self.name!r}")
        return self.tasks[key]

    def rows(self, task: str, split: str = "all") -> np.ndarray:
        """Rows (n,) int64 of the labelled pictures of a split, in the data set's order."""
        labelled = self.labels[task] != UNLABELLED
        if split != "all":
            labelled = labelled & (self.splits[task] == split)
        return np.flatnonzero(labelled)

    def content_digest(self) -> str:
        """Hex SHA-256 over ids, picture digests, tasks, labels and splits: changes with any."""
        sha = hashlib.sha256()
        for column in (self.ids, self.digests):
            sha.update("\n".join(column).encode() + b"\0")
        for name, task in self.tasks.items():
            sha.update(digest_of([name, task.class_names]).encode())
            sha.update(np.ascontiguousarray(self.labels[name], dtype="<i8").tobytes())
            sha.update("\n".join(self.splits[name]).encode() + b"\0")
        return sha.hexdigest()


class ImageVectors(NamedTuple):
    """What an image tower gives for a batch; raw, not normalised."""

    embedding: torch.Tensor  # (B, D) float32, in the joint space of pictures and texts
    features: torch.Tensor | None  # (B, F) float32, before the projection; None: no such layer


@runtime_checkable
class Encoder(Protocol):
    """Image and text towers with their preprocessing, logit scale and identity.

    `identity` is a mapping of plain types that names all that changes the vectors: weights digest,
    architecture, activation, preprocessing, precision, device kind, threads, library versions.
    """

    name: str
    identity: Mapping[str, Any]
    logit_scale: float  # multiplies cosines before the softmax, e.g. 100.0
    logit_bias: float  # added after; 0.0 but for SigLIP's kind
    width: int  # D
    feature_width: int | None  # F; None where nothing lies before the joint space
    resolution: tuple[int, int]  # (H, W) pixels
    device: str  # "cpu", "cuda", "mps"

    def preprocess(self, picture: Image) -> torch.Tensor:
        """(3, H, W) float32 of one 8-bit RGB picture; safe to call in several threads."""
        ...

    def encode_pixels(self, pixels: torch.Tensor) -> ImageVectors:
        """Vectors of a batch (B, 3, H, W) of preprocessed pictures, on the CPU."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """(N, D) float32 vectors of N texts, raw."""
        ...


@dataclass(frozen=True, slots=True)
class Embeddings(display.EmbeddingsInNotebook):
    """Vectors of a data set's pictures, with their labels and the identity of what made them."""

    ids: np.ndarray  # (N,) str objects
    vectors: np.ndarray  # (N, D) float32, raw (not normalised), joint space
    features: np.ndarray | None  # (N, F) float32, raw, before the projection; None: no such layer
    labels: np.ndarray  # (N,) int64 in 0..C-1
    class_names: tuple[str, ...]  # C names
    identity: Mapping[str, Any]  # the encoder's identity
    skipped: tuple[Skipped, ...] = ()  # pictures asked for that could not be read

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Predictions(display.PredictionsInNotebook):
    """What a classifier says of M pictures."""

    ids: np.ndarray  # (M,) str objects
    labels: np.ndarray  # (M,) int64 in 0..C-1, the given labels
    scores: np.ndarray  # (M, C) float32, log-probabilities; -inf: the class was not a candidate
    class_names: tuple[str, ...]  # C names

    @property
    def predicted(self) -> np.ndarray:
        """(M,) int64, the class of the highest score; the first of equals."""
        return np.asarray(self.scores.argmax(axis=1), dtype=np.int64)


class Measure(NamedTuple):
    """A number with its 95 % interval; `value` None is "not scored", which is not zero."""

    value: float | None
    low: float | None = None
    high: float | None = None


class PerClass(NamedTuple):
    """One row of the table by class; `n` 0 is not scored: accuracy and interval are None."""

    name: str
    n: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class WithoutCatchAll:
    """How well a classifier did on the pictures whose label is no catch-all class.

    The pictures of such classes are left out; the classes stay among the candidates, so that it is
    the same predictions that are counted.
    """

    classes: tuple[str, ...]  # the catch-all classes
    n: int  # pictures left
    metrics: Mapping[str, Measure]  # top1, top5, mean_per_class, ece


@dataclass(frozen=True, slots=True)
class Result:
    """How well one classifier did: a block of a record."""

    classifier: str  # "zero_shot", "linear_probe", …
    settings: Mapping[str, Any]
    metrics: Mapping[str, Measure]  # top1, top5, mean_per_class, ece
    per_class: tuple[PerClass, ...]
    confusion: np.ndarray  # (C, C) int64 counts, rows true, columns predicted
    without_catch_all: WithoutCatchAll | None = None  # None: the task has no such class
    calibration: Mapping[str, Any] | None = None  # temperature and reliability, as in the record


@dataclass(frozen=True, slots=True)
class Record(display.RecordInNotebook):
    """One evaluation, as `record.json` holds it: plain JSON types in the shape of the schema."""

    data: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    @property
    def run(self) -> Path:
        """The folder of the run."""
        return Path(self.data["run"])


ProgressSink = Callable[[int], None]
"""Told how many more items are done."""

Texts = Iterable[str]
