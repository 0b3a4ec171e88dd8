"""The blocks of a record, each made from the noun that it describes."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.datasets.splits import untrained_classes
from cliplab.metrics.classification import few_pictures
from cliplab.nouns import Dataset, Encoder, Prompts, Result, digest_of


def dataset_block(
    dataset: Dataset, task: str, split: str, ids: np.ndarray | None = None
) -> dict[str, Any]:
    """Block `dataset` of a record: which pictures were scored, and what they belong to.

    Parameters
    ----------
    dataset, task, split
        What was evaluated; `split` may be "all".
    ids
        (M,) str, ids of the pictures scored; None: all of the split, as before any is read.
    """
    rows = dataset.rows(task, split)
    if ids is not None:
        scored = set(ids)
        rows = np.array([r for r in rows if dataset.ids[r] in scored], dtype=np.int64)
    untrained = untrained_classes(dataset.labels[task], dataset.splits[task])
    return {
        "name": dataset.name,
        "task": task,
        "split": split,
        "n": len(rows),
        "n_total": len(dataset.rows(task)),
        "digest": dataset.content_digest(),
        "pictures_digest": _pictures_digest(dataset, task, rows),
        "split_origin": dataset.split_origin,
        "class_names": list(dataset.task(task).class_names),
        "untrained": [dataset.task(task).class_names[c] for c in untrained],
        "licence": dataset.card.licence,
        "location": None if dataset.location is None else str(dataset.location),
    }


def searched_block(dataset: Dataset, task: str, split: str, n: int) -> dict[str, Any]:
    """Block `dataset` of a record of retrieval: n pictures searched, none of them by its label."""
    return {
        "name": dataset.name,
        "task": task,
        "split": split,
        "n": n,
        "n_total": len(dataset),
        "digest": dataset.content_digest(),
        "split_origin": dataset.split_origin,
        "class_names": [],
        "licence": dataset.card.licence,
        "location": None if dataset.location is None else str(dataset.location),
    }


def _pictures_digest(dataset: Dataset, task: str, rows: np.ndarray) -> str:
    """Hex SHA-256 over id, picture and label of those rows, whatever their order."""
    columns = (dataset.ids[rows], dataset.digests[rows], dataset.labels[task][rows])
    sha = hashlib.sha256()
    for entry in sorted(f"{i}\0{d}\0{label}\n" for i, d, label in zip(*columns, strict=True)):
        sha.update(entry.encode("utf-8", "surrogatepass"))
    return sha.hexdigest()


def encoder_block(encoder: Encoder) -> dict[str, Any]:
    """Block `encoder` of a record: its whole identity, and the digest of that."""
    identity = plain(encoder.identity)
    return {
        "name": encoder.name,
        "digest": digest_of(identity),
        "width": encoder.width,
        "feature_width": encoder.feature_width,
        "resolution": list(encoder.resolution),
        "logit_scale": encoder.logit_scale,
        "logit_bias": encoder.logit_bias,
        "device": encoder.device,
        "identity": identity,
    }


def prompts_block(prompts: Prompts, class_names: Sequence[str]) -> dict[str, Any]:
    """Block `prompts` of a record: templates and the names that were put into them."""
    return {
        "name": prompts.name,
        "templates": list(prompts.templates),
        "per_class": {name: list(texts) for name, texts in prompts.per_class.items()},
        "class_names": list(class_names),
    }


def result_block(result: Result, trace: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """One entry of `results`: a classifier with its scores and the trace of its search."""
    block = {
        "classifier": {"name": result.classifier, "settings": result.settings},
        "metrics": {name: measure._asdict() for name, measure in result.metrics.items()},
        "per_class": [{**row._asdict(), "few": few_pictures(row)} for row in result.per_class],
        "trace": list(trace),
        "confusion": confusion_cells(result.confusion),
        "calibration": result.calibration,
    }
    if (rest := result.without_catch_all) is not None:
        metrics = {name: measure._asdict() for name, measure in rest.metrics.items()}
        told = {"classes": list(rest.classes), "n": rest.n, "metrics": metrics}
        block["without_catch_all"] = told
    return block


def confusion_cells(matrix: np.ndarray) -> list[list[int]]:
    """Cells [true, predicted, count] that are not zero, in row order, of counts (C, C)."""
    true, predicted = np.nonzero(matrix)
    cells = np.stack([true, predicted, matrix[true, predicted]], axis=1)
    return [[int(number) for number in cell] for cell in cells]


def confusion_matrix(cells: Sequence[Sequence[int]], n_classes: int) -> np.ndarray:
    """Give the counts (C, C) int64, rows true, columns predicted, of the cells of a record."""
    matrix = np.zeros((n_classes, n_classes), dtype=np.int64)
    for true, predicted, count in cells:
        matrix[true, predicted] = count
    return matrix


def plain(value: Any) -> Any:
    """Give the value as plain JSON types.

    Paths become strings, tuples and arrays lists, dataclasses and named tuples objects; a number
    that is not finite becomes None, which says "not scored". Bytes of a file name that are no UTF-8
    become "?".
    """
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Path):
        return plain(str(value))
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"a record cannot hold a {type(value).__name__}: {value!r}")
