"""`predictions.parquet`: what each classifier said of each picture.

Columns: `classifier` and `id` (string), `label` and `predicted` (int64), `scores` (list<float32>,
one log-probability a class; -inf: the class was not a candidate). The class names, in the order of
the scores, are JSON in the file's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from cliplab.nouns import Predictions
from cliplab.runtime.errors import DataError, FormatTooNew

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT_VERSION = 1
FILE = "predictions.parquet"
GROUP = 8192  # rows a row group, so that writing a million pictures holds few of them twice

_CLASS_NAMES, _VERSION = b"class_names", b"format_version"


def write_predictions(stream: IO[bytes], predictions: Mapping[str, Predictions]) -> None:
    """Write the predictions of each classifier, one after the other, as Parquet.

    Parameters
    ----------
    stream
        Binary file, open for writing; it is left open.
    predictions
        Classifier's name → its predictions. All must have the same class names.

    Raises
    ------
    ValueError
        If two classifiers have different class names: one file holds one list of them.
    """
    import pyarrow.parquet as pq

    names = {p.class_names for p in predictions.values()}
    if len(names) > 1:
        raise ValueError("the classifiers of one run have different class names")
    schema = _schema(next(iter(names), ()))
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for classifier, given in predictions.items():
            for batch in _batches(classifier, given, schema):
                writer.write_batch(batch)


def _schema(class_names: tuple[str, ...]) -> pa.Schema:
    import pyarrow as pa

    columns = {
        "classifier": pa.string(),
        "id": pa.string(),
        "label": pa.int64(),
        "predicted": pa.int64(),
        "scores": pa.list_(pa.float32()),
    }
    metadata = {
        _CLASS_NAMES: json.dumps(class_names).encode(),
        _VERSION: str(FORMAT_VERSION).encode(),
    }
    return pa.schema(columns, metadata=metadata)


def _batches(classifier: str, given: Predictions, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    predicted = given.predicted
    width = given.scores.shape[1]
    for start in range(0, len(given.ids), GROUP):
        rows = slice(start, start + GROUP)
        scores = np.ascontiguousarray(given.scores[rows], dtype=np.float32)
        offsets = np.arange(0, scores.size + 1, width, dtype=np.int32)
        columns = [
            pa.array([classifier] * len(scores), pa.string()),
            pa.array(given.ids[rows].tolist(), pa.string()),
            pa.array(given.labels[rows], pa.int64()),
            pa.array(predicted[rows], pa.int64()),
            pa.ListArray.from_arrays(offsets, scores.ravel()),
        ]
        yield pa.record_batch(columns, schema=schema)


def read_predictions(run: Path) -> dict[str, Predictions]:
    """Read `predictions.parquet` of a run: classifier's name → its predictions, as written.

    Raises
    ------
    FormatTooNew
        If a newer cliplab wrote it.
    DataError
        If it is missing or damaged: evaluate again.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run / FILE
    again = "Run the evaluation again."
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError(f"{run} holds no {FILE}: the run did not finish. {again}") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged ({error}). {again}") from error
    metadata = table.schema.metadata or {}
    version = int(metadata.get(_VERSION, b"0"))
    if version > FORMAT_VERSION:
        raise FormatTooNew(path, version, FORMAT_VERSION)
    if version == 0 or _CLASS_NAMES not in metadata:
        raise DataError(f"{path} names no classes: it was not written by cliplab. {again}")
    return _by_classifier(table, tuple(json.loads(metadata[_CLASS_NAMES])))


def _by_classifier(table: Any, class_names: tuple[str, ...]) -> dict[str, Predictions]:
    import pyarrow.compute as pc

    found = {}
    for name in pc.unique(table["classifier"]).to_pylist():
        rows = table.filter(pc.equal(table["classifier"], name)).combine_chunks()
        scores = pc.list_flatten(rows["scores"]).to_numpy()
        found[name] = Predictions(
            ids=np.array(rows["id"].to_pylist(), dtype=object),
            labels=rows["label"].to_numpy(),
            scores=scores.reshape(len(rows), len(class_names)).astype(np.float32),
            class_names=class_names,
        )
    return found
