"""The fixed split and the names of splits."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from cliplab.datasets.splits import (
    fixed_split,
    hashed_split,
    settled,
    split_named,
    trained_classes,
    untrained_classes,
)


def _by_hand(ids: list[str], n_test: int) -> set[str]:
    return set(sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).hexdigest())[:n_test])


@pytest.mark.parametrize(
    ("n", "n_test"), [(1, 0), (2, 1), (3, 1), (5, 1), (7, 1), (8, 2), (10, 2), (12, 2), (13, 3)]
)
def test_of_each_class_the_first_fifth_by_sha256_is_test(n, n_test):
    ids = [f"classe/é{i}.jpg" for i in range(n)]
    split = fixed_split(ids, np.zeros(n, dtype=np.int64))
    assert {id_ for id_, s in zip(ids, split, strict=True) if s == "test"} == _by_hand(ids, n_test)
    assert set(split) <= {"train", "test"}


def test_each_class_is_split_by_itself_and_the_unlabelled_not_at_all():
    ids = np.array([f"{i}.png" for i in range(40)], dtype=object)
    labels = np.arange(40) % 4 - 1
    split = fixed_split(ids, labels)
    assert set(split[labels == -1]) == {""}
    assert [(split[labels == c] == "test").sum() for c in range(3)] == [2, 2, 2]
    assert split.dtype == object


def test_a_pictures_side_depends_on_its_class_alone_not_on_the_order():
    ids = np.array([f"{i}.png" for i in range(30)], dtype=object)
    labels = np.arange(30) % 3
    order = np.random.default_rng(0).permutation(30)
    assert (fixed_split(ids[order], labels[order]) == fixed_split(ids, labels)[order]).all()


@pytest.mark.parametrize(
    ("text", "split"),
    [("Train", "train"), ("TRAINING", "train"), ("val", "validation"), ("valid", "validation"),
     ("Validation", "validation"), ("dev", "validation"), ("testing", "test"), (" test ", "test"),
     ("tests", None), ("", None), ("cat", None)],
)  # fmt: skip
def test_the_usual_names_of_splits(text, split):
    assert split_named(text) == split


IDS = np.array([f"{i}.png" for i in range(12)], dtype=object)
LABELS = np.arange(12) % 2


def _settled(*given):
    splits = np.array(given * (12 // len(given)), dtype=object)
    return settled(splits, IDS, LABELS)


def test_given_splits_with_a_test_part_are_kept():
    found = _settled("train", "test", "validation", "")
    assert found.origin == "given"
    assert list(found.splits[:4]) == ["train", "test", "validation", ""]


def test_without_a_test_part_validation_stands_in():
    found = _settled("train", "validation", "")
    assert found.origin == "given"
    assert list(found.splits[:3]) == ["train", "test", ""]


def test_training_pictures_alone_are_divided_and_those_without_a_split_stay_out():
    found = _settled("train", "train", "train", "")
    assert found.origin == "fixed"
    outside = np.arange(12) % 4 == 3
    assert set(found.splits[outside]) == {""}
    assert (found.splits[~outside] == fixed_split(IDS[~outside], LABELS[~outside])).all()


def test_nothing_given_is_the_fixed_split_and_the_unlabelled_are_in_none():
    labels = np.where(np.arange(12) < 3, -1, LABELS)
    found = settled(np.array([""] * 12, dtype=object), IDS, labels)
    assert found.origin == "fixed"
    assert (found.splits == fixed_split(IDS, labels)).all()
    assert set(found.splits[:3]) == {""}


def test_a_test_part_without_labels_is_none():
    labels = np.array([0, 1] * 5 + [-1, -1])
    given = np.array(["train"] * 10 + ["test"] * 2, dtype=object)
    assert settled(given, IDS, labels).origin == "fixed"


def test_classes_that_are_tested_and_never_learned():
    labels = np.array([0, 0, 1, 2, 2, 3, -1, 4])
    splits = np.array(["train", "test", "test", "validation", "test", "train", "test", ""], object)
    assert trained_classes(labels, splits).tolist() == [0, 2, 3]
    assert untrained_classes(labels, splits).tolist() == [1]


def test_the_hashed_split_goes_by_the_last_digit_of_the_keys_digest():
    keys = [f"cat/{row}" for row in range(2000)]
    found = hashed_split(keys)
    for key, split in zip(keys[:200], found, strict=False):
        digit = int(hashlib.sha256(key.encode()).hexdigest(), 16) % 10
        assert split == {0: "test", 1: "validation"}.get(digit, "train")
    assert list(hashed_split(["cat/0", "cat/13", "cat/16"])) == ["train", "test", "validation"]
    assert (found == "test").mean() == pytest.approx(0.1, abs=0.02)
    assert (found == "validation").mean() == pytest.approx(0.1, abs=0.02)
    assert list(hashed_split(keys[5:9])) == list(found[5:9])
    assert len(hashed_split([])) == 0
