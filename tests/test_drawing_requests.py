"""Settings that cannot be; ways along the sphere; names of folders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliplab.drawing_requests import Artist, DrawConfig, asked, folder_name, request, slerp
from cliplab.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"among": 8}, "--among is how many --rerank E chooses from"),
        ({"to": "a dog", "rerank": "E"}, "leave --rerank out"),
        ({"seed": -1}, "--seed -1: give 0 or more"),
        ({"memory": "much"}, "--memory much: give an amount"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(UsageError, match=message):
        DrawConfig(**settings)


@pytest.mark.parametrize(
    ("texts", "n", "settings", "message"),
    [
        ((), 1, {}, "Say what is to be drawn"),
        ("a cat", 0, {}, "-n 0: give 1 or more"),
        ("a cat", -3, {}, "-n -3: give 1 or more"),
        ("a cat", 1, {"to": "a dog"}, "on the way to 'a dog' give 2 or more"),
        ("a cat", 9, {"rerank": "E", "among": 8}, "--among 8: give at least -n 9"),
    ],
)
def test_calls_that_cannot_be_answered(texts, n, settings, message):
    with pytest.raises(UsageError, match=message):
        asked(texts, n, DrawConfig(**settings))


def test_a_text_given_twice_is_drawn_once():
    assert asked("a cat", 1, DrawConfig()) == ("a cat",)
    assert asked(["b", "a", "b"], 1, DrawConfig()) == ("b", "a")


def test_settings_of_the_sampler_are_those_given_else_its_own():
    from cliplab.priors.sampling import Sampling

    assert DrawConfig().sampling() == Sampling()
    given = DrawConfig(guidance=3.0, top_k=5, top_p=0.9, temperature=0.5, steps=4).sampling()
    assert given == Sampling(guidance=3.0, top_k=5, top_p=0.9, temperature=0.5, steps=4)


def test_a_quarter_of_a_turn_in_equal_parts():
    way = slerp(np.float32([1, 0]), np.float32([0, 1]), 4)
    angles = np.degrees(np.arctan2(way[:, 1], way[:, 0]))
    assert way.dtype == np.float32
    assert angles == pytest.approx([0, 30, 60, 90], abs=1e-4)


@given(st.integers(0, 99), st.integers(2, 9))
def test_the_way_stays_on_the_sphere_and_turns_evenly(seed, n):
    ends = np.random.default_rng(seed).normal(size=(2, 5))
    ends = np.float32(ends / np.linalg.norm(ends, axis=1, keepdims=True))
    way = slerp(*ends, n)
    assert np.linalg.norm(way, axis=1) == pytest.approx(1, abs=1e-5)
    assert way[[0, -1]] == pytest.approx(ends, abs=1e-5)
    steps = np.linalg.norm(np.diff(way, axis=0), axis=1)
    assert steps == pytest.approx(steps[0], abs=1e-3)


def test_a_way_that_leads_nowhere():
    one = np.float32([0.6, 0.8])
    assert slerp(one, one, 3) == pytest.approx(np.stack([one] * 3))
    assert np.isfinite(slerp(one, -one, 3)).all()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("alarm clock", "alarm clock"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("..", "drawings"),
        ("a\nb\0c", "a-b-c"),
        ("ein Kätzchen", "ein Kätzchen"),
        ("ä" * 80, "ä" * 50),
    ],
)
def test_a_folder_s_name_leads_nowhere_else(text, name):
    assert folder_name(text) == name


class Reader:
    """An encoder that knows a few words."""

    name = "reader"
    width = 2

    def unknown_words(self, text):
        return tuple(word for word in text.split() if word not in ("a", "cat"))

    def encode_texts(self, texts):
        return np.ones((len(texts), 2), dtype=np.float32)


class OfCats:
    """A prior as far as a request asks it."""

    name = "cats"
    class_names = ("cat",)


def test_words_that_an_encoder_has_never_seen_are_named():
    artist = Artist(OfCats(), None, Reader())
    with pytest.warns(UserWarning, match=r"reader has never seen 'wearing', 'hats'"):
        found = request("A cat wearing hats", 3, DrawConfig(), artist)
    assert found.conditions.shape == (3, 2)
    assert np.linalg.norm(found.conditions, axis=1) == pytest.approx(1)
    assert request("a cat", 1, DrawConfig(), artist).name == "cat"  # without a warning
