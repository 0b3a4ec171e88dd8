"""Which caption fits a picture, CLIP's own job; or what a fitted probe says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.datasets.picture_files import PictureFiles, picture_files
from cliplab.nouns import DEFAULT_ENCODER, Embeddings, Encoder, Prompts, Record, Skipped
from cliplab.protocol import take_paths
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import progress

AS_IT_IS = "{}"  # a label is its own caption


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyConfig:
    """How pictures are classified; each field is an option of `cliplab classify`."""

    label: tuple[str, ...] = ()  # captions to choose among
    with_run: str | None = None  # or the run whose probe answers: a folder, its name, "latest"
    prompt: tuple[str, ...] = ()  # templates around each label; none: the label as it is
    encoder: str = DEFAULT_ENCODER  # of captions; a run brings its own
    weights: Path | None = None  # a local checkpoint for the encoder named
    device: str = "auto"
    precision: str | None = None  # None: float32
    batch_size: int = 64  # pictures encoded at once
    workers: int | None = None  # threads that read and decode; None: one a core
    on_bad: str = "list"  # an unreadable picture is listed; "fail": it ends the call
    max_pixels: int | None = None  # larger pictures count as unreadable; None: the stated limit
    home: Path | None = None  # folder of what is kept; None: CLIPLAB_HOME
    runs: Path = Path("runs")  # folder in which runs are found by name

    def __post_init__(self) -> None:
        take_paths(self, "weights", "home", "runs")
        if self.with_run is None and len(set(self.label)) < 2:
            raise UsageError(
                "Give at least two different --label TEXT to choose among, or --with RUN for the "
                "probe of a run."
            )
        if self.with_run is not None and (self.label or self.prompt):
            raise UsageError("--with RUN brings its own classes; leave --label and --prompt out.")
        if self.on_bad not in ("list", "fail"):
            raise UsageError(f"--on-bad {self.on_bad}: give list or fail.")


@dataclass(frozen=True, slots=True)
class Classified:
    """Probabilities of labels for pictures."""

    ids: tuple[str, ...]  # M paths, as given
    labels: tuple[str, ...]  # C
    probabilities: np.ndarray  # (M, C) float32; rows add up to 1
    skipped: tuple[Skipped, ...]  # pictures that could not be read
    temperature: float | None = None  # by which a run's logits were divided; None: by nothing
    note: str = ""  # how far the probabilities are to be trusted, where a probe gives them

    def top(self, k: int) -> list[list[tuple[str, float]]]:
        """Give the k likeliest labels of each picture with their probabilities, best first."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return [
            [(self.labels[c], float(row[c])) for c in best]
            for row, best in zip(self.probabilities, order, strict=True)
        ]


def classify(
    pictures: Sequence[str | Path],
    config: ClassifyConfig,
    encoder: Encoder | None = None,
) -> Classified:
    """Give the probability of each label for each picture.

    Parameters
    ----------
    pictures
        Paths of pictures, or of folders, whose pictures are all taken.
    config
        Captions, or the run whose probe answers; encoder and machine.
    encoder
        In place of the one that the configuration names.

    Raises
    ------
    UsageError
        No such file, or no pictures in a folder.
    DataError
        None of the pictures can be read; or the run has no probe, or another encoder.
    """
    files = picture_files(pictures)
    answer = _of_run(config, encoder) if config.with_run else _of_captions(config, encoder)
    seen = _embed(files, answer.encoder, config)
    return Classified(
        tuple(seen.ids),
        answer.labels,
        answer.probabilities(seen),
        tuple(seen.skipped),
        answer.temperature,
        answer.note,
    )


COLUMNS = ("path", "label", "probability", "second", "second_probability")


def write_csv(path: Path, answer: Classified) -> None:
    """Write a row a picture: its path, the two likeliest labels, and the probability of each label.

    The first columns are the same whatever the labels are, and `path,label` is what a `labels.csv`
    begins with; then there is a column `p(LABEL)` for each label, in their order.
    """
    from cliplab.report.tables import write_csv as write_rows

    columns = (*COLUMNS, *(f"p({label})" for label in answer.labels))
    rows = []
    for name, best, all_of_it in zip(answer.ids, answer.top(2), answer.probabilities, strict=True):
        (label, p), (second, q) = best
        values = (name, label, f"{p:.6f}", second, f"{q:.6f}", *(f"{p:.6f}" for p in all_of_it))
        rows.append(dict(zip(columns, values, strict=True)))
    write_rows(path, rows, columns=columns)


# ------------------------------------------------------------------------------- who answers


@dataclass(frozen=True, slots=True)
class _Answer:
    encoder: Encoder
    labels: tuple[str, ...]
    probabilities: Callable[[Embeddings], np.ndarray]
    temperature: float | None = None
    note: str = ""


def _of_captions(config: ClassifyConfig, encoder: Encoder | None) -> _Answer:
    from cliplab.classifiers import zero_shot
    from cliplab.classifiers.family import Problem
    from cliplab.embeddings.texts import embed_class_names

    eye = encoder or _load(config.encoder, config.weights, config)
    labels = tuple(dict.fromkeys(config.label))
    prompts = Prompts("given", config.prompt or (AS_IT_IS,))
    vectors = embed_class_names(eye, labels, prompts)
    problem = Problem(
        class_names=labels,
        class_vectors=vectors,
        logit_scale=eye.logit_scale,
        logit_bias=eye.logit_bias,
    )
    fitted = zero_shot.fit(problem)
    return _Answer(eye, labels, lambda seen: np.exp(fitted.predict(seen).scores))


def _of_run(config: ClassifyConfig, encoder: Encoder | None) -> _Answer:
    from cliplab.classifiers import linear_probe
    from cliplab.metrics.calibration import tempered
    from cliplab.report.record import read_record
    from cliplab.report.runs import find_run

    assert config.with_run is not None
    folder = find_run(config.with_run, config.runs)
    record = read_record(folder)
    if "linear_probe" not in [result["classifier"]["name"] for result in record["results"]]:
        raise DataError(
            f"{folder} was scored without a probe. Run `cliplab evaluate DATASET` with "
            "--classifier linear_probe, and name that run."
        )
    fitted = linear_probe.load(folder)
    made_with = record["encoder"]
    weights = config.weights or record["config"].get("weights")
    eye = encoder or _load(made_with["name"], weights and Path(weights), config)
    if eye.identity.get("weights") != made_with["identity"].get("weights"):
        raise DataError(
            f"The probe of {folder} was fitted through other weights of {made_with['name']} than "
            "these. Give the ones of the run with --weights FILE, or evaluate again."
        )
    temperature, note = _calibration(record)

    def probabilities(seen: Embeddings) -> np.ndarray:
        scores = tempered(fitted.predict(seen).scores, temperature or 1.0)
        found: np.ndarray = np.exp(scores).astype(np.float32)
        return found

    return _Answer(eye, fitted.class_names, probabilities, temperature, note)


def _calibration(record: Record) -> tuple[float | None, str]:
    """Temperature of a run's probe, and how far its probabilities are to be trusted."""
    entries = {entry["classifier"]["name"]: entry for entry in record["results"]}
    block = entries.get("linear_probe", {}).get("calibration") or {}
    if (temperature := block.get("temperature")) is None:
        return None, f"probabilities are not calibrated: {block.get('fitted_on', 'an older run')}"
    note = f"probabilities calibrated on {block['fitted_on']} (temperature {temperature:.2f})"
    return float(temperature), note


def _load(name: str, weights: Path | None, config: ClassifyConfig) -> Encoder:
    from cliplab.encoders.open_clip import load_encoder

    return load_encoder(name, weights=weights, device=config.device, precision=config.precision)


# ------------------------------------------------------------------------------- the pictures


def _embed(files: Sequence[Path], eye: Encoder, config: ClassifyConfig) -> Embeddings:
    """Vectors of the pictures that can be read; nothing is kept."""
    from cliplab.pictures.loader import MAX_PIXELS, batches

    vectors: list[Any] = []
    features: list[Any] = []
    rows: list[int] = []
    skipped: list[Skipped] = []
    stream = batches(
        PictureFiles(files),
        range(len(files)),
        eye.preprocess,
        batch_size=config.batch_size,
        workers=config.workers,
        max_pixels=config.max_pixels or MAX_PIXELS,
    )
    with progress("classifying", len(files)) as advance:
        for batch in stream:
            skipped += [Skipped(str(files[row]), reason) for row, reason in batch.skipped]
            if skipped and config.on_bad == "fail":
                raise DataError(f"{skipped[0].id} cannot be read: {skipped[0].reason}.")
            if len(batch.rows):
                found = eye.encode_pixels(batch.pixels)
                vectors.append(found.embedding.numpy())
                features += [] if found.features is None else [found.features.numpy()]
                rows += batch.rows.tolist()
            advance(len(batch.rows) + len(batch.skipped))
    if not rows:
        reasons = "; ".join(f"{s.id}: {s.reason}" for s in skipped[:4])
        raise DataError(f"None of the {len(files)} pictures can be read ({reasons}).")
    return Embeddings(
        ids=np.array([str(files[row]) for row in rows], dtype=object),
        vectors=np.concatenate(vectors),
        features=np.concatenate(features) if features else None,
        labels=np.zeros(len(rows), dtype=np.int64),
        class_names=(),
        identity=eye.identity,
        skipped=tuple(skipped),
    )
