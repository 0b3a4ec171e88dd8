"""From a data set and a tokenizer to a record; from pictures to a grid."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import make_photos
from tests.tiny_tokenizer import make_tokenizer

from cliplab import reconstruction
from cliplab.datasets.family import open_dataset
from cliplab.metrics.reconstruction import absolute_error
from cliplab.reconstruction import (
    EvaluateTokenizerConfig,
    evaluate_held_out,
    evaluate_tokenizer,
    reconstruct,
)
from cliplab.report.tokenizer_record import read_tokenizer_record
from cliplab.runtime.errors import DataError, UsageError
from cliplab.tokenizers.opening import load_tokenizer

WITHOUT = EvaluateTokenizerConfig(recognizer=False, pictures=50)


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t"))


@pytest.fixture
def quick(monkeypatch):
    """A recogniser of a few steps."""
    from cliplab.recognizers import training

    real = training.RecognizerConfig
    monkeypatch.setattr(training, "RecognizerConfig", lambda **s: real(**s, steps=150, width=8))


def test_a_record_of_held_out_pictures(digits, tokenizer, tmp_path, home, quick):
    config = EvaluateTokenizerConfig(pictures=100, out=tmp_path / "run", device="cpu")
    record = evaluate_tokenizer(digits, tokenizer, config)
    assert read_tokenizer_record(tmp_path / "run").data == record.data
    assert record["dataset"]["n"] == 100
    assert record["dataset"]["n_held_out"] == 359
    assert record["tokenizer"]["identity"]["weights"] == tokenizer.digest
    assert record["config"]["pictures"] == 100
    for kind in ("reconstruction", "mean_picture", "blank"):
        assert record["distances"][kind]["l1"]["value"] > 0
    assert record["codebook"]["codes"] == 64
    assert record["gap"]["objective"] == "bce"
    known = record["recognition"]
    assert known["n"] == 100
    assert known["originals"]["value"] > 0.5
    assert known["reconstructions"]["value"] <= known["originals"]["value"]
    assert known["recognizer"]["identity"]["class_names"] == list(digits.task().class_names)
    assert {"python", "torch", "cliplab"} <= set(record["versions"])


def test_the_recogniser_is_kept(digits, tokenizer, tmp_path, home, quick, monkeypatch):
    from cliplab.recognizers import training

    first = evaluate_tokenizer(
        digits, tokenizer, EvaluateTokenizerConfig(pictures=20, out=tmp_path / "a", device="cpu")
    )
    monkeypatch.setattr(training, "train", lambda *_a, **_m: pytest.fail("trained again"))
    second = evaluate_tokenizer(
        digits, tokenizer, EvaluateTokenizerConfig(pictures=20, out=tmp_path / "b", device="cpu")
    )
    assert first["recognition"] == second["recognition"]
    assert first["distances"] == second["distances"]


def test_by_default_a_run_has_a_folder_of_its_own(digits, tokenizer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = evaluate_tokenizer(digits, tokenizer, WITHOUT)
    assert record.run.parent.name == "runs"
    assert record["recognition"] is None
    from cliplab.report.runs import list_runs

    (entry,) = list_runs()
    assert (entry.state, entry.n) == ("of a tokenizer", 50)


def test_pictures_without_classes_are_measured_too(digits, tokenizer, tmp_path):
    unlabelled = dataclasses.replace(digits, labels={"digit": np.full(1797, -1)})
    config = EvaluateTokenizerConfig(pictures=20, out=tmp_path)
    assert evaluate_tokenizer(unlabelled, tokenizer, config)["recognition"] is None


def test_what_was_measured_is_not_measured_again(digits, tokenizer, tmp_path, monkeypatch):
    config = dataclasses.replace(WITHOUT, out=tmp_path / "run")
    first = evaluate_held_out(digits, tokenizer, config)
    real = reconstruction.evaluate_tokenizer
    monkeypatch.setattr(reconstruction, "evaluate_tokenizer", lambda *_a, **_m: "again")
    assert evaluate_held_out(digits, tokenizer, config).data == first.data
    other = load_tokenizer(make_tokenizer(tmp_path / "t", seed=1))
    assert evaluate_held_out(digits, other, config) == "again"
    fewer = dataclasses.replace(digits, splits={"digit": np.roll(digits.splits["digit"], 1)})
    assert evaluate_held_out(fewer, tokenizer, config) == "again"
    monkeypatch.setattr(reconstruction, "evaluate_tokenizer", real)


def test_without_held_out_pictures(digits, tokenizer, capsys):
    train = dataclasses.replace(digits, splits={"digit": np.full(1797, "train", dtype=object)})
    assert evaluate_held_out(train, tokenizer, WITHOUT) is None
    assert "holds no pictures out" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"no pictures in the split 'test'; it has train"):
        evaluate_tokenizer(train, tokenizer, WITHOUT)


# --------------------------------------------------------------------------- a few to look at


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos", n=3)


def test_pictures_and_what_is_left_of_them(photos, tokenizer, tmp_path):
    (photos / "red" / "bad.png").write_bytes(b"<html>")
    out = tmp_path / "out" / "grid.png"
    found = reconstruct([photos / "red", photos / "blue" / "00.png"], tokenizer, out)
    assert len(found.ids) == 4
    assert [one.id for one in found.skipped] == [str(photos / "red" / "bad.png")]
    grid = np.asarray(Image.open(out))
    assert grid.ndim == 2
    above = grid[4:68:8, 4:68:8]
    assert np.array_equal(grid[4:68, 4:68], above.repeat(8, 0).repeat(8, 1))
    below = grid[72:136:8, 4:68:8]
    assert np.array_equal(tokenizer.decode(tokenizer.encode(above[None, None]))[0, 0], below)
    l1 = absolute_error(above[None, None], below[None, None])
    assert found.distances["l1"][0] == pytest.approx(l1[0])
    assert "stroke_iou" in found.distances


def test_no_more_than_asked_for_are_drawn(photos, tokenizer, tmp_path, capsys):
    found = reconstruct([photos], tokenizer, tmp_path / "grid.png", most=4)
    assert len(found.ids) == 4
    assert "The first 4 of 9 pictures" in capsys.readouterr().err


def test_bad_calls(photos, tokenizer, tmp_path):
    out = tmp_path / "grid.png"
    with pytest.raises(UsageError, match=r"ends in \.png"):
        reconstruct([photos], tokenizer, tmp_path / "grid.xyz")
    with pytest.raises(UsageError, match="no picture or folder"):
        reconstruct([photos / "none.png"], tokenizer, out)
    (photos / "red" / "bad.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"bad\.png cannot be read"):
        reconstruct([photos / "red"], tokenizer, out, on_bad="fail")
    with pytest.raises(DataError, match="None of the 1 pictures can be read"):
        reconstruct([photos / "red" / "bad.png"], tokenizer, out)
    assert not out.exists()
    with pytest.raises(UsageError, match="pictures 0"):
        EvaluateTokenizerConfig(pictures=0)


def test_the_record_is_plain_json(digits, tokenizer, tmp_path):
    config = dataclasses.replace(WITHOUT, out=str(tmp_path))
    record = evaluate_tokenizer(digits, tokenizer, config)
    assert json.loads((tmp_path / "record.json").read_text()) == record.data
