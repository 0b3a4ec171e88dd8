"""Prompts: what they name, however it is spelled; and what is said of those that name nothing."""

from __future__ import annotations

import pytest

from cliplab.priors.words import UnknownClass, normalised, read_prompt
from cliplab.runtime.errors import UnknownName, UsageError

CLASSES = (
    "The Mona Lisa", "alarm clock", "clock", "bowtie", "cat", "octopus", "snowman", "bus",
    "butterfly", "eyeglasses", "t-shirt", "hot dog", "dog", "fish",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words", "classes"),
    [
        ("cat", "cat", ("cat",)),
        ("A CAT.", "a cat", ("cat",)),
        ("  a doodle of\na  cat! ", "a doodle of a cat", ("cat",)),
        ("“Cats”", "cat", ("cat",)),
        ("my cat's dog", "my cat dog", ("cat", "dog")),
        ("three snowmen", "three snowman", ("snowman",)),
        ("octopuses and octopi", "octopus and octopus", ("octopus",)),
        ("butterflies", "butterfly", ("butterfly",)),
        ("two buses", "two bus", ("bus",)),
        ("an Alarm-Clock", "an alarm clock", ("alarm clock",)),
        ("alarm_clocks, clocks", "alarm clock, clock", ("alarm clock", "clock")),
        ("a bow tie", "a bowtie", ("bowtie",)),
        ("a t shirt", "a t-shirt", ("t-shirt",)),
        ("tshirt", "t-shirt", ("t-shirt",)),
        ("a hot dog", "a hot dog", ("hot dog",)),
        ("one eyeglass", "one eyeglasses", ("eyeglasses",)),
        ("the mona lisa", "the mona lisa", ("The Mona Lisa",)),
        ("a Mona Lisa", "a the mona lisa", ("The Mona Lisa",)),
        ("a cat and a cat", "a cat and a cat", ("cat",)),
        ("fishes", "fish", ("fish",)),
    ],
)
def test_a_class_is_found_however_it_is_spelled(text, words, classes):
    assert read_prompt(text, CLASSES) == (text, words, classes)


@pytest.mark.parametrize("text", ["a giraffe", "catfish", "concatenate", "alarm", "bu", "hot"])
def test_what_names_no_class_is_refused(text):
    with pytest.raises(UnknownClass):
        read_prompt(text, CLASSES)


def test_the_message_names_the_nearest_and_all_and_the_way_out():
    with pytest.raises(UnknownName) as caught:
        read_prompt("a big kat", CLASSES, prior="quickdraw")
    said = str(caught.value)
    assert "'a big kat'" in said
    assert "'quickdraw'" in said
    assert "knows 14 classes" in said
    assert "Nearest by spelling: 'cat'" in said
    assert all(name in said for name in CLASSES)
    assert "cliplab train prior" in said
    assert "--prior FOLDER" in said
    with pytest.raises(UnknownClass, match=r"\(345\)"):
        read_prompt("x", [f"class {n}" for n in range(345)])


def test_a_prior_of_free_captions_takes_any_words():
    assert read_prompt("A Giraffe,  eating.") == ("A Giraffe,  eating.", "a giraffe, eating", ())


@pytest.mark.parametrize("text", ["", "   ", "?!", "\n", "…"])
def test_a_prompt_without_words_is_refused(text):
    with pytest.raises(UsageError, match="has no words"):
        read_prompt(text, CLASSES)
    with pytest.raises(UsageError, match="has no words"):
        read_prompt(text)


def test_composed_and_decomposed_letters_are_the_same():
    assert normalised("cafe\u0301") == normalised("CAFÉ") == "café"
    assert read_prompt("Cafe\u0301s", ["café"]).classes == ("café",)
