"""The digits of scikit-learn as a data set."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cliplab.datasets.digits import ENTRIES, open_entry


@pytest.fixture(scope="module")
def digits():
    return open_entry("digits")


def test_pictures_are_scikit_learns_scaled_to_bytes(digits):
    from sklearn.datasets import load_digits

    found = load_digits()
    for row, read in zip((0, 5, 1796), digits.source.open([0, 5, 1796]), strict=True):
        picture = Image.open(io.BytesIO(read()))
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (8, 8))
        expected = np.round(found.images[row] * 255 / 16)
        assert np.array_equal(np.asarray(picture), expected)
        assert digits.labels["digit"][row] == found.target[row]


def test_names_prompts_and_split(digits):
    task = digits.task()
    assert task.class_names[3] == "three"
    assert "the digit three" in task.prompts.texts("three")
    assert all("{}" in template for template in task.prompts.templates)
    for label in range(10):
        n = int((digits.labels["digit"] == label).sum())
        of_class = digits.splits["digit"][digits.labels["digit"] == label]
        assert (of_class == "test").sum() == round(n / 5)


def test_the_catalogue_tells_the_truth(digits):
    (entry,) = ENTRIES
    splits = {name: len(digits.rows("digit", name)) for name in ("train", "test")}
    assert (entry.pictures, entry.splits, entry.tasks) == (len(digits), splits, {"digit": 10})
    assert "CC BY 4.0" in entry.licence
    assert "Alpaydin" in digits.card.citation


def test_the_content_is_what_it_was_in_the_first_version(digits):
    """Digests name embeddings and test sets; they must not move with a library's version."""
    assert (
        digits.content_digest()
        == "dbf1912d19173e366f5da945775af72a486a7bb8a19724520ce125401a19b317"
    )
