from __future__ import annotations

import copy
import errno
import json

import jsonschema
import numpy as np
import pytest

from cliplab.nouns import Skipped
from cliplab.report import record as module
from cliplab.report.blocks import confusion_matrix
from cliplab.report.predictions import FILE as PREDICTIONS
from cliplab.report.record import (
    FILE,
    read_record,
    read_run,
    schema,
    to_json,
    validate,
    write_run,
)
from cliplab.runtime.errors import DataError, FormatTooNew, StorageError
from cliplab.runtime.storage import write_bytes


def test_schema_is_a_json_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_record_holds_what_the_design_names(record):
    data = record.data
    assert data["schema_version"] == 1
    assert data["created"] == "2026-11-24T03:15:00.000Z"
    assert {"name", "task", "split", "n", "digest"} <= data["dataset"].keys()
    assert {"name", "digest"} <= data["encoder"].keys()
    probe = data["results"][1]
    assert probe["classifier"] == {
        "name": "linear_probe",
        "settings": {"C": 0.5, "features": "pre"},
    }
    assert probe["metrics"]["top1"] == {"value": 1.0, "low": 0.3, "high": 0.955}
    assert probe["metrics"]["top5"] == {"value": None, "low": None, "high": None}
    assert probe["trace"] == [{"C": 0.5, "accuracy": 0.75}]
    assert data["results"][0]["trace"] == []
    assert probe["per_class"][2] == {
        "name": "owl", "n": 0, "correct": 0, "accuracy": None, "low": None, "high": None,
        "few": False,
    }  # fmt: skip
    assert data["config"] == {"out": "x", "classifiers": ["zero_shot", "linear_probe"], "c": None}
    np.testing.assert_array_equal(
        confusion_matrix(data["results"][0]["confusion"], 3), [[2, 0, 0], [0, 1, 1], [0, 0, 0]]
    )


def test_skipped_pictures_are_listed_and_counted_by_split(make, tmp_path, predictions):
    skipped = (Skipped("a.jpg", "truncated"), Skipped("b.jpg", "an HTML page"))
    record = make.run(tmp_path, predictions, skipped=skipped).record
    assert record["skipped"][1] == {"id": "b.jpg", "reason": "an HTML page", "split": "test"}
    assert record["skipped_count"] == {"test": 2, "train": 0}


def test_a_run_is_read_as_it_was_written(run):
    write_run(run.record.run, run.record, run.predictions)
    found = read_run(run.record.run)
    assert found.record == run.record
    assert found.record.run == run.record.run
    assert list(found.predictions) == ["zero_shot", "linear_probe"]
    assert not list(run.record.run.glob(".*.part"))


def test_a_moved_run_says_where_it_lies_now(run, tmp_path):
    write_run(run.record.run, run.record, run.predictions)
    moved = run.record.run.rename(tmp_path / "elsewhere")
    assert read_record(moved).run == moved


def test_json_keeps_lists_of_numbers_on_one_line_and_is_the_same_data(make, tmp_path):
    names = ("[\n 1,\n 2\n]", 'q"uote', "5")
    told = make.predictions([0, 1, 1, 0], class_names=names)
    record = make.run(tmp_path, {"zero_shot": told}).record
    text = to_json(record)
    assert json.loads(text) == record.data
    assert '"resolution": [224, 224]' in text
    assert "[1, 1, 2]" in text


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda d: d.pop("seed"), "'seed' is a required property"),
        (lambda d: d.update(sede=1), "sede"),
        (lambda d: d["dataset"].update(n="4"), r"dataset\.n: '4' is not of type 'integer'"),
        (lambda d: d["dataset"].update(split="tset"), r"dataset\.split: 'tset' is not one of"),
        (lambda d: d["encoder"].update(digest="abc"), r"encoder\.digest"),
        (lambda d: d["results"][0]["metrics"].pop("top1"), r"results\[0\]\.metrics.*'top1'"),
        (
            lambda d: d["results"][0]["metrics"]["top1"].update(value="0.9"),
            r"results\[0\]\.metrics\.top1\.value: '0.9' is not of type",
        ),
        (lambda d: d["results"][1]["metrics"]["ece"].pop("low"), "'low' is a required"),
        (lambda d: d["results"][0]["per_class"][1].update(accuracy=97.2), "97.2 is greater"),
        (lambda d: d["results"][0]["confusion"].append([0, 1]), "confusion"),
        (lambda d: d["skipped"].append({"id": "a"}), "'reason' is a required"),
        (lambda d: d.update(created="yesterday"), "created"),
        (lambda d: d["timings"].update(encode_seconds=-1), "minimum"),
        (lambda d: d.update(prompts={"name": "x"}), "prompts"),
    ],
)
def test_schema_catches_what_is_missing_or_mistyped(record, break_it, message):
    data = copy.deepcopy(record.data)
    validate(data)
    break_it(data)
    with pytest.raises(DataError, match=message):
        validate(data)


def test_every_fault_is_named_at_once(record):
    data = copy.deepcopy(record.data)
    del data["seed"], data["dataset"]["n"]
    with pytest.raises(DataError, match=r"(?s)'n' is a required.*'seed' is a required|'seed'.*'n'"):
        validate(data)


def test_reading_refuses_missing_damaged_and_newer_records(run):
    folder = run.record.run
    with pytest.raises(DataError, match=r"holds no record\.json"):
        read_record(folder)
    write_run(folder, run.record, run.predictions)
    whole = (folder / FILE).read_text()
    for text, message in (
        (whole[: len(whole) // 2], "is damaged"),
        (whole.replace("0.0625", "NaN"), "NaN is no JSON"),
        ("[]", "not written by cliplab"),
        (whole.replace('"pets"', "7"), r"dataset\.name: 7 is not of type"),
    ):
        (folder / FILE).write_text(text)
        with pytest.raises(DataError, match=message):
            read_record(folder)
    (folder / FILE).write_text(json.dumps({**run.record.data, "schema_version": 99}))
    with pytest.raises(FormatTooNew, match="format version 99"):
        read_record(folder)


def test_a_disk_that_fills_up_leaves_the_earlier_run_whole(run, make, monkeypatch):
    folder = run.record.run
    write_run(folder, run.record, run.predictions)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_predictions", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_run(folder, make.run(folder, run.predictions, seed=7).record, run.predictions)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_was_learned_replaces_the_earlier_only_with_the_rest(run, monkeypatch):
    folder = run.record.run

    def learned(text):
        return [lambda place: write_bytes(place / "probe", text)]

    write_run(folder, run.record, run.predictions, learned(b"first"))
    with monkeypatch.context() as patched:
        patched.setattr(module, "write_predictions", lambda *_args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_run(folder, run.record, run.predictions, learned(b"second"))
    assert (folder / "probe").read_bytes() == b"first"
    write_run(folder, run.record, run.predictions, learned(b"second"))
    assert (folder / "probe").read_bytes() == b"second"
    assert (folder / FILE).exists()


def test_the_record_appears_after_the_predictions(run, monkeypatch):
    """Killed before the record's rename, the folder holds no record: it is incomplete."""
    folder = run.record.run
    write_run(folder, run.record, run.predictions)
    seen = []
    replace = type(folder).replace

    def watched(self, target):
        seen.append((target.name, (folder / FILE).exists()))
        return replace(self, target)

    monkeypatch.setattr(type(folder), "replace", watched)
    write_run(folder, run.record, run.predictions)
    assert seen == [(PREDICTIONS, False), (FILE, False)]


def test_what_is_without_the_catch_all_class_is_in_the_record_and_checked(make, tmp_path):
    told = {"zero_shot": make.predictions([0, 1, 2, 0])}
    record = make.run(tmp_path / "run", told, catch_all="cat").record
    rest = record["results"][0]["without_catch_all"]
    assert (rest["classes"], rest["n"], rest["metrics"]["top1"]["value"]) == (["cat"], 2, 0.4)
    del rest["n"]
    with pytest.raises(DataError, match="'n' is a required property"):
        validate(record.data)
    assert "without_catch_all" not in make.run(tmp_path / "other", told).record["results"][0]
