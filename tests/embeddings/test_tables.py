"""Parquet that is whole or refused."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.embeddings.tables import (
    DamagedFile,
    read_footer,
    read_table,
    vector_column,
    vector_matrix,
    write_table,
)
from cliplab.runtime.errors import FormatTooNew

VECTORS = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "t.parquet"
    write(path, VECTORS)
    return path


def write(path, vectors):
    columns = {"id": [str(i) for i in range(50)], "embedding": vector_column(vectors)}
    write_table(path, columns, 1, {"note": "é"})


def test_round_trip_is_exact_and_the_same_bytes(file, tmp_path):
    table = read_table(file, 1)
    np.testing.assert_array_equal(vector_matrix(table.column("embedding")), VECTORS)
    assert table.schema.metadata[b"note"].decode() == "é"
    assert read_footer(file, 1) == (50, table.schema.metadata)
    again = tmp_path / "again.parquet"
    write(again, vector_matrix(table.column("embedding")))
    assert again.read_bytes() == file.read_bytes()


def test_vectors_of_no_rows_keep_their_width():
    assert vector_matrix(_chunked(np.zeros((0, 7), np.float32))).shape == (0, 7)


def test_vectors_of_a_slice_are_the_slice():
    np.testing.assert_array_equal(vector_matrix(_chunked(VECTORS).slice(10, 5)), VECTORS[10:15])


def _chunked(matrix):
    import pyarrow as pa

    return pa.chunked_array([vector_column(matrix)])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_damage_is_seen(file, damage):
    content = bytearray(file.read_bytes())
    if damage == "flipped":  # one bit in the middle of the vectors
        content[content.find(VECTORS[20].tobytes()) + 9] ^= 1
    changed = {"cut": content[:-20], "flipped": content, "empty": b"", "text": b"no parquet"}
    file.write_bytes(changed[damage])
    with pytest.raises(DamagedFile, match=r"t\.parquet is damaged"):
        read_table(file, 1)


def test_missing_column_and_missing_file(file, tmp_path):
    with pytest.raises(DamagedFile, match="no column nose"):
        read_table(file, 1, ("id", "nose"))
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.parquet", 1)


def test_newer_format_is_refused_with_the_way_out(tmp_path):
    write_table(tmp_path / "t.parquet", {"id": ["a"]}, 2)
    with pytest.raises(FormatTooNew, match=r"has format version 2; .* Upgrade cliplab"):
        read_footer(tmp_path / "t.parquet", 1)
