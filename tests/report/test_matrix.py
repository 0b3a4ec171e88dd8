"""The matrix of a transfer as a table and as rows."""

from __future__ import annotations

from pathlib import Path

from cliplab.nouns import Record
from cliplab.report.layout import render
from cliplab.report.matrix import matrix_caption, matrix_rows, matrix_table


def record(value: float | None, n_train: int | None = 8) -> Record:
    measure = {"value": value, "low": value, "high": value}
    data = {
        "run": "runs/cell",
        "dataset": {"n": 4},
        "encoder": {"name": "clip"},
        "results": [
            {
                "classifier": {"name": "linear_probe"},
                "metrics": dict.fromkeys(("top1", "top5", "mean_per_class", "ece"), measure),
            }
        ],
        "skipped": [],
    }
    return Record(data | ({} if n_train is None else {"trained_on": {"n": n_train}}))


CELLS = [
    ("a", "a", record(0.9)), ("a", "b", record(0.5)),
    ("b", "a", record(None)), ("b", "b", record(0.8)),
    (None, "a", record(0.4, None)), (None, "b", record(0.2, None)),
]  # fmt: skip


def test_rows_are_trained_on_and_the_mean_leaves_the_diagonal_out():
    lines = [line.split() for line in render(matrix_table(["a", "b"], CELLS)).splitlines()]
    first, second, zero_shot = lines[-3:]
    assert (first[0], first[1], first[-1]) == ("a", "90.0", "50.0")
    assert second[0] == "b"
    assert second[-1] == "–"  # the only other one is not scored
    assert (zero_shot[0], zero_shot[-1]) == ("zero-shot", "30.0")
    assert "linear probe" in matrix_caption("linear_probe")


def test_a_flat_row_a_cell():
    rows = matrix_rows(CELLS)
    assert [(row["trained_on"], row["tested_on"]) for row in rows][-1] == ("zero-shot", "b")
    assert rows[0]["top1"] == 0.9
    assert rows[2]["top1"] is None
    assert [row["n_train"] for row in rows] == [8, 8, 8, 8, None, None]
    assert Path(rows[0]["run"]) == Path("runs/cell")
