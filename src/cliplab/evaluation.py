"""MAIN PATH 1: from labelled pictures to a record of how well an encoder sees them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.nouns import (
    DEFAULT_ENCODER,
    TRAIN,
    VALIDATION,
    Dataset,
    Embeddings,
    Encoder,
    Predictions,
    Record,
    Result,
)
from cliplab.protocol import (
    EvaluateConfig,
    Subject,
    check,
    in_words,
    open_subject,
    probe_config,
    warnings_of,
)
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of

Told = Callable[[str], None]
"""Called with the first line of a run, which says what is being measured."""


def evaluate(
    dataset: str | Path | Dataset | Subject,
    encoder: str | Path | Encoder = DEFAULT_ENCODER,
    config: EvaluateConfig | None = None,
    *,
    told: Told = lambda _line: None,
) -> Record:
    """Score classifiers on a data set's held-out pictures through one encoder.

    Parameters
    ----------
    dataset
        A folder of pictures, a catalogue name or `hf:owner/name`, with `:task` after it if need be;
        or a `Dataset`, whose default task is taken.
    encoder
        OpenCLIP's `ARCH/TAG`, a folder made by `cliplab train clip`, or an `Encoder`.
    config
        Protocol, prompts, machine and places. Default: `EvaluateConfig()`.
    told
        Called with one line that says what is measured, before the long work begins.

    Returns
    -------
    Record
        What `record.json` in the run's folder holds; `predictions.parquet` lies beside it.

    Raises
    ------
    UsageError
        An unknown name, or options that do not go together.
    DataError
        Data that cannot be scored: one class alone, a class without training pictures.
    MissingWeights
        Published weights that are neither cached nor to be had.
    StorageError
        The disk is full or not ours to write; what was finished is kept.
    """
    config = config or EvaluateConfig()
    clock = _Clock()
    subject = dataset if isinstance(dataset, Subject) else open_subject(dataset, config)
    check(subject, config)
    eye = open_encoder(encoder, config) if isinstance(encoder, str | Path) else encoder
    clock("loading")
    told(_first_line(subject, eye, config))
    class_vectors = _embed_classes(subject, eye, config)
    clock("texts")
    seen = _embed_splits(subject, eye, config)
    clock("embedding")
    judged = _judge(subject, eye, seen, class_vectors, config)
    clock("classifiers")
    results = [_scored(one, subject.catch_all, config.seed) for one in judged]
    clock("metrics")
    return _write(subject, eye, seen, judged, results, config, clock)


def open_encoder(name: str | Path, config: EvaluateConfig) -> Encoder:
    """Load the encoder that a configuration means."""
    from cliplab.encoders.open_clip import load_encoder

    return load_encoder(
        name, weights=config.weights, device=config.device, precision=config.precision
    )


# ------------------------------------------------------------------------------- the stages


class _Clock:
    """Seconds of each stage, each counted from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 4)
        self._last = now


class _Seen(NamedTuple):
    """What was embedded: split → vectors, and the work that it took."""

    scored: Embeddings
    train: Embeddings | None
    validation: Embeddings | None
    skipped: Mapping[str, Any]  # split → unreadable pictures
    n_encoded: int
    n_cached: int
    seconds: float  # of extraction
    seconds_encoder: float


class _Judged(NamedTuple):
    """A classifier that was fitted, and what it says of the scored pictures."""

    name: str
    fitted: Any
    predictions: Predictions


def _embed_classes(subject: Subject, eye: Encoder, config: EvaluateConfig) -> np.ndarray | None:
    from cliplab.classifiers.family import classifier
    from cliplab.embeddings.texts import embed_class_names

    if not any("text" in classifier(name).NEEDS for name in config.classifier):
        return None
    return embed_class_names(eye, subject.class_names, subject.prompts, home=home_of(config.home))


def _embed_splits(subject: Subject, eye: Encoder, config: EvaluateConfig) -> _Seen:
    from cliplab.classifiers.family import classifier
    from cliplab.embeddings.extract import ExtractConfig, embed

    learns = any("train" in classifier(name).NEEDS for name in config.classifier)
    settings = ExtractConfig(
        batch_size=config.batch_size,
        workers=config.workers,
        on_bad=config.on_bad,
        max_pixels=config.max_pixels,
    )
    found: dict[str, Embeddings] = {}
    work = np.zeros(4)
    for split in dict.fromkeys((config.split, *((TRAIN, VALIDATION) if learns else ()))):
        rows = subject.dataset.rows(subject.task.name, split)
        if len(rows) or split == config.split:
            found[split], stats = embed(
                subject.dataset,
                eye,
                task=subject.task.name,
                rows=rows,
                config=settings,
                home=home_of(config.home),
            )
            work += (stats.n_encoded, stats.n_cached, stats.seconds, stats.seconds_encoder)
    return _Seen(
        found[config.split],
        found.get(TRAIN) if learns else None,
        found.get(VALIDATION) if learns else None,
        {split: embeddings.skipped for split, embeddings in found.items()},
        int(work[0]),
        int(work[1]),
        float(work[2]),
        float(work[3]),
    )


def _judge(
    subject: Subject,
    eye: Encoder,
    seen: _Seen,
    class_vectors: np.ndarray | None,
    config: EvaluateConfig,
) -> list[_Judged]:
    from cliplab.classifiers.candidates import fit
    from cliplab.classifiers.family import Problem

    problem = Problem(
        class_names=subject.class_names,
        class_vectors=class_vectors,
        logit_scale=eye.logit_scale,
        logit_bias=eye.logit_bias,
        train=seen.train,
        validation=seen.validation,
        may_lack_training=subject.task.may_lack_training,
        seed=config.seed,
        device=config.device,
        work=home_of(config.home) / "searches",
        config=probe_config(config),
    )
    judged = []
    for name in config.classifier:
        fitted = fit(name, problem)
        judged.append(_Judged(name, fitted, fitted.predict(seen.scored)))
    return judged


def _scored(one: _Judged, catch_all: Sequence[int], seed: int) -> Result:
    from cliplab.metrics.scores import score, score_without

    scores = score(one.predictions, seed)
    return Result(
        one.name,
        one.fitted.settings,
        scores.metrics,
        scores.per_class,
        scores.confusion,
        score_without(one.predictions, catch_all, seed),
    )


# ------------------------------------------------------------------------------- the record


def _first_line(subject: Subject, eye: Encoder, config: EvaluateConfig) -> str:
    from cliplab.report.blocks import dataset_block, encoder_block, prompts_block
    from cliplab.report.headline import headline

    for warning in warnings_of(subject, config):
        say(f"cliplab: warning: {warning}")
    zero_shot = "zero_shot" in config.classifier
    return headline(
        {
            "encoder": encoder_block(eye),
            "dataset": dataset_block(subject.dataset, subject.task.name, config.split),
            "prompts": prompts_block(subject.prompts, subject.class_names) if zero_shot else None,
            "classifiers": list(config.classifier),
        }
    )


def _write(
    subject: Subject,
    eye: Encoder,
    seen: _Seen,
    judged: list[_Judged],
    results: list[Result],
    config: EvaluateConfig,
    clock: _Clock,
) -> Record:
    from cliplab.report.blocks import dataset_block, encoder_block, prompts_block
    from cliplab.report.record import make_record, write_run
    from cliplab.report.runs import new_run_folder
    from cliplab.runtime.machine import machine, versions

    dataset = dataset_block(subject.dataset, subject.task.name, config.split, seen.scored.ids)
    folder = config.out or new_run_folder(Path("runs"), subject.dataset.name, eye.name)
    record = make_record(
        run=folder,
        dataset={**dataset, "class_names": list(subject.class_names)},
        encoder=encoder_block(eye),
        results=results,
        prompts=prompts_block(subject.prompts, subject.class_names),
        protocol=in_words(subject, eye, config),
        config=config.as_json(),
        timings=_timings(seen, clock),
        machine=machine(eye.device),
        versions=versions(),
        seed=config.seed,
        skipped=seen.skipped,
        traces={one.name: one.fitted.trace for one in judged},
        warnings=warnings_of(subject, config),
    )
    for one in judged:
        one.fitted.save(folder)
    write_run(folder, record, {one.name: one.predictions for one in judged})
    return record


def _timings(seen: _Seen, clock: _Clock) -> dict[str, float | None]:
    """Seconds of each stage; pictures a second over reading, decoding and encoding."""
    rate = seen.n_encoded / seen.seconds if seen.n_encoded and seen.seconds else None
    return {
        **clock.seconds,
        "encoder": round(seen.seconds_encoder, 4),
        "pictures_encoded": seen.n_encoded,
        "pictures_cached": seen.n_cached,
        "pictures_per_second": None if rate is None else round(rate, 2),
    }
