"""Classes of two data sets are matched by name, and labels follow them."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.lesson import class_keys, learn_from, relabelled, taught_classes
from cliplab.nouns import Dataset, Embeddings, Task
from cliplab.runtime.errors import DataError


def made(name: str, classes: tuple[str, ...], labels: list[int], splits: list[str] | None = None):
    n = len(labels)
    task = Task("label", classes)
    splits = splits or ["train"] * n
    data = Dataset(
        name=name,
        tasks={"label": task},
        ids=np.array([f"{name}/{i}" for i in range(n)], dtype=object),
        labels={"label": np.array(labels, dtype=np.int64)},
        splits={"label": np.array(splits, dtype=object)},
        digests=np.array([str(i) for i in range(n)], dtype=object),
        source=None,
    )
    return data, task


def test_the_same_classes_in_another_order():
    scored = made("a", ("cat", "dog", "hen"), [0, 1, 2])
    found = learn_from(scored, made("b", ("hen", "cat", "dog"), [0, 1, 2]))
    assert found.scored.tolist() == [0, 1, 2]
    assert found.classes.tolist() == [2, 0, 1]
    assert found.left_out == ()


def test_what_only_one_has_is_left_out_and_named():
    scored = made("a", ("ant", "cat", "dog", "hen"), [0, 1, 2, 3])
    found = learn_from(scored, made("b", ("cat", "dog", "yak"), [0, 1, 2]))
    assert found.scored.tolist() == [-1, 0, 1, -1]
    assert found.classes.tolist() == [0, 1, -1]
    assert found.left_out == ("ant", "hen", "yak")


def test_a_class_without_training_pictures_is_left_out():
    scored = made("a", ("cat", "dog", "hen"), [0, 1, 2])
    other = made("b", ("cat", "dog", "hen"), [0, 1, 2, 2], ["train", "validation", "test", ""])
    assert taught_classes(*other).tolist() == [True, True, False]
    found = learn_from(scored, other)
    assert found.scored.tolist() == [0, 1, -1]
    assert found.left_out == ("hen",)


def test_names_match_without_regard_to_case_unless_that_tells_classes_apart():
    assert class_keys(Task("x", ("Cat", "Ünder")))[0] == ["cat", "ünder"]
    letters = Task("x", ("a", "A"))
    assert class_keys(letters, Task("y", ("A", "B"))) == [["a", "A"], ["A", "B"]]
    composed, decomposed = Task("x", ("é", "b")), Task("y", ("e\u0301", "b"))
    assert class_keys(composed)[0] == class_keys(decomposed)[0]


def test_only_the_common_classes_are_kept():
    scored = made("a", ("cat", "dog", "hen"), [0, 1, 2])
    found = learn_from(scored, scored, {"cat", "hen"})
    assert found.scored.tolist() == found.classes.tolist() == [0, -1, 1]


def test_too_few_shared_classes_name_those_that_are_alike():
    scored = made("a", ("cats", "dogs"), [0, 1])
    with pytest.raises(DataError, match="share 0 classes") as error:
        learn_from(scored, made("b", ("cat", "dog"), [0, 1]))
    assert "'cats' and 'cat'" in str(error.value)
    assert "Rename class folders" in str(error.value)


def test_labels_are_those_scored():
    embeddings = Embeddings(
        np.array(["x", "y"], dtype=object), np.zeros((2, 2), np.float32), None,
        np.array([2, 0]), ("hen", "cat", "dog"), {},
    )  # fmt: skip
    found = relabelled(embeddings, np.array([2, 0, 1]), ("cat", "dog", "hen"))
    assert found.labels.tolist() == [1, 2]
    assert found.class_names == ("cat", "dog", "hen")
    assert relabelled(embeddings, None, ()) is embeddings
