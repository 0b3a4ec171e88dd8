"""Vectors of pictures as a map: `map.parquet` of a run, two coordinates a picture.

Columns: `id` (string), `x` and `y` (float32), the first two principal components of the unit-length
vectors. The share of the variance that each holds is JSON in the file's metadata. M pictures, D
width of the joint space.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings
from cliplab.runtime.errors import DataError, FormatTooNew
from cliplab.runtime.storage import atomic_write

FORMAT_VERSION = 1
FILE = "map.parquet"
BLOCK = 8192  # pictures whose vectors are held twice

_SHARES, _VERSION = b"shares", b"format_version"


class EmbeddingMap(NamedTuple):
    """Where each picture lies."""

    ids: np.ndarray  # (M,) str objects
    points: np.ndarray  # (M, 2) float32
    shares: tuple[float, float]  # of the variance, in 0..1


def project(vectors: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Give the first two principal components (M, 2) float32 of unit-length vectors, and shares.

    The covariance (D, D) is summed block by block in float64. The sign of an axis is that which
    makes its largest weight positive, so that the same vectors give the same map.

    Parameters
    ----------
    vectors
        (M, D) float32, raw.
    """
    n, width = vectors.shape
    blocks = [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]
    mean = sum(normalise(vectors[b]).astype(np.float64).sum(axis=0) for b in blocks) / n
    covariance = np.zeros((width, width))
    for b in blocks:
        centred = normalise(vectors[b]).astype(np.float64) - mean
        covariance += centred.T @ centred
    values, axes = np.linalg.eigh(covariance)
    axes = np.pad(axes[:, ::-1][:, :2], ((0, 0), (0, max(0, 2 - width))))
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.where(axes[largest, np.arange(2)] < 0, -1.0, 1.0)
    points = np.concatenate([(normalise(vectors[b]) - mean) @ axes for b in blocks])
    total = max(float(values.clip(0).sum()), 1e-300)
    first, second = (*(values[::-1][:2].clip(0) / total), 0.0)[:2]
    return points.astype(np.float32), (float(first), float(second))


def write_map(folder: Path, embeddings: Embeddings) -> None:
    """Write the map of a run's scored pictures into its folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    points, shares = project(embeddings.vectors)
    columns = {
        "id": pa.array(embeddings.ids.tolist(), pa.string()),
        "x": pa.array(points[:, 0]),
        "y": pa.array(points[:, 1]),
    }
    metadata = {_SHARES: json.dumps(shares).encode(), _VERSION: str(FORMAT_VERSION).encode()}
    table = pa.table(columns).replace_schema_metadata(metadata)
    with atomic_write(folder / FILE) as stream:
        pq.write_table(table, stream, compression="zstd")


def read_map(run: Path) -> EmbeddingMap | None:
    """Read the map of a run; None: it has none, as runs of older versions.

    Raises
    ------
    FormatTooNew
        If a newer cliplab wrote it.
    DataError
        If it is damaged: evaluate again.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run / FILE
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        version = int(metadata[_VERSION])
        shares = tuple(map(float, json.loads(metadata[_SHARES])))
        columns = [table[name].to_numpy() for name in ("x", "y")]
        ids = np.array(table["id"].to_pylist(), dtype=object)
    except FileNotFoundError:
        return None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}). Run the evaluation again.") from error
    if version > FORMAT_VERSION:
        raise FormatTooNew(path, version, FORMAT_VERSION)
    return EmbeddingMap(ids, np.stack(columns, axis=1), (shares[0], shares[1]))


def drawn(labels: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Rows (n,) int64 of at most `most` pictures, by chance, as evenly from the classes as can be.

    Parameters
    ----------
    labels
        (M,) int64 in 0..C-1.
    most, seed
        How many, and of the choice.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    counts: dict[int, int] = {}
    place = np.zeros(len(labels), dtype=np.int64)  # of each in its class
    for row in shuffled.tolist():
        label = int(labels[row])
        place[row] = counts[label] = counts.get(label, -1) + 1
    return np.sort(shuffled[np.argsort(place[shuffled], kind="stable")][:most])
