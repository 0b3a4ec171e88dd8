from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cliplab.nouns import Predictions
from cliplab.report import predictions as module
from cliplab.report.predictions import FILE, read_predictions, write_predictions
from cliplab.runtime.errors import DataError, FormatTooNew


def _write(path, predictions):
    with path.open("wb") as stream:
        write_predictions(stream, predictions)


def _random(n, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, n_classes)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    names = tuple(f"klasse {i} ☃" for i in range(n_classes))
    ids = np.array([f"{i}/ä.png" for i in range(n)], object)
    return Predictions(ids, rng.integers(0, n_classes, n), scores, names)


def test_round_trip_over_several_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GROUP", 4)
    given = {"zero_shot": _random(11, 5), "linear_probe": _random(11, 5, seed=1)}
    _write(tmp_path / FILE, given)
    assert pq.ParquetFile(tmp_path / FILE).num_row_groups > 1
    found = read_predictions(tmp_path)
    assert list(found) == list(given)
    for name, told in given.items():
        assert found[name].class_names == told.class_names
        np.testing.assert_array_equal(found[name].ids, told.ids)
        np.testing.assert_array_equal(found[name].labels, told.labels)
        np.testing.assert_array_equal(found[name].scores, told.scores)
        assert found[name].scores.dtype == np.float32
        assert found[name].labels.dtype == np.int64


def test_columns_are_those_that_other_tools_expect(tmp_path):
    _write(tmp_path / FILE, {"zero_shot": _random(3, 2)})
    table = pq.read_table(tmp_path / FILE)
    assert {field.name: str(field.type) for field in table.schema} == {
        "classifier": "string",
        "id": "string",
        "label": "int64",
        "predicted": "int64",
        "scores": "list<element: float>",
    }
    assert table["predicted"].to_pylist() == _random(3, 2).predicted.tolist()


def test_same_predictions_same_bytes(tmp_path):
    streams = [io.BytesIO(), io.BytesIO()]
    for stream in streams:
        write_predictions(stream, {"zero_shot": _random(20, 3)})
    assert streams[0].getvalue() == streams[1].getvalue()


def test_classifiers_of_one_run_share_their_class_names(tmp_path):
    with pytest.raises(ValueError, match="different class names"):
        _write(tmp_path / FILE, {"a": _random(3, 2), "b": _random(3, 4)})


def test_no_pictures_are_no_predictions(tmp_path):
    _write(tmp_path / FILE, {"zero_shot": _random(0, 2)})
    assert read_predictions(tmp_path) == {}


def test_missing_damaged_foreign_and_newer_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no predictions\.parquet"):
        read_predictions(tmp_path)
    (tmp_path / FILE).write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="is damaged"):
        read_predictions(tmp_path)
    table = pa.table({"classifier": ["x"]})
    pq.write_table(table, tmp_path / FILE)
    with pytest.raises(DataError, match="not written by cliplab"):
        read_predictions(tmp_path)
    newer = {b"format_version": b"99", b"class_names": b"[]"}
    pq.write_table(table.replace_schema_metadata(newer), tmp_path / FILE)
    with pytest.raises(FormatTooNew, match="format version 99"):
        read_predictions(tmp_path)
