"""Streams give the pixels that a store of pixels would give, in order, and tell what is bad."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.cli.conftest import make_photos

from cliplab.datasets.family import open_dataset
from cliplab.runtime.errors import DataError
from cliplab.tokenizers.pixel_store import open_pixels
from cliplab.tokenizers.pixel_stream import evenly, mean_picture, stream_pixels


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = make_photos(tmp_path_factory.mktemp("photos") / "photos", n=5)
    (folder / "red" / "bad.png").write_bytes(b"<html>")
    return folder


@pytest.fixture
def opened(photos, home):
    return open_dataset(photos, home=home).dataset


@pytest.mark.parametrize("shape", [(3, 12, 12), (1, 8, 8)])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_a_folder_is_read_as_for_training(opened, tmp_path, shape, batch_size):
    rows = np.array([9, 0, 3, 4, 2, 15])
    store, skipped = open_pixels(
        opened, rows, size=shape[1:], channels=shape[0], folder=tmp_path / "pixels"
    )
    found = list(stream_pixels(opened, rows, shape, batch_size=batch_size))
    seen = np.concatenate([batch.rows for batch in found])
    assert np.array_equal(seen, store.rows)
    pixels = np.concatenate([batch.pixels for batch in found])
    assert np.array_equal(pixels, store.read(np.arange(len(seen))))
    assert [one for batch in found for one in batch.skipped] == list(skipped)
    assert all(batch.pixels.shape[1:] == shape for batch in found)


def test_a_bad_picture_ends_the_work_where_that_is_wanted(opened):
    rows = np.arange(len(opened))
    with pytest.raises(DataError, match=r"red/bad\.png cannot be read.*--on-bad list"):
        list(stream_pixels(opened, rows, (1, 8, 8), batch_size=4, on_bad="fail"))


def test_pixels_that_a_source_holds_are_not_decoded(monkeypatch):
    digits = open_dataset("digits").dataset
    source = digits.source
    monkeypatch.setattr(type(source), "open", lambda *_a: pytest.fail("decoded"))
    rows = np.array([5, 3, 1000])
    (grey,) = stream_pixels(digits, rows, (1, 8, 8), batch_size=8)
    (colour,) = stream_pixels(digits, rows, (3, 8, 8), batch_size=8)
    assert np.array_equal(grey.pixels[:, 0], source.pixels(rows))
    assert np.array_equal(colour.pixels, np.repeat(grey.pixels, 3, axis=1))


def test_the_mean_picture_by_hand(opened):
    digits = open_dataset("digits").dataset
    rows = np.array([0, 1, 2, 3])
    expected = digits.source.pixels(rows).mean(axis=0)
    np.testing.assert_allclose(mean_picture(digits, rows, (1, 8, 8))[0], expected)
    bad = np.flatnonzero(opened.ids == "red/bad.png")
    with pytest.raises(DataError, match="None of 1 pictures"):
        mean_picture(opened, bad, (1, 8, 8))


def test_evenly_takes_from_all_over():
    rows = np.arange(100) * 3
    assert evenly(rows, 4).tolist() == [0, 75, 150, 225]
    assert evenly(rows, 100) is rows


def test_no_rows_give_no_batches():
    digits = dataclasses.replace(open_dataset("digits").dataset)
    assert list(stream_pixels(digits, np.zeros(0, np.int64), (1, 8, 8), batch_size=4)) == []
