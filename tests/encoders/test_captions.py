"""Which captions go with which training picture."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.embeddings.prompts import named_prompts
from cliplab.encoders.captions import SIMPLE, caption_pictures
from cliplab.nouns import CAPTIONS_ALONE, TEST, TRAIN, VALIDATION, Dataset, Prompts, Task
from cliplab.runtime.errors import DataError, UsageError

PER_CLASS = Prompts("own", ("a {}", "one {}"), {"dog": ("man's best friend",)})


def pictures(**changes) -> Dataset:
    """Six pictures: cat, dog, unlabelled (train); dog (validation); cat, dog (test)."""
    whole = {
        "name": "pets",
        "tasks": {"pet": Task("pet", ("cat", "dog", "eel"), PER_CLASS)},
        "ids": np.array(list("abcdef"), dtype=object),
        "labels": {"pet": np.array([0, 1, -1, 1, 0, 1])},
        "splits": {"pet": np.array([TRAIN] * 3 + [VALIDATION] + [TEST] * 2, dtype=object)},
        "digests": np.array(list("abcdef"), dtype=object),
        "source": None,
    }
    return Dataset(**(whole | changes))


def drawn(captioned, times=200):
    """For each picture, the set of captions that come up."""
    chance, positions = np.random.default_rng(0), np.arange(len(captioned.rows))
    draws = np.array([captioned.draw(positions, chance) for _ in range(times)])
    return [{captioned.texts[k] for k in column} for column in draws.T]


def test_without_prompts_training_says_what_zero_shot_will_ask():
    assert named_prompts("simple").templates == SIMPLE.templates
    plain = pictures(tasks={"pet": Task("pet", ("cat", "dog"))})
    assert drawn(caption_pictures(plain, plain.task(), (TRAIN,))) == [
        {"a photo of a cat."},
        {"a photo of a dog."},
    ]


def test_each_picture_draws_all_the_prompts_of_its_class_and_no_others():
    data = pictures()
    found = caption_pictures(data, data.task(), (TRAIN,))
    assert found.rows.tolist() == [0, 1]  # neither the unlabelled nor those of other splits
    assert drawn(found) == [{"a cat", "one cat"}, {"man's best friend"}]


def test_templates_given_stand_before_the_data_sets_own():
    data = pictures(captions=[("its own",)] * 6)
    found = caption_pictures(data, data.task(), (TRAIN,), templates=("my {}",))
    assert drawn(found) == [{"my cat"}, {"my dog"}]


def test_captions_of_ones_own_take_unlabelled_pictures_and_leave_out_those_without():
    told = [("x", "y"), ("", " "), ("z",), ("no",), ("no",), ("no",)]
    data = pictures(captions=told)
    found = caption_pictures(data, data.task(), (TRAIN,))
    assert (found.rows.tolist(), found.n_without) == ([0, 2], 1)
    assert drawn(found) == [{"x", "y"}, {"z"}]
    assert drawn(found.only(np.array([1]))) == [{"z"}]


def test_the_same_text_counts_once():
    data = pictures(captions=[("x", "y"), ("y",), ("x",), (), (), ()])
    assert caption_pictures(data, data.task(), (TRAIN,)).texts == ("x", "y")


def test_what_has_no_contrast_is_refused():
    alone = pictures(captions=[("same",)] * 6)
    with pytest.raises(DataError, match="1 distinct captions"):
        caption_pictures(alone, alone.task(), (TRAIN,))
    one = pictures(labels={"pet": np.zeros(6, dtype=np.int64)})
    with pytest.raises(DataError, match="all of one class \\('cat'\\)"):
        caption_pictures(one, one.task(), (TRAIN,))


def test_no_training_picture_names_the_splits_there_are():
    data = pictures(splits={"pet": np.array([TEST] * 6, dtype=object)})
    with pytest.raises(DataError, match="expected the split train, found test"):
        caption_pictures(data, data.task(), (TRAIN,))


def test_captions_asked_for_and_not_there():
    data = pictures()
    with pytest.raises(UsageError, match="no captions of its own"):
        caption_pictures(data, data.task(), (TRAIN,), captions="column")


def test_a_class_without_a_text_is_named():
    silent = Prompts("file.json", per_class={"cat": ("a cat",)})
    data = pictures(tasks={"pet": Task("pet", ("cat", "dog"), silent)})
    with pytest.raises(DataError, match="'dog'"):
        caption_pictures(data, data.task(), (TRAIN,))


def test_pictures_with_captions_and_no_classes_are_trained_on_by_their_captions():
    unlabelled = {CAPTIONS_ALONE.name: np.full(6, -1)}
    data = pictures(
        tasks={CAPTIONS_ALONE.name: CAPTIONS_ALONE},
        labels=unlabelled,
        splits={CAPTIONS_ALONE.name: pictures().splits["pet"]},
        captions=[("x", "y"), (), ("z",), ("no",), ("no",), ("no",)],
    )
    for captions in ("auto", "column"):
        found = caption_pictures(data, data.task(), (TRAIN,), captions=captions)
        assert found.rows.tolist() == [0, 2]
        assert drawn(found) == [{"x", "y"}, {"z"}]
    for options in ({"captions": "prompts"}, {"templates": ("a {}",)}):
        with pytest.raises(UsageError, match="has captions and no classes that prompts"):
            caption_pictures(data, data.task(), (TRAIN,), **options)
