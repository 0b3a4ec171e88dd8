"""Records of drawings obey their schema, and are told apart from those of encoders."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.metrics.test_drawings import judged

from cliplab.metrics.drawings import Near, score_drawings
from cliplab.nouns import Skipped
from cliplab.report.drawings_record import (
    drawings_lines,
    finished_record,
    make_drawings_record,
    overall_table,
    per_class_table,
    read_drawings_record,
    write_drawings_record,
)
from cliplab.report.layout import render
from cliplab.report.record import read_record
from cliplab.report.runs import latest_run, list_runs
from cliplab.runtime.errors import DataError, FormatTooNew

IDENTITY = "9" * 64


class Judge:
    name, identity = "recognizer", {"weights": "0" * 64}


@pytest.fixture(scope="module")
def scores():
    return score_drawings(judged(), draws=50)


@pytest.fixture
def made(scores, tmp_path):
    return record(tmp_path, scores)


def record(run, scores, **changes):
    parts = {
        "run": run,
        "identity": IDENTITY,
        "drawings": {
            "name": "mine", "drawer": None, "n": 90, "digest": "1" * 64, "location": "mine",
            "shape": [1, 28, 28],
        },
        "dataset": {
            "name": "quickdraw", "task": "label", "n_train": 5000, "n_held_out": 144,
            "digest": "2" * 64,
        },
        "recognizer": Judge(),
        "class_names": ["bee", "cat", "dog"],
        "scores": scores,
        "pairs": [{"drawing": "cat/1.png", "training": "cat/9.png", "pixels": 0.05, "features": 2}],
        "left_out": ["owl"],
        "skipped": [Skipped("a.png", "cut short")],
        "config": {"n": 30},
        "timings": {"drawing": 1.5},
        "machine": {},
        "versions": {"python": "3.11"},
        "seed": 0,
    }  # fmt: skip
    return make_drawings_record(**{**parts, **changes})


def test_it_is_read_as_it_was_written(made, tmp_path):
    write_drawings_record(tmp_path / "run", made)
    there = read_drawings_record(tmp_path / "run")
    assert {**there.data, "run": None} == {**made.data, "run": None}
    assert there.run == tmp_path / "run"
    assert made["kind"] == "drawings"
    assert made["overall"]["top1"]["ratio"]["value"] == pytest.approx(0.8)


def test_parts_that_make_no_record_are_named(scores, tmp_path):
    with pytest.raises(DataError, match=r"drawings\.n: -1") as error:
        record(tmp_path, scores, drawings={"n": -1}, seed="x")
    assert "seed" in str(error.value)


def test_what_was_measured_is_known_again(made, tmp_path):
    assert finished_record(tmp_path / "run", IDENTITY) is None
    write_drawings_record(tmp_path / "run", made)
    assert finished_record(tmp_path / "run", IDENTITY)["seed"] == 0
    assert finished_record(tmp_path / "run", "8" * 64) is None


def test_people_see_it(made):
    table = render(overall_table(made))
    for word in ("top-1", "Fréchet", "KID", "coverage", "diversity", "taught", "shuffled labels"):
        assert word in table
    assert "60.0 [" in table
    classes = render(per_class_table(made))
    for word in ("bee", "cat", "dog", "taught"):
        assert word in classes
    lines = "\n".join(drawings_lines(made))
    for words in (
        "mine beside 144 held-out pictures of quickdraw",
        "compared at 72 pictures each",
        "the closest pair: cat/1.png and cat/9.png, 5.0 % of a grey apart",
        "not drawn: owl",
        "1 cannot be read and are left out (a.png: cut short)",
    ):
        assert words in lines


def test_of_many_classes_the_worst_are_shown(made):
    one = made["per_class"][0]
    many = [
        {**one, "name": f"class {n}", "top1": {**one["top1"], "drawn": {
            "value": n / 100, "low": 0, "high": 1}}}
        for n in range(60)
    ]  # fmt: skip
    wide = type(made)({**made.data, "per_class": many[::-1]})
    table = render(per_class_table(wide))
    assert "class 0 " in table
    assert "class 45" not in table
    assert "class 45" in render(per_class_table(wide, all_classes=True))


def test_what_is_not_scored_is_a_dash(scores, tmp_path):
    drawn = judged()
    zero = Near(*(np.zeros_like(column) for column in drawn.near_held_out))
    found = score_drawings(drawn._replace(near_held_out=zero), draws=50)
    assert record(tmp_path, found)["overall"]["near_pixels"]["ratio"]["value"] is None
    assert "–" in render(overall_table(record(tmp_path, found)))


def test_it_is_no_run_of_an_encoder(made, tmp_path):
    write_drawings_record(tmp_path / "runs" / "a", made)
    (entry,) = list_runs(tmp_path / "runs")
    assert (entry.state, entry.dataset, entry.encoder) == ("of drawings", "quickdraw", "mine")
    assert entry.n == 90
    with pytest.raises(DataError, match="no complete run"):
        latest_run(tmp_path / "runs")
    with pytest.raises(DataError, match="the record of drawings, not of an encoder"):
        read_record(tmp_path / "runs" / "a")


def test_other_files_are_refused(made, tmp_path):
    with pytest.raises(DataError, match=r"holds no record\.json"):
        read_drawings_record(tmp_path)
    (tmp_path / "record.json").write_text('{"schema_version": 1}')
    with pytest.raises(DataError, match="not the record of drawings"):
        read_drawings_record(tmp_path)
    (tmp_path / "record.json").write_text(json.dumps({**made.data, "schema_version": 2}))
    with pytest.raises(FormatTooNew):
        read_drawings_record(tmp_path)
    (tmp_path / "record.json").write_text(json.dumps({**made.data, "overall": {}}))
    with pytest.raises(DataError, match="overall"):
        read_drawings_record(tmp_path)
