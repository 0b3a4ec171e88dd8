"""Charts: figures of plain types, names escaped, and tables with every number."""

from __future__ import annotations

import json

import pytest

from cliplab.report.charts import (
    few_shot_chart,
    label,
    overall_chart,
    reliability_chart,
    search_chart,
    spread,
)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("dog", "dog"),
        ("<script>x</script>", "&lt;script&gt;x&lt;/script&gt;"),
        ("a&lt;b", "a&amp;lt;b"),
        ("x" * 40, None),
        ("tab\tbell\x07", "tab\\tbell\\x07"),
    ],
)
def test_a_label_is_text(name, shown):
    found = label(name)
    if shown is None:
        assert found == "x" * 27 + "…"
    else:
        assert found == shown


def test_a_name_that_turns_the_text_round_is_kept_to_itself():
    assert label("\u0642\u0637\u0629") == "\u2068\u0642\u0637\u0629\u2069"
    assert "\u202e" not in label("\u202eabc")


def test_points_of_one_name_lie_around_it():
    places = [spread(i, 3) for i in range(3)]
    assert sum(places) == pytest.approx(0)
    assert places[1] == 0
    assert places == sorted(places)


def test_side_by_side_has_a_row_a_classifier_and_what_was_reported(record):
    chart = overall_chart("x", record, {"zero_shot": 0.5})
    assert chart.columns[-1] == "reported top-1 %"
    assert [row[0] for row in chart.rows] == ["zero-shot", "linear probe"]
    assert [row[-1] for row in chart.rows] == ["50.0", "–"]
    assert chart.rows[0][1] == "75.0 [30.0, 95.5]"
    names = [trace["name"] for trace in chart.figure["data"]]
    assert names == ["zero-shot", "reported, zero-shot", "linear probe"]
    ticks = chart.figure["layout"]["yaxis"]["ticktext"]
    assert ticks == ["top-1", "mean per class"]  # top-5 of three classes is not scored
    json.dumps(chart.figure, allow_nan=False)


def test_without_a_report_nothing_is_said_of_one(record):
    chart = overall_chart("x", record)
    assert "reported" not in " ".join(chart.columns)
    assert len(chart.figure["data"]) == 2


def reliability(*rows):
    keys = ("low", "high", "n", "confidence", "accuracy")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def test_sureness_is_shown_where_there_are_pictures():
    rows = reliability((0.0, 0.5, 0, None, None), (0.5, 1.0, 4, 0.8, 0.5))
    block = {
        "temperature": 2.0, "fitted_on": "8 pictures", "n_fitted": 8, "at_end": False, "ece": 0.3,
        "ece_tempered": 0.1, "reliability": rows, "reliability_tempered": rows,
    }  # fmt: skip
    result = {"classifier": {"name": "zero_shot"}, "calibration": block}
    chart = reliability_chart("x", result, 0)
    bars = chart.figure["data"][1]
    assert bars["y"] == [50.0]
    assert bars["error_y"]["array"][0] == pytest.approx(100 * (0.85 - 0.5), abs=0.1)  # Wilson's
    assert "30.0 %, 10.0 % at temperature 2 (fitted on 8 pictures)." in chart.told
    assert chart.rows[0] == ("0.0 to 50.0", "0", "–", "–")
    assert reliability_chart("x", {**result, "calibration": None}, 0) is None


def test_few_shots_without_curves_are_no_chart(record):
    assert few_shot_chart("x", record) is None


def test_the_search_is_sorted_by_the_setting_and_tells_the_best():
    trace = [
        {"lambda": 100.0, "C": 0.01, "accuracy": 0.5, "loss": 1.0, "converged": True},
        {"lambda": 1.0, "C": 1.0, "accuracy": 0.75, "loss": 0.5, "converged": True},
    ]
    result = {"classifier": {"name": "linear_probe"}, "trace": trace}
    chart = search_chart("x", result, 1)
    assert chart.figure["data"][0]["x"] == [1.0, 100.0]
    assert chart.figure["layout"]["xaxis"]["ticktext"] == ["1", "100"]
    assert "the best, 1, was right on 75.0 %" in chart.told
    assert chart.columns == ("λ", "C", "accuracy", "loss", "converged")
    assert chart.rows[0] == ("100", "0.01", "0.5", "1", "yes")


@pytest.mark.parametrize("trace", [[], [{"lambda": 1.0, "accuracy": 0.5}], [{"how": "given"}] * 3])
def test_without_a_search_there_is_no_chart(trace):
    assert search_chart("x", {"classifier": {"name": "knn"}, "trace": trace}, 0) is None


def test_a_setting_over_many_decades_is_marked_by_decades():
    trace = [{"lambda": 10.0**i, "accuracy": 0.5, "loss": 1.0} for i in range(-6, 7)]
    chart = search_chart("x", {"classifier": {"name": "linear_probe"}, "trace": trace}, 0)
    assert chart.figure["layout"]["xaxis"]["dtick"] == 2
    assert "tickvals" not in chart.figure["layout"]["xaxis"]
