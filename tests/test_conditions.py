"""What drawings show: texts of their classes, their captions, their pictures, or classes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cliplab.conditions import EVERYDAY, PLAIN, Subject, texts_of
from cliplab.datasets.family import open_dataset
from cliplab.nouns import CAPTIONS_ALONE, TRAIN, Prompts, Task
from cliplab.priors.config import PriorConfig
from cliplab.runtime.errors import DataError, UsageError


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


def subject_of(dataset, home, encoder=None, **settings):
    return Subject(dataset, dataset.task(), PriorConfig(**settings), encoder, home)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def captioned(dataset):
    """The same pictures with captions and no classes; one of them has none."""
    texts = [("a round one", "a loop"), (" ",), *[("strokes",)] * (len(dataset) - 2)]
    return dataclasses.replace(
        dataset,
        tasks={"captions": CAPTIONS_ALONE},
        labels={"captions": np.full(len(dataset), -1)},
        splits={"captions": np.full(len(dataset), TRAIN, dtype=object)},
        captions=texts,
    )


def test_people_s_ways_of_asking_are_among_the_texts():
    texts = texts_of("cat", Prompts("data set", ("a doodle of a {}", "a rough {}")))
    for text in (
        "cat",
        "a cat",
        "A CAT.",
        "a drawing of a cat",
        "a doodle of a cat",
        "a rough cat",
    ):
        assert text in texts
    assert len(set(texts)) == len(texts)
    owls = texts_of("owl", Prompts("none", ()))
    assert {"a owl", "an owl", "A owl.", "An owl.", "A OWL.", "a sketch of an owl"} <= set(owls)


def test_texts_of_a_class_are_its_pictures_conditions(digits, home, toy_encoder):
    subject = subject_of(digits, home, toy_encoder)
    rows = subject.rows(TRAIN)
    subject.check(rows)
    shown = subject.shown(rows)
    prompts = digits.task().prompts or Prompts("simple", ("a photo of a {}.",))
    row = int(rows[7])
    name = digits.task().class_names[digits.labels[digits.task().name][row]]
    own = shown.conditions[shown.start[row] : shown.start[row] + shown.counts[row]]
    assert np.allclose(own, unit(toy_encoder.encode_texts(texts_of(name, prompts))), atol=1e-6)
    assert np.allclose(np.linalg.norm(shown.conditions, axis=1), 1, atol=1e-5)
    assert set(PLAIN) <= set(shown.prompts)
    assert shown.names[0] == f"a {digits.task().class_names[0]}"
    assert np.allclose(shown.asked[0], unit(toy_encoder.encode_texts([shown.names[0]]))[0])


def test_given_templates_come_in_place_of_the_data_set_s(digits, home, toy_encoder):
    shown = subject_of(digits, home, toy_encoder, prompt=("number {}",)).shown(np.arange(3))
    assert shown.prompts == ("number {}", *PLAIN)


def test_captions_of_pictures_without_classes(digits, home, toy_encoder):
    subject = subject_of(captioned(digits), home, toy_encoder)
    rows = subject.rows(TRAIN)
    assert 1 not in rows
    subject.check(rows)
    shown = subject.shown(rows)
    assert (shown.counts[0], shown.counts[1], shown.counts[5]) == (2, 0, 1)
    last = len(digits) - 1
    for row, texts in ((0, ["a round one", "a loop"]), (5, ["strokes"]), (last, ["strokes"])):
        own = shown.conditions[shown.start[row] : shown.start[row] + shown.counts[row]]
        assert np.allclose(own, unit(toy_encoder.encode_texts(texts)), atol=1e-6)


def test_pictures_themselves_are_moved_to_where_texts_lie(digits, home, toy_encoder):
    subject = subject_of(digits, home, toy_encoder, condition="image")
    rows = np.arange(0, 600, 2)
    shown = subject.shown(rows)
    assert shown.conditions.shape == (300, toy_encoder.width)
    assert shown.counts.sum() == 300
    assert shown.counts[rows].all()
    names, prompts = digits.task().class_names, digits.task().prompts
    prompts = prompts or Prompts("simple", ("a photo of a {}.",))
    texts = unit(toy_encoder.encode_texts([t for n in names for t in texts_of(n, prompts)]))
    from cliplab.embeddings.extract import embed

    found = embed(digits, toy_encoder, task=digits.task().name, rows=rows, home=home).embeddings
    vectors = unit(found.vectors)
    row = list(digits.ids).index(found.ids[3])
    moved = unit(vectors[3] - vectors.mean(axis=0) + texts.mean(axis=0))
    assert np.allclose(shown.conditions[shown.start[row]], moved, atol=1e-5)
    encoded = toy_encoder.encoded
    subject.shown(rows)
    assert toy_encoder.encoded == encoded  # they are kept


def test_pictures_without_labels_can_be_learnt_by_themselves(digits, home, toy_encoder):
    blank = dataclasses.replace(
        digits, tasks={"none": Task("none", ())},
        labels={"none": np.full(len(digits), -1)},
        splits={"none": np.full(len(digits), TRAIN, dtype=object)},
    )  # fmt: skip
    subject = subject_of(blank, home, toy_encoder, condition="image")
    assert len(subject.rows(TRAIN)) == len(digits)
    shown = subject.shown(np.arange(20))
    assert shown.names[0] == f"a {EVERYDAY[0]}"
    by_text = subject_of(blank, home, toy_encoder)
    with pytest.raises(DataError, match=r"no labelled pictures .* --condition image needs no"):
        by_text.check(by_text.rows(TRAIN))
    with pytest.raises(DataError, match="has no classes; give --condition text or image"):
        subject_of(blank, home, condition="class").check(np.arange(3))


def test_classes_are_rows_of_the_identity(digits, home):
    subject = subject_of(digits, home, condition="class")
    assert subject.width == 10
    shown = subject.shown(subject.rows(TRAIN))
    labels = digits.labels[digits.task().name]
    assert np.array_equal(shown.conditions[shown.start].argmax(axis=1), labels)
    assert (shown.counts == 1).all()


def test_an_encoder_is_asked_for_where_it_is_needed(digits, home, toy_encoder):
    with pytest.raises(UsageError, match="asked by text wants an encoder: give --encoder"):
        subject_of(digits, home).check(np.arange(3))
    with pytest.raises(UsageError, match="--condition class takes no --encoder"):
        subject_of(digits, home, toy_encoder, condition="class").check(np.arange(3))
