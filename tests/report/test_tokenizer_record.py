"""Records of tokenizers obey their schema, and are told apart from those of encoders."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cliplab.metrics.tokenization import score_tokenizer
from cliplab.nouns import Skipped
from cliplab.report.layout import render
from cliplab.report.record import read_record
from cliplab.report.runs import latest_run, list_runs
from cliplab.report.tokenizer_record import (
    distances_table,
    make_tokenizer_record,
    read_tokenizer_record,
    tokenizer_lines,
    write_tokenizer_record,
)
from cliplab.runtime.errors import DataError, FormatTooNew


class Known:
    name, identity = "recognizer", {"weights": "0" * 64}


def scores(recognised=True):
    generator = np.random.default_rng(0)
    kinds = ("reconstruction", "mean_picture", "blank")
    names = ("l1", "mse", "ssim", "stroke_iou")
    return score_tokenizer(
        {kind: {name: generator.random(30) for name in names} for kind in kinds},
        generator.integers(0, 40, (30, 4)).astype(np.uint16),
        64,
        generator.random(30),
        generator.random(30),
        generator.random((30, 2)) < 0.8 if recognised else None,
    )


def record(run, **changes):
    parts = {
        "run": run,
        "dataset": {
            "name": "drawings", "task": "label", "split": "test", "n": 30, "n_held_out": 40,
            "digest": "1" * 64, "pictures_digest": "2" * 64,
        },
        "tokenizer": {
            "name": "mine", "digest": "3" * 64, "identity": {}, "codes": 64, "grid": [2, 2],
            "shape": [1, 4, 4],
        },
        "scores": scores(),
        "objective": "bce",
        "recognizer": Known(),
        "skipped": [Skipped("a.png", "cut short")],
        "config": {},
        "timings": {"reconstruction": 1.5},
        "machine": {},
        "versions": {"python": "3.11"},
        "seed": 0,
    }  # fmt: skip
    return make_tokenizer_record(**{**parts, **changes})


def test_it_is_read_as_it_was_written(tmp_path):
    made = record(tmp_path)
    write_tokenizer_record(tmp_path, made)
    assert read_tokenizer_record(tmp_path).data == made.data
    assert made["kind"] == "tokenizer"


def test_it_lies_elsewhere_and_says_so(tmp_path):
    write_tokenizer_record(tmp_path / "b", record(tmp_path / "a"))
    assert read_tokenizer_record(tmp_path / "b").run == tmp_path / "b"


def test_parts_that_make_no_record_are_named(tmp_path):
    with pytest.raises(DataError, match=r"tokenizer\.codes: -1.*") as error:
        record(tmp_path, tokenizer={"codes": -1, "name": 3})
    assert "tokenizer.name" in str(error.value)


def test_without_a_recogniser_it_is_not_scored(tmp_path):
    made = record(tmp_path, scores=scores(recognised=False), recognizer=None)
    assert made["recognition"] is None
    assert "recognised" not in " ".join(tokenizer_lines(made))


def test_people_see_it(tmp_path):
    made = record(tmp_path)
    table = render(distances_table(made))
    for word in ("reconstructions", "the mean picture", "blank paper", "PSNR", "stroke IoU"):
        assert word in table
    l1 = made["distances"]["blank"]["l1"]["value"]
    assert f"{100 * l1:.1f} [" in table
    lines = "\n".join(tokenizer_lines(made))
    used = made["codebook"]["used"]
    assert f"codes used: {used} of 64 ({100 * used / 64:.1f} %)" in lines
    assert "2x2 tokens" in lines
    assert "1 cannot be read and are left out (a.png: cut short)" in lines
    assert "recognised of 30" in lines


def test_it_is_no_run_of_an_encoder(tmp_path):
    write_tokenizer_record(tmp_path / "runs" / "a", record(tmp_path / "a"))
    (entry,) = list_runs(tmp_path / "runs")
    assert (entry.state, entry.dataset, entry.encoder) == ("of a tokenizer", "drawings", "mine")
    with pytest.raises(DataError, match="no complete run"):
        latest_run(tmp_path / "runs")
    with pytest.raises(DataError, match="the record of a tokenizer, not of an encoder"):
        read_record(tmp_path / "runs" / "a")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no record\.json"):
        read_tokenizer_record(tmp_path)
    (tmp_path / "record.json").write_text('{"schema_version": 1}')
    with pytest.raises(DataError, match="not the record of a tokenizer"):
        read_tokenizer_record(tmp_path)
    newer = {**record(tmp_path).data, "schema_version": 2}
    (tmp_path / "record.json").write_text(json.dumps(newer))
    with pytest.raises(FormatTooNew):
        read_tokenizer_record(tmp_path)
    broken = {**record(tmp_path).data, "codebook": {}}
    (tmp_path / "record.json").write_text(json.dumps(broken))
    with pytest.raises(DataError, match="codebook"):
        read_tokenizer_record(tmp_path)
