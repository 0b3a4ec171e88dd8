from __future__ import annotations

import csv
from textwrap import dedent

import pytest

from cliplab.nouns import Skipped
from cliplab.report.compare import compare
from cliplab.report.layout import render
from cliplab.report.record import write_run
from cliplab.report.runs import list_runs
from cliplab.report.tables import (
    comparison_per_class_table,
    comparison_table,
    evaluation_table,
    few_note,
    per_class_table,
    runs_table,
    suite_rows,
    suite_table,
    write_csv,
    write_suite_csv,
)


def _lines(text):
    return dedent(text).strip("\n").splitlines()


def test_overall_scores(record):
    assert render(evaluation_table(record)).splitlines() == _lines("""
                                top-1   top-5              mean per               ECE
    classifier                      %       %               class %                 %
    ─────────────────────────────────────────────────────────────────────────────────
    zero-shot       75.0 [30.0, 95.5]       –    75.0 [25.0, 100.0]   6.2 [0.0, 20.0]
    linear probe   100.0 [30.0, 95.5]       –   100.0 [25.0, 100.0]   6.2 [0.0, 20.0]
    """)


def test_scores_by_class(record):
    assert render(per_class_table(record)).splitlines() == _lines("""
                zero-shot            zero-shot   linear probe         linear probe
    class   n     correct                    %        correct                    %
    ──────────────────────────────────────────────────────────────────────────────
    cat *   2           2   100.0 [12.5, 87.5]              2   100.0 [12.5, 87.5]
    dog *   2           1    50.0 [12.5, 87.5]              2   100.0 [12.5, 87.5]
    owl     0           –                    –              –                    –
    """)


def test_classes_with_few_pictures_are_explained(record, make, tmp_path):
    note = few_note([result["per_class"] for result in record["results"]])
    assert note.startswith("* few pictures (2 of 3 classes): under 10")
    labels = [0, 1] * 30
    told = make.predictions(labels, labels, class_names=("cat", "dog"))
    many = make.run(tmp_path / "many", {"knn": told}).record
    rows = [
        [{**row, "low": 0.9, "high": 1.0, "few": False} for row in many["results"][0]["per_class"]]
    ]
    assert few_note(rows) == ""


def _many_classes(make, tmp_path, n):
    labels = [label for label in range(n) for _ in range(n)]
    told = [label if k <= label else (label + 1) % n for label in range(n) for k in range(n)]
    names = tuple(f"class {i:02}" for i in range(n))
    predictions = make.predictions(told, labels, class_names=names)
    return make.run(tmp_path / "run", {"knn": predictions})


def test_of_many_classes_the_best_and_the_worst_are_shown(make, tmp_path):
    run = _many_classes(make, tmp_path, 31)
    lines = render(per_class_table(run.record)).splitlines()[3:]
    assert len(lines) == 21
    assert lines[0].startswith("class 30")
    assert lines[9].startswith("class 21")
    assert lines[10].strip() == "… 11 more classes"
    assert lines[11].startswith("class 09")
    assert lines[20].startswith("class 00")
    in_full = render(per_class_table(run.record, all_classes=True)).splitlines()[3:]
    assert [line[:8] for line in in_full] == [f"class {i:02}" for i in range(31)]
    assert len(render(comparison_per_class_table(compare([run]))).splitlines()) == 23


def test_thirty_classes_are_shown_in_label_order(make, tmp_path):
    run = _many_classes(make, tmp_path, 30)
    assert len(render(per_class_table(run.record)).splitlines()) == 33


@pytest.mark.parametrize("name", ["[red]x", "[/]", "[bold"])
def test_a_class_called_like_markup_is_printed_as_it_is_called(make, tmp_path, name):
    told = make.predictions([0, 1, 1, 0], class_names=(name, "dog", "owl"))
    run = make.run(tmp_path / name.replace("/", "-"), {"knn": told}, encoder=name)
    assert name in render(per_class_table(run.record))
    assert name in render(comparison_table(compare([run])))
    assert name in render(comparison_per_class_table(compare([run])))


@pytest.fixture
def suite(make, tmp_path, predictions):
    """Two encoders over one test set, and one of them over another."""
    better = {name: make.predictions([0, 1, 1, 0]) for name in predictions}
    runs = [
        make.run(tmp_path / "a", predictions, encoder="RN50/openai"),
        make.run(tmp_path / "b", better, encoder="ViT-B-32/openai"),
        make.run(
            tmp_path / "c",
            {"zero_shot": predictions["zero_shot"]},
            encoder="RN50/openai",
            dataset={"name": "[red]birds", "split": "all", "pictures_digest": "f" * 64},
            skipped=(Skipped("x.png", "truncated"),),
        ),
    ]
    for run in runs:
        write_run(run.record.run, run.record, run.predictions)
    return [run.record for run in runs]


def test_suite(suite):
    # The intervals of the differences are the metrics' affair.
    lines = [line.split() for line in render(suite_table(suite)).splitlines()]
    each = ["to", "the", "McNemar"]
    assert lines[0] == ["zero-shot", *each, "linear", "probe", *each]
    assert lines[1] == [
        "data", "set", "encoder", "n", "%", "best", "p", "%", "best", "p", "pictures/s",
    ]  # fmt: skip
    assert lines[3][:7] == ["pets", "RN50/openai", "4", "75.0", "[30.0,", "95.5]", "-25.0"]
    assert lines[3][9] == "0.500"  # one picture sets them apart
    assert lines[4][:12] == [
        "pets", "ViT-B-32/openai", "4", "100.0", "[30.0,", "95.5]", "best", "–",
        "100.0", "[30.0,", "95.5]", "0.0",
    ]  # fmt: skip
    assert lines[4][-1] == "1,234.6"
    assert lines[5] == [
        "[red]birds", "(all)", "RN50/openai", "4", "75.0", "[30.0,", "95.5]", "–", "–",
        "–", "–", "–", "1,234.6",
    ]  # fmt: skip


def test_tasks_are_named_where_a_data_set_has_several(make, tmp_path, predictions):
    def run(task):
        made = make.run(tmp_path / task, predictions, dataset={"task": task})
        write_run(made.record.run, made.record, made.predictions)
        return made.record

    text = render(suite_table([run("genre"), run("style")]))
    assert "pets:genre" in text
    assert "pets:style" in text
    assert "genre" not in render(suite_table([run("genre")]))


def test_suite_rows_are_flat(suite):
    rows = suite_rows(suite)
    assert len(rows) == 5
    first = rows[0]
    assert (first["dataset"], first["encoder"], first["classifier"]) == (
        "pets", "RN50/openai", "zero_shot",
    )  # fmt: skip
    assert (first["top1"], first["top1_low"], first["top1_high"]) == (0.75, 0.3, 0.955)
    assert (first["best"], first["difference"]) == (False, -0.25)
    assert first["difference_low"] <= -0.25 <= first["difference_high"]
    assert (rows[2]["best"], rows[2]["difference"]) == (True, None)
    assert (rows[4]["best"], rows[4]["skipped"], rows[4]["top5"]) == (None, 1, None)
    assert all(row.keys() == first.keys() for row in rows)


def test_csv(suite, tmp_path):
    write_suite_csv(tmp_path / "table.csv", suite)
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5
    assert rows[0]["top1"] == "0.75"
    assert rows[0]["top5"] == ""
    assert rows[4]["dataset"] == "[red]birds"


def test_csv_quotes_what_would_break_a_row(tmp_path):
    write_csv(tmp_path / "x.csv", [{"name": 'a,"b"\nc', "n": None}])
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.DictReader(stream)) == [{"name": 'a,"b"\nc', "n": ""}]
    write_csv(tmp_path / "empty.csv", [])
    assert (tmp_path / "empty.csv").read_text().strip() == ""


def test_list_of_runs(suite, tmp_path, make):
    (tmp_path / "pets-toy-20261124-031500").mkdir()
    text = render(runs_table(list_runs(tmp_path)))
    assert len(text.splitlines()) == 7
    assert "incomplete" in text
    assert "[red]birds:label (all)" in text
    assert "zero-shot 75.0, linear probe 100.0" in text


def test_headlines_are_given_with_and_without_the_catch_all_class(make, tmp_path, predictions):
    run = make.run(tmp_path / "run", predictions, catch_all="cat")
    zero_shot, rest, *_ = render(evaluation_table(run.record)).splitlines()[3:]
    assert zero_shot.split()[:4] == ["zero-shot", "75.0", "[30.0,", "95.5]"]
    assert rest.startswith("  without “cat”, n 2")
    assert rest.split()[4:8] == ["40.0", "[20.0,", "70.0]", "–"]
    last = render(suite_table([run.record])).splitlines()[-1]
    assert " ".join(last.split()) == "without “cat” 2 40.0 [20.0, 70.0] 40.0 [20.0, 70.0]"
    row = suite_rows([run.record])[0]
    assert (row["n_without_catch_all"], row["top1_without_catch_all"]) == (2, 0.4)
    assert (row["top1_without_catch_all_low"], row["top1_without_catch_all_high"]) == (0.2, 0.7)


def test_without_a_catch_all_class_its_cells_are_empty(record):
    row = suite_rows([record])[0]
    assert (row["n_without_catch_all"], row["top1_without_catch_all"]) == (None, None)
