"""Runs for pages, made on the spot: pictures in memory, scores by chance, true metrics."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cliplab.metrics.scores import calibration, score
from cliplab.nouns import Dataset, Embeddings, Predictions, Result, Skipped, Task
from cliplab.report.blocks import dataset_block
from cliplab.report.embedding_map import write_map
from cliplab.report.record import Run, make_record, write_run


class Coloured:
    """A source whose picture of a row has a colour of its own, so that a page can be checked."""

    def __init__(self, encoded: dict[int, bytes] | None = None, side: int = 96) -> None:
        self.encoded, self.side = encoded or {}, side

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        for row in rows:
            yield lambda row=int(row): self.encoded.get(row) or plain_png(colour_of(row), self.side)


def colour_of(row: int) -> tuple[int, int, int]:
    return (row * 37 % 256, row * 91 % 256, row * 151 % 256)


def plain_png(colour: tuple[int, int, int], side: int = 96) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(stream, "PNG")
    return stream.getvalue()


def make_data(
    names: Sequence[str], n: int, ids: Sequence[str] | None = None, source: Any = None
) -> Dataset:
    """A data set of n pictures, the classes in turn, all of them test pictures."""
    labels = np.arange(n, dtype=np.int64) % len(names)
    found = np.array(ids or [f"{names[c][:20]}/{i:05}.png" for i, c in enumerate(labels)], object)
    digests = np.array([f"{i:064x}" for i in range(n)], dtype=object)
    return Dataset(
        "made", {"label": Task("label", tuple(names))}, found, {"label": labels},
        {"label": np.full(n, "test", dtype=object)}, digests, source or Coloured(),
    )  # fmt: skip


def make_run(
    folder: Path,
    data: Dataset,
    *,
    classifiers: Sequence[str] = ("zero_shot", "linear_probe"),
    encoder: str = "ViT-B-32/openai",
    skill: float = 3.0,
    seed: int = 0,
    skipped: Sequence[Skipped] = (),
    warnings: Sequence[str] = (),
    template: str = "a photo of a {}.",
    few_shot: bool = False,
    **dataset: Any,
) -> Run:
    """Write a run over all pictures of a data set; the scores are noise and a share of skill."""
    names = data.task("label").class_names
    labels, generator = data.labels["label"], np.random.default_rng(seed)
    told, results = {}, []
    for place, classifier in enumerate(classifiers):
        logits = generator.normal(size=(len(labels), len(names)))
        logits[np.arange(len(labels)), labels] += skill + 0.3 * place
        scores = (logits - np.log(np.exp(logits).sum(1, keepdims=True))).astype(np.float32)
        told[classifier] = Predictions(data.ids, labels, scores, names)
        found = score(told[classifier], seed)
        unseen = calibration(told[classifier], told[classifier], "pictures held out")
        results.append(
            Result(classifier, {"C": 0.5}, found.metrics, found.per_class, found.confusion,
                   calibration=unseen)
        )  # fmt: skip
    trace = [
        {"lambda": 10.0**i, "C": 0.1**i, "accuracy": 0.5 + 0.1 * i, "loss": 1.0} for i in (0, 1, 2)
    ]
    record = make_record(
        run=folder,
        dataset=dataset_block(data, "label", "test") | dataset,
        encoder={
            "name": encoder, "digest": "c" * 64, "width": 8, "feature_width": 8,
            "resolution": [224, 224], "logit_scale": 100.0, "logit_bias": 0.0, "device": "cpu",
            "identity": {"activation": "quick_gelu", "precision": "fp32"},
        },
        results=results,
        prompts={"name": "simple", "templates": [template], "per_class": {},
                 "class_names": list(names)},
        protocol="Scored on the test pictures.",
        config={"seed": seed, "batch_size": 64},
        timings={"encode": 2.0, "pictures_per_second": 1234.5},
        machine={"cores": 2},
        versions={"python": "3.11.2"},
        seed=seed,
        skipped={"test": skipped},
        traces={"linear_probe": trace},
        few_shot=_curves(few_shot, classifiers),
        warnings=warnings,
        created=datetime(2026, 11, 24, 3, 15, tzinfo=UTC),
    )  # fmt: skip
    vectors = np.eye(len(names), 8, dtype=np.float32)[labels] + generator.normal(
        size=(len(labels), 8), scale=0.3
    )
    write_run(folder, record, told)
    write_map(folder, Embeddings(data.ids, vectors.astype(np.float32), None, labels, names, {}))
    return Run(record, told)


def _curves(wanted: bool, classifiers: Sequence[str]) -> dict[str, Any] | None:
    if not wanted:
        return None
    points = [
        {"shots": n, "top1": {"value": 0.3 + 0.05 * n, "low": 0.2, "high": 0.9}, "std": 0.02,
         "values": [0.3], "settings": []}
        for n in (1, 2, 4)
    ]  # fmt: skip
    learning = [name for name in classifiers if name != "zero_shot"]
    return {
        "shots": [1, 2, 4], "repeats": 3, "seed": 0, "chosen": "in folds", "zero_shot": 0.4,
        "draws": [],
        "curves": [{"classifier": name, "points": points, "beats_zero_shot_at": 4}
                   for name in learning],
    }  # fmt: skip
