"""Class names in words, and names that are no words."""

from __future__ import annotations

import pytest

from cliplab.datasets.names import is_code, looks_like_codes, readable_names


@pytest.mark.parametrize(
    "name", ["n01440764", "7", "0012", "class_3", "id123", "Class 12", "label-4", "3f2a9b1c", "c7"]
)
def test_codes(name):
    assert is_code(name)


@pytest.mark.parametrize(
    "name", ["cat", "sea_horse", "boeing 747", "été", "t-shirt", "deadbeefs", "猫", "3d printer"]
)
def test_words(name):
    assert not is_code(name)


def test_half_of_the_names_being_codes_is_enough():
    assert looks_like_codes(["n01440764", "n01443537", "cat", "dog"])
    assert not looks_like_codes(["n01440764", "cat", "dog"])
    assert not looks_like_codes([])


def test_underscores_become_spaces_and_case_is_kept():
    names = ["sea_horse", "The_Eiffel_Tower", "t-shirt", "__cat__"]
    assert readable_names(names) == ("sea horse", "The Eiffel Tower", "t-shirt", "cat")


def test_codes_and_names_that_would_become_equal_stay_as_they_are():
    names = ["class_3", "sea_horse", "sea horse", "_"]
    assert readable_names(names) == tuple(names)
