"""Hand-made runs: four pictures of three classes, told by a classifier or two."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cliplab.nouns import (
    Measure,
    PerClass,
    Predictions,
    Record,
    Result,
    Skipped,
    WithoutCatchAll,
)
from cliplab.report.record import Run, make_record

CLASSES = ("cat", "dog", "owl")


def make_predictions(predicted, labels=(0, 1, 1, 0), ids=None, class_names=CLASSES) -> Predictions:
    scores = np.full((len(labels), len(class_names)), -3.0, np.float32)
    scores[np.arange(len(labels)), predicted] = -0.1
    ids = [f"{i}.png" for i in range(len(labels))] if ids is None else ids
    return Predictions(np.array(ids, object), np.array(labels, np.int64), scores, class_names)


def make_result(classifier: str, told: Predictions, catch_all: str = "") -> Result:
    """A result with true counts and made-up intervals, and a made-up number without a class."""
    n_classes = len(told.class_names)
    confusion = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(confusion, (told.labels, told.predicted), 1)
    rows = []
    for name, counts, correct in zip(
        told.class_names, confusion.sum(1).tolist(), confusion.diagonal().tolist(), strict=True
    ):
        share = correct / counts if counts else None
        interval = (0.125, 0.875) if counts else (None, None)
        rows.append(PerClass(name, counts, correct, share, *interval))
    top1 = float(np.mean(told.predicted == told.labels))
    metrics = {
        "top1": Measure(top1, 0.3, 0.955),
        "top5": Measure(None),
        "mean_per_class": Measure(top1, 0.25, 1.0),
        "ece": Measure(0.0625, 0.0, 0.2),
    }
    settings, rest = {"C": 0.5, "features": "pre"}, None
    if catch_all:
        n = int((told.labels != told.class_names.index(catch_all)).sum())
        rest = WithoutCatchAll((catch_all,), n, {**metrics, "top1": Measure(0.4, 0.2, 0.7)})
    return Result(classifier, settings, metrics, tuple(rows), confusion, without_catch_all=rest)


def make_dataset_block(**changes) -> dict:
    block = {
        "name": "pets", "task": "label", "split": "test", "n": 4, "n_total": 20,
        "digest": "a" * 64, "pictures_digest": "b" * 64, "split_origin": "fixed",
        "class_names": list(CLASSES), "licence": "", "location": None,
    }  # fmt: skip
    return block | changes


def make_run(
    folder: Path,
    predictions: dict[str, Predictions],
    *,
    encoder: str = "ViT-B-32/openai",
    dataset: dict | None = None,
    skipped: tuple[Skipped, ...] = (),
    created: datetime = datetime(2026, 11, 24, 3, 15, tzinfo=UTC),
    seed: int = 0,
    catch_all: str = "",
) -> Run:
    record = make_record(
        run=folder,
        dataset=make_dataset_block(**(dataset or {})),
        encoder={
            "name": encoder, "digest": "c" * 64, "width": 512, "feature_width": 768,
            "resolution": [224, 224], "logit_scale": 100.0, "logit_bias": 0.0, "device": "cpu",
            "identity": {"activation": "quick_gelu", "precision": "fp32"},
        },
        results=[make_result(name, told, catch_all) for name, told in predictions.items()],
        prompts={
            "name": "simple", "templates": ["a photo of a {}."], "per_class": {},
            "class_names": list(CLASSES),
        },
        protocol="Fitted on the training pictures, scored on the test pictures.",
        config={"out": Path("x"), "classifiers": tuple(predictions), "c": float("nan")},
        timings={"encode_seconds": 2.0, "pictures_per_second": 1234.56},
        machine={"cores": 2},
        versions={"python": "3.11.2"},
        seed=seed,
        skipped={"test": skipped, "train": ()},
        traces={"linear_probe": [{"C": 0.5, "accuracy": 0.75}]},
        created=created,
    )  # fmt: skip
    return Run(record, predictions)


@pytest.fixture
def predictions() -> dict[str, Predictions]:
    return {
        "zero_shot": make_predictions([0, 1, 2, 0]),
        "linear_probe": make_predictions([0, 1, 1, 0]),
    }


@pytest.fixture
def run(tmp_path, predictions) -> Run:
    return make_run(tmp_path / "run", predictions)


@pytest.fixture
def record(run) -> Record:
    return run.record


@pytest.fixture
def make():
    """The makers above, since test files cannot import this one."""

    class Makers:
        run = staticmethod(make_run)
        predictions = staticmethod(make_predictions)
        dataset_block = staticmethod(make_dataset_block)

    return Makers
