"""Few-shot curves in a record: the schema, the table, the notes, the CSV."""

from __future__ import annotations

import csv

import pytest

from cliplab.few_shot import Curve, Draw, FewShot, Point
from cliplab.nouns import Measure, Record
from cliplab.report.blocks import plain
from cliplab.report.few_shot import few_shot_notes, few_shot_rows, few_shot_table
from cliplab.report.layout import render
from cliplab.report.record import validate
from cliplab.report.tables import write_suite_csv
from cliplab.runtime.errors import DataError

POINTS = (
    Point(1, Measure(0.5, 0.41, 0.59), 0.05, (0.45, 0.55), ({"C": 1.0}, {"C": 2.0})),
    Point(4, Measure(0.8, None, None), None, (0.8,), ({},)),
)
MADE = FewShot(
    (1, 4), 2, 3, "in folds", 0.75, (Draw(1, 0, "d" * 64),), (Curve("linear_probe", POINTS, 4),)
)


@pytest.fixture
def curved(record) -> Record:
    made = Record({**record.data, "few_shot": plain(MADE)})
    validate(made.data)
    return made


def test_the_schema_wants_every_part_of_it(curved):
    block = {key: value for key, value in curved["few_shot"].items() if key != "draws"}
    with pytest.raises(DataError, match="few_shot"):
        validate({**curved.data, "few_shot": block})


def test_the_table_has_zero_shot_above_and_all_pictures_below(curved):
    lines = [line.strip() for line in render(few_shot_table(curved)).splitlines()]
    assert lines[1].split() == ["shots", "%"]
    assert lines[3].split() == ["0,", "zero-shot", "75.0"]
    assert lines[4].split() == ["1", "50.0", "±", "5.0", "[41.0,", "59.0]"]
    assert lines[5].split() == ["4", "80.0"]
    assert lines[6].split() == ["all", "100.0"]


def test_the_notes_say_where_zero_shot_is_beaten(curved):
    assert few_shot_notes(curved)[1] == "linear probe: above zero-shot from 4 shots"
    never = plain(MADE) | {"curves": [{**plain(MADE)["curves"][0], "beats_zero_shot_at": None}]}
    notes = few_shot_notes(Record({**curved.data, "few_shot": never}))
    assert notes[1] == "linear probe: not above zero-shot with up to 4 shots"
    assert (
        len(few_shot_notes(Record({**curved.data, "few_shot": never | {"zero_shot": None}}))) == 1
    )


def test_rows_are_flat(curved, record):
    assert few_shot_rows(record) == []
    rows = few_shot_rows(curved)
    assert [(row["shots"], row["top1"], row["top1_std"]) for row in rows] == [
        (1, 0.5, 0.05), (4, 0.8, None),
    ]  # fmt: skip


def test_csv_has_the_points_below_the_results(curved, tmp_path):
    write_suite_csv(tmp_path / "t.csv", [curved])
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(r["classifier"], r["shots"]) for r in rows] == [
        ("zero_shot", ""), ("linear_probe", ""), ("linear_probe", "1"), ("linear_probe", "4"),
    ]  # fmt: skip
    assert rows[2]["dataset"] == "pets"
    assert rows[2]["top1_low"] == "0.41"
