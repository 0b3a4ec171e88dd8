"""Records of retrieval as tables and as rows."""

from __future__ import annotations

from cliplab.nouns import Record
from cliplab.report.found import landmarks_table, retrieval_rows, retrieval_table
from cliplab.report.layout import render


def record(metrics: dict[str, float | None], groups=()) -> Record:
    return Record(
        {
            "run": "runs/one",
            "dataset": {"name": "oxford", "task": "retrieval", "split": "all", "n": 5063},
            "encoder": {"name": "clip"},
            "timings": {"pictures_per_second": None},
            "skipped": [{"id": "x", "reason": "gone", "split": "all"}],
            "retrieval": {
                "metrics": {
                    k: {"value": v, "low": v and v / 2, "high": v and 1.0}
                    for k, v in metrics.items()
                },
                "groups": list(groups),
            },
        }
    )


def test_a_row_a_data_set_with_its_intervals():
    text = render(retrieval_table([record({"mAP": 0.5})]))
    for part in ("oxford", "clip", "5,063", "50.0 [25.0, 100.0]", "mAP"):
        assert part in text
    recalls = render(retrieval_table([record({"image_retrieval_recall@5": None})]))
    assert "–" in recalls
    assert "@5 %" in recalls


def test_landmarks():
    group = {"name": "keble", "n": 5, "value": 0.25, "low": 0.1, "high": 0.4}
    assert "keble" in (text := render(landmarks_table(record({"mAP": 0.5}, [group]))))
    assert "25.0 [10.0, 40.0]" in text


def test_rows_have_the_same_keys_whatever_was_scored():
    rows = retrieval_rows([record({"mAP": 0.5}), record({"image_retrieval_recall@1": 0.1})])
    assert set(rows[0]) == set(rows[1])
    assert rows[0]["mAP_low"] == 0.25
    assert rows[0]["image_retrieval_recall@1"] is None
    assert rows[0]["skipped"] == 1
