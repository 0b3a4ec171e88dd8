"""Wordings of drawings: complete, well formed, once each."""

from __future__ import annotations

import re

import pytest

from cliplab.datasets.drawings import PROMPTS, class_names
from cliplab.datasets.sketch_captions import caption_sketches, plural, wordings

CAT = wordings("cat", "a cat")


@pytest.mark.parametrize(
    "text",
    [
        "cat", "a cat", "a cat.", "the cat", "cats", "a doodle of a cat", "a drawing of a cat",
        "a sketch of a cat", "a line drawing of a cat", "a picture of a cat", "draw a cat",
        "a simple drawing of a cat", "a quick drawing of a cat.", "a hand-drawn cat",
        "cat drawing", "drawings of cats",
    ],
)  # fmt: skip
def test_what_people_type_is_there(text):
    assert text in CAT


def test_the_prompts_of_the_data_set_are_there():
    own = {prompt.replace("{}", "cat") for prompt in PROMPTS.templates}
    assert own <= set(CAT)


def test_each_is_there_once_and_with_a_full_stop():
    assert len(set(CAT)) == len(CAT)
    assert {f"{text}." for text in CAT[::2]} == set(CAT[1::2])


def test_every_class_of_the_collection_has_its_wordings():
    prompts = caption_sketches(class_names())
    texts = {name: prompts.texts(name) for name in class_names()}
    assert set(texts) == set(class_names())
    assert all(len(found) > 100 for found in texts.values())
    assert not [text for found in texts.values() for text in found if "{" in text]
    assert "a doodle of an apple" in texts["apple"]
    assert "the Mona Lisa" in texts["The Mona Lisa"]
    assert not [text for text in texts["The Mona Lisa"] if re.search(r"\ba the\b|Lisas", text)]
    assert not [text for text in texts["rain"] if "rains" in text]


def test_a_class_of_its_own_is_called_by_its_name():
    assert "a sketch of a gizmo" in caption_sketches(["gizmo", "cat"]).texts("gizmo")


@pytest.mark.parametrize(
    ("one", "several"),
    [("box", "boxes"), ("toy", "toys"), ("bush", "bushes"), ("wine glass", "wine glasses"),
     ("foot", None), ("alarm clock", "alarm clocks")],
)  # fmt: skip
def test_plurals_are_the_regular_ones(one, several):
    assert plural(one) == several
