"""Pictures through a tokenizer and back: how well a data set's are kept, and a few to look at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.nouns import TEST, TRAIN, Dataset, Record, Skipped
from cliplab.protocol import take_paths
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of

if TYPE_CHECKING:
    from cliplab.recognizers.saved import DrawingRecognizer
    from cliplab.tokenizers.evaluation import Measured
    from cliplab.tokenizers.saved import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateTokenizerConfig:
    """How a tokenizer is measured."""

    split: str = TEST  # of the pictures that are measured
    pictures: int | None = None  # at most, evenly spread over the split; None: some minutes' worth
    recognizer: bool = True  # whether a classifier is trained, to tell what stays recognisable
    seed: int = 0  # of the recogniser and the bootstrap
    device: str = "auto"  # of the recogniser
    memory: str | None = None  # such as 2GiB: pictures are taken in batches that fit
    workers: int | None = None  # threads that decode; None: one a core
    on_bad: str = "list"  # an unreadable picture is listed; "fail": it ends the work
    home: Path | None = None  # where recognisers and pixels are kept; None: CLIPLAB_HOME
    out: Path | None = None  # folder of the run; None: ./runs/DATASET-TOKENIZER-DATE

    def __post_init__(self) -> None:
        take_paths(self, "home", "out")
        if self.pictures is not None and self.pictures < 1:
            raise UsageError(f"pictures {self.pictures}: give 1 or more.")
        if self.on_bad not in ("list", "fail"):
            raise UsageError(f"--on-bad {self.on_bad}: give list or fail.")
        if self.memory is not None:
            from cliplab.training.memory import parse_bytes

            parse_bytes(self.memory)


def evaluate_tokenizer(
    dataset: Dataset,
    tokenizer: Tokenizer,
    config: EvaluateTokenizerConfig | None = None,
    *,
    task: str | None = None,
) -> Record:
    """Measure what a tokenizer makes of a data set's held-out pictures.

    Reconstructions are from the tokens alone, without noise. They are held against their pictures
    (L1, PSNR, SSIM, and of drawings stroke IoU), beside the mean of the training pictures and blank
    paper; the use of the vocabulary is counted; the relaxed reconstruction that training sees is
    compared with the tokens'; and a classifier trained on the training pictures says how many
    originals and reconstructions it recognises.

    Parameters
    ----------
    dataset
        With training pictures and held-out ones.
    tokenizer
        As `load_tokenizer` gives it.
    config
        Default: `EvaluateTokenizerConfig()`.
    task
        The label column whose split is taken. Default: the data set's first.

    Returns
    -------
    Record
        What `record.json` of kind `tokenizer` in the run's folder holds.

    Raises
    ------
    DataError
        No pictures in the split, or none that can be read.
    """
    from cliplab.metrics.tokenization import score_tokenizer
    from cliplab.tokenizers.evaluation import measure_tokenizer, pictures_in_minutes
    from cliplab.tokenizers.pixel_stream import evenly
    from cliplab.training.memory import parse_bytes

    config = config or EvaluateTokenizerConfig()
    task = dataset.task(task).name
    held_out = held_out_rows(dataset, task, config.split)
    started = time.perf_counter()
    recognizer = _recognizer(dataset, task, tokenizer, config) if config.recognizer else None
    trained = time.perf_counter()
    labels = dataset.labels[task]
    measured = measure_tokenizer(
        dataset,
        evenly(held_out, config.pictures or pictures_in_minutes(tokenizer)),
        tokenizer,
        train_rows=_rows(dataset, task, TRAIN) if _has(dataset, task, TRAIN) else held_out,
        labels=labels,
        recognizer=recognizer,
        workers=config.workers,
        on_bad=config.on_bad,
        memory=parse_bytes(config.memory) if config.memory else None,
    )
    labelled = labels[measured.rows] >= 0
    scores = score_tokenizer(
        measured.distances,
        measured.tokens,
        tokenizer.codes,
        measured.soft,
        measured.hard,
        None if measured.recognised is None else measured.recognised[labelled],
        seed=config.seed,
    )
    ended = time.perf_counter()
    timings = {"recognizer": trained - started, "reconstruction": ended - trained}
    parts = _Parts(dataset, task, tokenizer, recognizer, measured, len(held_out), timings)
    return _write(parts, scores, config)


def evaluate_held_out(
    dataset: Dataset,
    tokenizer: Tokenizer,
    config: EvaluateTokenizerConfig,
    *,
    task: str | None = None,
) -> Record | None:
    """Evaluate as `evaluate_tokenizer` does, where there is something to do.

    A record of these weights on these pictures that is in `config.out` already is given back; where
    the data set holds no pictures out, None.
    """
    from cliplab.report.tokenizer_record import read_tokenizer_record

    task = dataset.task(task).name
    if not _has(dataset, task, config.split):
        say(f"{dataset.name} holds no pictures out ({config.split}); nothing is measured.")
        return None
    if config.out is not None and (config.out / "record.json").is_file():
        there = read_tokenizer_record(config.out)
        same = there["tokenizer"]["identity"].get("weights") == tokenizer.digest
        if same and there["dataset"]["digest"] == dataset.content_digest():
            return there
    return evaluate_tokenizer(dataset, tokenizer, config, task=task)


def held_out_rows(dataset: Dataset, task: str, split: str = TEST) -> np.ndarray:
    """Rows (n,) int64 of a split, labelled or not.

    Raises
    ------
    DataError
        There are none.
    """
    rows = _rows(dataset, task, split)
    if not len(rows):
        there = sorted({str(name) for name in dataset.splits[task]} - {""})
        raise DataError(
            f"{dataset.name!r} has no pictures in the split {split!r}; it has "
            f"{', '.join(there) or 'none'}."
        )
    return rows


def _rows(dataset: Dataset, task: str, split: str) -> np.ndarray:
    return np.flatnonzero(dataset.splits[task] == split)


def _has(dataset: Dataset, task: str, split: str) -> bool:
    return bool((dataset.splits[task] == split).any())


class _Parts(NamedTuple):
    dataset: Dataset
    task: str
    tokenizer: Tokenizer
    recognizer: DrawingRecognizer | None
    measured: Measured
    n_held_out: int
    timings: dict[str, float]


def _write(parts: _Parts, scores: Any, config: EvaluateTokenizerConfig) -> Record:
    from cliplab.report.runs import new_run_folder
    from cliplab.report.tokenizer_record import (
        make_tokenizer_record,
        pictures_block,
        tokenizer_block,
        write_tokenizer_record,
    )
    from cliplab.runtime.machine import machine, versions
    from cliplab.tokenizers.dvae import parameter_count

    dataset, tokenizer, measured = parts.dataset, parts.tokenizer, parts.measured
    run = config.out or new_run_folder(Path("runs"), dataset.name, tokenizer.name)
    rows = measured.rows.tolist()
    record = make_tokenizer_record(
        run=run,
        dataset=pictures_block(dataset, parts.task, config.split, rows, parts.n_held_out),
        tokenizer=tokenizer_block(
            tokenizer,
            parameters=parameter_count(tokenizer.model),
            device=tokenizer.device,
        ),
        scores=scores,
        objective=tokenizer.recipe.objective,
        recognizer=parts.recognizer,
        skipped=measured.skipped,
        config=asdict(config),
        timings={name: round(seconds, 4) for name, seconds in parts.timings.items()},
        machine=machine(tokenizer.device),
        versions=versions(),
        seed=config.seed,
    )
    write_tokenizer_record(run, record)
    return record


def _recognizer(
    dataset: Dataset, task: str, tokenizer: Tokenizer, config: EvaluateTokenizerConfig
) -> DrawingRecognizer | None:
    """Train a recogniser of the tokenizer's kind of pictures, or give the one that is kept."""
    from cliplab.nouns import digest_of
    from cliplab.recognizers.saved import load_recognizer
    from cliplab.recognizers.training import RecognizerConfig, train_recognizer
    from cliplab.tokenizers.pixel_store import open_pixels, source_marks

    names, rows = dataset.task(task).class_names, dataset.rows(task, TRAIN)
    if len(np.unique(dataset.labels[task][rows])) < 2:
        say(f"{dataset.name} has no two classes to learn; what stays recognisable is not scored.")
        return None
    channels, *size = tokenizer.shape
    place, recipe = home_of(config.home), RecognizerConfig(seed=config.seed, device=config.device)
    pixels, _skipped = open_pixels(
        dataset,
        rows,
        size=(size[0], size[1]),
        channels=channels,
        folder=place / "pixels",
        on_bad=config.on_bad,
        workers=config.workers,
    )
    content = digest_of([dataset.content_digest(), task, source_marks(dataset)])
    kept = {name: value for name, value in asdict(recipe).items() if name != "device"}
    folder = place / "recognizers" / digest_of([content, list(tokenizer.shape), kept])[:16]
    say(f"A recogniser of {len(names)} classes tells what stays recognisable ({folder}).")
    labels = dataset.labels[task][pixels.rows]
    train_recognizer(pixels, labels, names, recipe, folder, content=content)
    return load_recognizer(folder, device=tokenizer.device)


# ------------------------------------------------------------------------------- a few to look at


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """Pictures beside what a tokenizer makes of them."""

    out: Path  # the grid: originals above, reconstructions below
    ids: tuple[str, ...]  # M paths, as given
    distances: dict[str, np.ndarray]  # l1, mse, ssim, of grey pictures stroke_iou: (M,) float64
    skipped: tuple[Skipped, ...]  # pictures that could not be read


def reconstruct(
    pictures: Sequence[str | Path],
    tokenizer: Tokenizer,
    out: str | Path,
    *,
    most: int = 64,
    workers: int | None = None,
    on_bad: str = "list",
) -> Reconstructed:
    """Draw pictures and, below each, what is left of it after the tokenizer.

    Parameters
    ----------
    pictures
        Paths of pictures, or of folders, whose pictures are all taken.
    tokenizer
        As `load_tokenizer` gives it; pictures are brought to its size and channels.
    out
        File of the grid; its suffix says the format (.png).
    most
        Pictures at most; the first so many are taken.
    workers
        Threads that decode; None: one a core.
    on_bad
        "list": an unreadable picture is listed; "fail": it ends the call.

    Raises
    ------
    UsageError
        No such file, no pictures in a folder, or a suffix that is no picture's.
    DataError
        None of the pictures can be read.
    """
    from cliplab.datasets.picture_files import PictureFiles, picture_files
    from cliplab.metrics.reconstruction import strokes_are_dark
    from cliplab.pictures.grid import above_each_other, save_picture, written_as
    from cliplab.pictures.loader import batches
    from cliplab.tokenizers.evaluation import distances, pictures_at_once
    from cliplab.tokenizers.pixel_store import brought_to

    written_as(Path(out))
    files = picture_files(pictures)
    if len(files) > most:
        say(f"The first {most} of {len(files):,} pictures are drawn.")
    files = files[:most]
    prepare = brought_to(tokenizer.shape)
    at_once = pictures_at_once(tokenizer)
    kept: list[int] = []
    originals: list[np.ndarray] = []
    drawn: list[np.ndarray] = []
    skipped: list[Skipped] = []
    for batch in batches(
        PictureFiles(files), range(len(files)), prepare, batch_size=at_once, workers=workers
    ):
        skipped += [Skipped(str(files[row]), reason) for row, reason in batch.skipped]
        if skipped and on_bad == "fail":
            raise DataError(f"{skipped[0].id} cannot be read: {skipped[0].reason}.")
        if len(batch.rows):
            kept += batch.rows.tolist()
            originals.append(batch.pixels.numpy().copy())
            drawn.append(tokenizer.decode(tokenizer.encode(originals[-1])))
    if not kept:
        reasons = "; ".join(f"{one.id}: {one.reason}" for one in skipped[:4])
        raise DataError(f"None of the {len(files)} pictures can be read ({reasons}).")
    above, below = np.concatenate(originals), np.concatenate(drawn)
    save_picture(Path(out), above_each_other(above, below))
    are_dark = strokes_are_dark(above.mean(axis=0))
    return Reconstructed(
        Path(out),
        tuple(str(files[row]) for row in kept),
        distances(above, below, are_dark),
        tuple(skipped),
    )
