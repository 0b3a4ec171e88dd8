"""The reported tables as they stand in the report, and runs set beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cliplab.nouns import Measure, Skipped
from cliplab.report import reported
from cliplab.report.layout import render
from cliplab.report.reported import (
    ReportedValue,
    beside_reported,
    reported_for,
    reported_tables,
)
from cliplab.report.reported_tables import reported_rows, reported_table
from cliplab.runtime.errors import UsageError

PARIS = (
    "La Défense", "Eiffel Tower", "Paris", "Les Invalides", "Louvre", "Moulin Rouge",
    "Musée d'Orsay", "Notre-Dame de Paris", "Panthéon", "Centre Pompidou", "Sacré-Cœur",
    "Arc de Triomphe",
)  # fmt: skip


def test_the_tables_are_those_of_the_report():
    tables = reported_tables()
    domains = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
    others = ("paris", "oxford", "wikiart/artist195")
    assert [t.dataset for t in tables] == [*(f"domainnet/{d}" for d in domains), *others]
    assert [len(t.rows) for t in tables] == [0] * 6 + [12, 17, 13]
    clipart, paris = tables[0].overall.values, tables[6]
    assert {name: value.value for name, value in clipart.items()} == pytest.approx(
        {"benchmark": 0.586, "zero_shot": 0.665, "linear_probe": 0.7814}
    )
    assert (paris.images, paris.overall.values["linear_probe"].value) == (6412, 0.7961)
    assert paris.rows[0].values["zero_shot"] == ReportedValue(0.08, 0.005)


def test_every_number_of_the_file_is_in_a_table():
    text = (reported.resources.files("cliplab.report") / reported.FILE).read_text("utf-8")
    found = json.loads(text)
    in_file = [n for row in found["domainnet"]["rows"].values() for n in row]
    for key in ("paris", "oxford", "wikiart"):
        in_file += found[key]["overall"] + [n for row in found[key]["rows"].values() for n in row]
    in_tables = [
        value.value
        for table in reported_tables()
        for row in (table.overall, *table.rows)
        for value in row.values.values()
    ]
    assert sorted(in_tables) == pytest.approx(sorted(n / 100 for n in in_file))


def test_classes_of_the_report_are_those_of_the_data_sets():
    from cliplab.datasets import oxford, paris
    from cliplab.datasets.wikiart_artists import STYLES

    for name, classes in (
        ("paris", paris.BUILDINGS.word_names),
        ("oxford", oxford.BUILDINGS.word_names),
        ("wikiart", STYLES),
    ):
        table = next(t for t in reported_tables() if t.table == name)
        plain = reported._plain
        assert {plain(row.name) for row in table.rows} == {plain(name) for name in classes}


@pytest.mark.parametrize(
    ("value", "low", "high", "within"),
    [
        (ReportedValue(0.80, 0.005), 0.75, 0.85, True),
        (ReportedValue(0.80, 0.005), 0.802, 0.85, True),  # 80 may have been 80.4
        (ReportedValue(0.80, 0.005), 0.806, 0.85, False),
        (ReportedValue(0.80, 0.005), 0.70, 0.794, False),
        (ReportedValue(0.8000, 0.00005), 0.802, 0.85, False),
        (ReportedValue(0.80, 0.005), None, None, None),
    ],
)
def test_within_allows_for_the_rounding_of_the_report(value, low, high, within):
    assert value.within(Measure(0.5, low, high)) is within


@pytest.fixture
def paris_run(make, tmp_path):
    """Two pictures of each class, but for the last; all of La Défense are called Paris."""
    labels = np.repeat(np.arange(11), 2)
    told = [2 if label == 0 else int(label) for label in labels]
    predictions = make.predictions(told, labels, class_names=PARIS)
    block = {
        "name": "paris", "task": "query_word", "n": 22, "n_total": 6392, "class_names": list(PARIS),
    }  # fmt: skip
    return make.run(
        tmp_path / "run",
        {"zero_shot": predictions, "knn": predictions},
        dataset=block,
        skipped=(Skipped("paris_louvre_000136.jpg", "no picture"),),
    )


def test_a_run_beside_the_report_class_by_class(paris_run):
    found = beside_reported(paris_run.record)
    assert {number.classifier for number in found.numbers} == {"zero_shot"}
    assert [number.reported_as for number in found.numbers][:3] == [
        "all",
        "La Defense",
        "Eiffel Tower",
    ]
    overall, defense, *_, triomphe = found.numbers
    assert (overall.n, overall.reported, overall.ours.value) == (22, 0.5008, 20 / 22)
    assert overall.difference == pytest.approx(20 / 22 - 0.5008)
    assert (defense.name, defense.n, defense.ours.value) == ("La Défense", 2, 0.0)
    assert defense.within is False  # the made-up interval is 12.5 to 87.5, the report says 8
    assert (triomphe.n, triomphe.ours.value, triomphe.within) == (0, None, None)


def test_what_differs_is_said(paris_run):
    notes = "\n".join(beside_reported(paris_run.record).notes)
    assert (
        "Pictures: 6,412 in the report, here 6,392 are labelled, of which 22 were scored" in notes
    )
    assert "1 could not be read: 20 fewer." in notes
    assert "12 rows in the report, 12 classes here." in notes
    assert "names no encoder (an OpenAI CLIP; here ViT-B-32/openai)" in notes
    assert "This run has no linear probe." in notes
    assert "without a class here" not in notes


def test_other_candidates_are_named(make, tmp_path):
    names = ("La Défense", "Eiffel Tower", "Opéra")
    predictions = make.predictions([0, 1, 2], [0, 1, 2], class_names=names)
    block = {"name": "paris", "task": "query_word", "class_names": list(names), "split": "train"}
    run = make.run(tmp_path / "run", {"linear_probe": predictions}, dataset=block)
    notes = "\n".join(beside_reported(run.record).notes)
    assert "Classes here that the report has no row for: Opéra." in notes
    assert "Rows of the report without a class here: general, Hotel des Invalides," in notes
    assert "scored the split 'train'" in notes


def test_domainnet_has_one_row_and_says_how_many_candidates(make, tmp_path):
    predictions = make.predictions([0, 1, 1, 0])
    block = {"name": "domainnet/real", "task": "label"}
    run = make.run(tmp_path / "run", {"zero_shot": predictions}, dataset=block)
    found = beside_reported(run.record)
    assert [(n.reported_as, n.reported) for n in found.numbers] == [("real", 0.8072)]
    assert "Candidates: the report does not say; here 3 classes." in found.notes


def test_nothing_reported_is_an_error_that_lists_what_is(record):
    with pytest.raises(
        UsageError, match=r"Nothing was reported of pets:label\. .*paris:query_word"
    ):
        beside_reported(record)
    assert reported_for("paris/", "query_word").table == "paris"


def test_a_run_of_other_classifiers_is_refused(make, tmp_path):
    block = {"name": "domainnet/real", "task": "label"}
    run = make.run(tmp_path / "run", {"knn": make.predictions([0, 1, 1, 0])}, dataset=block)
    with pytest.raises(UsageError, match="neither zero-shot nor a linear probe"):
        beside_reported(run.record)


def test_the_table_marks_what_may_be_noise(paris_run):
    lines = render(reported_table(beside_reported(paris_run.record).numbers)).splitlines()
    assert lines[0].split() == ["zero-shot"]
    assert lines[1].split() == ["class", "n", "report", "here", "differs"]
    assert lines[3].startswith("all")
    defense = next(line for line in lines if line.startswith("La Defense"))
    assert defense.split()[-5:] == ["8", "0.0", "[12.5,", "87.5]", "-8.0"]
    tower = next(line for line in lines if line.startswith("Eiffel Tower"))
    assert tower.endswith("+22.0 ≈")
    triomphe = next(line for line in lines if line.startswith("Arc de Triomphe"))
    assert triomphe.split()[-4:] == ["0", "79", "–", "–"]


def test_rows_for_programs(paris_run):
    numbers = beside_reported(paris_run.record).numbers
    rows = reported_rows(numbers, dataset="paris")
    assert rows[1] | {"here_low": 0, "here_high": 0} == {
        "dataset": "paris", "row": "La Défense", "reported_as": "La Defense",
        "classifier": "zero_shot", "n": 2, "reported": 0.08, "here": 0.0, "here_low": 0,
        "here_high": 0, "difference": -0.08, "within": False,
    }  # fmt: skip


def test_names_that_differ_are_told(paris_run):
    notes = "\n".join(beside_reported(paris_run.record).notes)
    assert "La Defense is La Défense, general is Paris," in notes
    assert "Louvre is" not in notes
