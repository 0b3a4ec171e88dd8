from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cliplab.nouns import Dataset, Measure, Prompts, Task, digest_of
from cliplab.report.blocks import (
    confusion_cells,
    confusion_matrix,
    dataset_block,
    encoder_block,
    plain,
    prompts_block,
)


def _dataset(ids=("a", "b", "c", "d"), digests=("1", "2", "3", "4"), labels=(0, 1, -1, 1)):
    return Dataset(
        name="pets",
        tasks={"label": Task("label", ("cat", "dog"))},
        ids=np.array(ids, object),
        labels={"label": np.array(labels)},
        splits={"label": np.array(["train", "test", "test", "test"], object)},
        digests=np.array(digests, object),
        source=None,
        split_origin="fixed",
        location=Path("pets"),
    )


def test_dataset_block_counts_what_is_scored_and_what_there_is():
    block = dataset_block(_dataset(), "label", "test")
    assert (block["n"], block["n_total"]) == (2, 3)
    assert block["digest"] == _dataset().content_digest()
    assert block["class_names"] == ["cat", "dog"]
    assert block["untrained"] == ["dog"]  # two test pictures, none to learn from
    assert block["location"] == "pets"
    assert dataset_block(_dataset(), "label", "test", np.array(["d"], object))["n"] == 1


def test_pictures_digest_is_of_the_scored_pictures_alone_in_any_order():
    def digest(dataset, split="test"):
        return dataset_block(dataset, "label", split)["pictures_digest"]

    plainly = digest(_dataset())
    turned = _dataset(ids=("a", "d", "c", "b"), digests=("1", "4", "3", "2"))
    assert digest(turned) == plainly
    assert digest(_dataset(digests=("changed", "2", "3", "4"))) == plainly  # a training picture
    assert digest(_dataset(digests=("1", "changed", "3", "4"))) != plainly
    assert digest(_dataset(labels=(0, 0, -1, 1))) != plainly
    assert digest(_dataset(), "all") != plainly


def test_encoder_block_holds_the_whole_identity_and_its_digest(toy_encoder):
    toy_encoder.identity = {"name": "toy", "mean": (0.5, np.float32(0.25)), "file": Path("w")}
    block = encoder_block(toy_encoder)
    assert block["identity"] == {"name": "toy", "mean": [0.5, 0.25], "file": "w"}
    assert block["digest"] == digest_of(block["identity"])
    assert (block["width"], block["feature_width"], block["resolution"]) == (16, 24, [8, 8])


def test_prompts_block():
    prompts = Prompts("mine", ("a {}.",), {"cat": ("a cat!",)})
    assert prompts_block(prompts, ["cat", "dog"]) == {
        "name": "mine",
        "templates": ["a {}."],
        "per_class": {"cat": ["a cat!"]},
        "class_names": ["cat", "dog"],
    }


def test_confusion_round_trip():
    matrix = np.random.default_rng(0).integers(0, 3, (7, 7))
    cells = confusion_cells(matrix)
    assert cells == sorted(cells)
    assert all(count > 0 for _, _, count in cells)
    np.testing.assert_array_equal(confusion_matrix(cells, 7), matrix)
    assert confusion_cells(np.zeros((0, 0), np.int64)) == []


def test_plain_makes_json_of_what_records_are_made_of():
    @dataclass
    class Config:
        out: Path
        sizes: tuple[int, ...]

    value = {
        "config": Config(Path("a/b"), (1, 2)),
        "numbers": np.array([1.5, np.nan, -np.inf]),
        "flag": np.True_,
        "measure": Measure(0.5),
        "when": datetime(2026, 11, 24, tzinfo=UTC),
        3: "é\udcff\ud800",
    }
    expected = {
        "config": {"out": "a/b", "sizes": [1, 2]},
        "numbers": [1.5, None, None],
        "flag": True,
        "measure": {"value": 0.5, "low": None, "high": None},
        "when": "2026-11-24T00:00:00+00:00",
        "3": "é??",
    }
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False).encode()
    with pytest.raises(TypeError, match="cannot hold a object"):
        plain(object())
