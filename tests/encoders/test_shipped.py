"""The CLIP that comes with cliplab: small, as good as its card says, its words robust."""

from __future__ import annotations

import re

import numpy as np
import pytest

import cliplab
from cliplab.encoders.open_clip import load_encoder
from cliplab.encoders.trained import WEIGHTS
from cliplab.runtime.shipped import ENCODER, shipped

FOLDER = shipped(ENCODER)
CARD = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
WORDINGS = ("{}", "A {}.", "a doodle of a {}", "draw me a {}", "a quick drawing of a {}")


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("quickdraw", device="cpu")


@pytest.fixture(scope="module")
def class_names():
    listed = re.search(r"Classes: (.*?)\.\n", CARD, re.DOTALL)
    return tuple(listed[1].replace("\n", " ").split(", "))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_it_is_small():
    assert (FOLDER / WEIGHTS).stat().st_size < 1_500_000
    assert "0.95 MB" in CARD


def test_the_card_attributes_the_data():
    assert "Quick, Draw!" in CARD
    assert "CC BY 4.0" in CARD
    assert "github.com/googlecreativelab/quickdraw-dataset" in CARD


def test_wordings_of_a_class_are_one_vector_and_classes_are_apart(encoder, class_names):
    vectors = [unit(encoder.encode_texts([t.format(c) for c in class_names])) for t in WORDINGS]
    capitals = unit(encoder.encode_texts([f"A {c}.".upper() for c in class_names]))
    for other in (*vectors, capitals):
        assert (vectors[0] * other).sum(axis=1).min() > 0.999
        between = vectors[0] @ other.T
        assert between[~np.eye(len(class_names), dtype=bool)].max() < 0.75


def test_it_says_which_words_it_does_not_know(encoder, class_names):
    assert [
        w for c in class_names for t in WORDINGS for w in encoder.unknown_words(t.format(c))
    ] == []
    assert encoder.unknown_words("A zebra riding a bicycle!") == ("zebra", "riding")


@pytest.mark.slow
def test_it_sees_held_out_drawings_as_well_as_the_card_says(shared_data, class_names, tmp_path):
    config = cliplab.EvaluateConfig(classifier=("zero_shot",), device="cpu", out=tmp_path / "run")
    data = shared_data / "quickdraw" / "bitmaps_28px_29classes.npz"
    record = cliplab.evaluate(data, "quickdraw", config).data
    assert tuple(record["dataset"]["class_names"]) == class_names
    (result,) = record["results"]
    told = re.search(r"the data set's five \| ([\d.]+) \[([\d.]+), ([\d.]+)\]", CARD).groups()
    top1 = result["metrics"]["top1"]
    found = [f"{100 * top1[k]:.1f}" for k in ("value", "low", "high")]
    assert found == list(told)
    assert record["dataset"]["n"] == 6666
