"""MAIN PATH 1: from labelled pictures to a record of how well an encoder sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.lesson import relabelled
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
    is_retrieval,
    open_subject,
    probe_config,
    scored_part,
    training_part,
    warnings_of,
)
from cliplab.retrieval import retrieve
from cliplab.runtime.clock import Clock
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of

if TYPE_CHECKING:
    from cliplab.classifiers.family import Fitted, Problem
    from cliplab.classifiers.held_out import Unseen
    from cliplab.few_shot import FewShot

Told = Callable[[str], None]
"""Called with the first line of a run, which says what is being measured."""


def evaluate(
    dataset: str | Path | Dataset | Subject,
    encoder: str | Path | Encoder = DEFAULT_ENCODER,
    config: EvaluateConfig | None = None,
    *,
    told: Told = lambda _line: None,
    fitted: dict[str, Learned] | None = None,
) -> Record:
    """Score classifiers on a data set's held-out pictures through one encoder.

    With the task `retrieval` (`oxford:retrieval`), how well pictures are found is scored instead.

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
    fitted
        Classifiers by name that need not be fitted again; those fitted here are added. Give the
        same dictionary to score one training set on several data sets of the same classes;
        warnings then stand in the records alone.

    Returns
    -------
    Record
        What `record.json` in the run's folder holds; `predictions.parquet` lies beside it, and
        `report.html`, the page to look at, unless `config.report` is off.

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
    clock = Clock()
    subject = dataset if isinstance(dataset, Subject) else open_subject(dataset, config)
    check(subject, config)
    eye = open_encoder(encoder, config) if isinstance(encoder, str | Path) else encoder
    clock("loading")
    if is_retrieval(subject.dataset, subject.task):
        found = retrieve(subject, eye, config, clock, told=told)
        _report(found, subject, config)
        return found
    if fitted is None:
        for warning in warnings_of(subject, config):
            say(f"cliplab: warning: {warning}")
    told(_first_line(subject, eye, config))
    class_vectors = _embed_classes(subject, eye, config)
    clock("texts")
    known = {} if fitted is None else fitted
    seen = _embed_splits(subject, eye, config, known)
    clock("embedding")
    problem = _problem(subject, eye, seen, class_vectors, config)
    judged = [_judge(name, problem, seen.scored, known) for name in config.classifier]
    clock("classifiers")
    results = [_scored(one, subject.catch_all, config.seed) for one in judged]
    clock("metrics")
    curves = _few_shot(problem, seen.scored, results, config)
    clock("few_shot")
    record = _write(subject, eye, seen, class_vectors, judged, results, curves, config, clock)
    _report(record, subject, config)
    return record


def open_encoder(name: str | Path, config: EvaluateConfig) -> Encoder:
    """Load the encoder that a configuration means."""
    from cliplab.encoders.open_clip import load_encoder

    return load_encoder(
        name, weights=config.weights, device=config.device, precision=config.precision
    )


# ------------------------------------------------------------------------------- the stages


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


class Learned(NamedTuple):
    """A fitted classifier, and what it says of pictures that are neither learned nor scored."""

    fitted: Fitted
    unseen: Unseen


class _Judged(NamedTuple):
    """A classifier that was fitted, and what it says of the scored pictures."""

    name: str
    fitted: Fitted
    unseen: Unseen
    predictions: Predictions


def _embed_classes(subject: Subject, eye: Encoder, config: EvaluateConfig) -> np.ndarray | None:
    from cliplab.classifiers.family import classifier
    from cliplab.embeddings.texts import embed_class_names

    if not any("text" in classifier(name).NEEDS for name in config.classifier):
        return None
    return embed_class_names(eye, subject.class_names, subject.prompts, home=home_of(config.home))


def _embed_splits(
    subject: Subject, eye: Encoder, config: EvaluateConfig, known: Mapping[str, Learned]
) -> _Seen:
    from cliplab.classifiers.family import classifier
    from cliplab.embeddings.extract import ExtractConfig, embed

    to_fit = [name for name in config.classifier if name not in known]
    learns = any("train" in classifier(name).NEEDS for name in to_fit)
    settings = ExtractConfig(
        batch_size=config.batch_size,
        workers=config.workers,
        on_bad=config.on_bad,
        max_pixels=config.max_pixels,
    )
    parts = {config.split: scored_part(subject, config.split)}
    if learns:
        parts |= {split: training_part(subject, split) for split in (TRAIN, VALIDATION)}
    found: dict[str, Embeddings] = {}
    work = np.zeros(4)
    for split, part in parts.items():
        if len(part.rows) or split == config.split:
            raw, stats = embed(
                part.dataset,
                eye,
                task=part.task,
                rows=part.rows,
                config=settings,
                home=home_of(config.home),
            )
            found[split] = relabelled(raw, part.classes, subject.class_names)
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


def _problem(
    subject: Subject,
    eye: Encoder,
    seen: _Seen,
    class_vectors: np.ndarray | None,
    config: EvaluateConfig,
) -> Problem:
    from cliplab.classifiers.family import Problem

    return Problem(
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


def _judge(name: str, problem: Problem, scored: Embeddings, known: dict[str, Learned]) -> _Judged:
    from cliplab.classifiers.candidates import fit
    from cliplab.classifiers.held_out import held_out

    if name not in known:
        fitted = fit(name, problem)
        known[name] = Learned(fitted, held_out(name, fitted, problem))
    learned = known[name]
    return _Judged(name, learned.fitted, learned.unseen, learned.fitted.predict(scored))


def _scored(one: _Judged, catch_all: Sequence[int], seed: int) -> Result:
    from cliplab.metrics.scores import calibration, score, score_without

    scores = score(one.predictions, seed)
    return Result(
        one.name,
        one.fitted.settings,
        scores.metrics,
        scores.per_class,
        scores.confusion,
        score_without(one.predictions, catch_all, seed),
        calibration(one.predictions, one.unseen.predictions, one.unseen.how),
    )


def _few_shot(
    problem: Problem, scored: Embeddings, results: Sequence[Result], config: EvaluateConfig
) -> FewShot | None:
    from cliplab.few_shot import few_shot

    if not config.shots:
        return None
    top1 = {result.classifier: result.metrics["top1"].value for result in results}
    return few_shot(
        problem,
        scored,
        config.classifier,
        shots=config.shots,
        repeats=config.repeats,
        zero_shot=top1.get("zero_shot"),
    )


# ------------------------------------------------------------------------------- the record


def _first_line(subject: Subject, eye: Encoder, config: EvaluateConfig) -> str:
    from cliplab.report.blocks import encoder_block, prompts_block
    from cliplab.report.headline import headline

    zero_shot = "zero_shot" in config.classifier
    return headline(
        {
            "encoder": encoder_block(eye),
            "dataset": _dataset_block(subject, config.split),
            "trained_on": _trained_on(subject, config),
            "prompts": prompts_block(subject.prompts, subject.class_names) if zero_shot else None,
            "classifiers": list(config.classifier),
            "config": config.as_json(),
        }
    )


def _write(
    subject: Subject,
    eye: Encoder,
    seen: _Seen,
    vectors: np.ndarray | None,
    judged: list[_Judged],
    results: list[Result],
    curves: FewShot | None,
    config: EvaluateConfig,
    clock: Clock,
) -> Record:
    from cliplab.report.blocks import encoder_block, prompts_block
    from cliplab.report.embedding_map import write_map
    from cliplab.report.record import make_record, write_run
    from cliplab.report.runs import new_run_folder
    from cliplab.runtime.machine import machine, versions

    dataset = _dataset_block(subject, config.split, seen.scored.ids)
    folder = config.out or new_run_folder(Path("runs"), subject.dataset.name, eye.name)
    record = make_record(
        run=folder,
        dataset={**dataset, "class_names": list(subject.class_names)},
        encoder=encoder_block(eye),
        results=results,
        prompts=None if vectors is None else prompts_block(subject.prompts, subject.class_names),
        protocol=in_words(subject, eye, config),
        config=config.as_json(),
        timings=_timings(seen, clock),
        machine=machine(eye.device),
        versions=versions(),
        seed=config.seed,
        skipped=seen.skipped,
        few_shot=curves,
        traces={one.name: one.fitted.trace for one in judged},
        warnings=warnings_of(subject, config),
        trained_on=_trained_on(subject, config),
    )
    beside = [one.fitted.save for one in judged]
    beside.append(partial(write_map, embeddings=seen.scored))
    write_run(folder, record, {one.name: one.predictions for one in judged}, beside)
    return record


def _report(record: Record, subject: Subject, config: EvaluateConfig) -> None:
    from cliplab.report.page import no_condition, write_page

    if config.report:
        with no_condition(again=f"cliplab report {record.run}"):
            write_page([record.run], dataset=subject.dataset, home=config.home)


def _dataset_block(subject: Subject, split: str, ids: np.ndarray | None = None) -> dict[str, Any]:
    from cliplab.report.blocks import dataset_block

    if ids is None and subject.lesson is not None:
        ids = subject.dataset.ids[scored_part(subject, split).rows]
    return dataset_block(subject.dataset, subject.task.name, split, ids)


def _trained_on(subject: Subject, config: EvaluateConfig) -> dict[str, Any] | None:
    """Block `trained_on` of a record; None: the data set that is scored has its own."""
    lesson = subject.lesson
    if lesson is None or set(config.classifier) == {"zero_shot"}:
        return None
    return {
        "name": lesson.dataset.name,
        "task": lesson.task.name,
        "n": sum(len(training_part(subject, split).rows) for split in (TRAIN, VALIDATION)),
        "digest": lesson.dataset.content_digest(),
        "left_out": list(lesson.left_out),
    }


def _timings(seen: _Seen, clock: Clock) -> dict[str, float | None]:
    """Seconds of each stage; pictures a second over reading, decoding and encoding."""
    rate = seen.n_encoded / seen.seconds if seen.n_encoded and seen.seconds else None
    return {
        **clock.seconds,
        "encoder": round(seen.seconds_encoder, 4),
        "pictures_encoded": seen.n_encoded,
        "pictures_cached": seen.n_cached,
        "pictures_per_second": None if rate is None else round(rate, 2),
    }
