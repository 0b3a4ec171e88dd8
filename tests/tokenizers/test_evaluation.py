"""What is measured is what encode and decode give, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.tiny_tokenizer import make_tokenizer

from cliplab.datasets.family import open_dataset
from cliplab.metrics.reconstruction import absolute_error, stroke_iou
from cliplab.runtime.errors import DataError
from cliplab.tokenizers import evaluation
from cliplab.tokenizers.evaluation import (
    bytes_a_picture,
    measure_tokenizer,
    pictures_at_once,
    pictures_in_minutes,
    token_dtype,
)
from cliplab.tokenizers.objectives import objective
from cliplab.tokenizers.opening import load_tokenizer
from cliplab.tokenizers.quantizers.family import quantizer_names
from cliplab.training.simulation import footprint

ROWS, TRAIN = np.arange(1500, 1530), np.arange(200)


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t"))


class Knows:
    """A recogniser that says the number of dark pixels, at most 9."""

    name, class_names, shape, identity = "counts", tuple("0123456789"), (1, 8, 8), {}

    def scores(self, pixels):
        count = np.minimum((pixels < 128).sum(axis=(1, 2, 3)), 9)
        return np.eye(10, dtype=np.float32)[count]

    def features(self, pixels):
        return pixels.reshape(len(pixels), -1).astype(np.float32)


def test_reconstructions_are_those_of_the_tokens(digits, tokenizer):
    found = measure_tokenizer(digits, ROWS, tokenizer, train_rows=TRAIN)
    pixels = digits.source.pixels(ROWS)[:, None]
    tokens = tokenizer.encode(pixels)
    drawn = tokenizer.decode(tokens)
    assert np.array_equal(found.rows, ROWS)
    assert np.array_equal(found.tokens, tokens.reshape(30, -1))
    assert found.tokens.dtype == np.uint16
    kinds = found.distances
    np.testing.assert_allclose(kinds["reconstruction"]["l1"], absolute_error(pixels, drawn))
    mean = digits.source.pixels(TRAIN).mean(axis=0).round().astype(np.uint8)
    of_mean = absolute_error(pixels, np.broadcast_to(mean, pixels.shape))
    np.testing.assert_allclose(kinds["mean_picture"]["l1"], of_mean)
    assert found.recognised is None


def test_paper_is_the_tone_of_the_edges(digits, tokenizer):
    """The digits are light on dark: blank paper is black, and has none of their strokes."""
    found = measure_tokenizer(digits, ROWS, tokenizer, train_rows=TRAIN).distances
    pixels = digits.source.pixels(ROWS)[:, None]
    np.testing.assert_allclose(found["blank"]["l1"], pixels.mean(axis=(1, 2, 3)) / 255)
    assert not found["blank"]["stroke_iou"].any()
    expected = stroke_iou(pixels, tokenizer.decode(tokenizer.encode(pixels)), are_dark=False)
    np.testing.assert_allclose(found["reconstruction"]["stroke_iou"], expected)


@pytest.mark.parametrize("quantizer", quantizer_names())
def test_batches_do_not_matter(digits, tmp_path, monkeypatch, quantizer):
    tokenizer = load_tokenizer(make_tokenizer(tmp_path / "t", quantizer=quantizer))
    one = measure_tokenizer(digits, ROWS, tokenizer, train_rows=TRAIN)
    monkeypatch.setattr(evaluation, "MOST_AT_ONCE", 7)
    other = measure_tokenizer(digits, ROWS, tokenizer, train_rows=TRAIN)
    assert np.array_equal(one.tokens, other.tokens)
    np.testing.assert_allclose(one.soft, other.soft, rtol=1e-5)
    np.testing.assert_allclose(one.hard, other.hard, rtol=1e-5)


def test_the_relaxed_picture_differs_from_the_tokens_only_where_training_relaxes(digits, tmp_path):
    found = {}
    for quantizer in ("gumbel", "vq"):
        made = load_tokenizer(make_tokenizer(tmp_path / quantizer, quantizer=quantizer))
        measured = measure_tokenizer(digits, ROWS, made, train_rows=TRAIN)
        found[quantizer] = np.abs(measured.hard - measured.soft).max()
    assert found["gumbel"] > 1e-3
    assert found["vq"] < 1e-5


def test_a_recogniser_is_asked_of_both(digits, tokenizer):
    labels = digits.labels["digit"].copy()
    labels[ROWS[0]] = -1
    found = measure_tokenizer(
        digits, ROWS, tokenizer, train_rows=TRAIN, labels=labels, recognizer=Knows()
    )
    pixels = digits.source.pixels(ROWS)[:, None]
    drawn = tokenizer.decode(tokenizer.encode(pixels))
    said = [Knows().scores(pictures).argmax(1) == labels[ROWS] for pictures in (pixels, drawn)]
    assert np.array_equal(found.recognised, np.stack(said, axis=1))
    assert not found.recognised[0].any()


def test_colour_has_no_strokes(digits, tmp_path):
    made = load_tokenizer(make_tokenizer(tmp_path / "t", channels=3))
    found = measure_tokenizer(digits, ROWS[:3], made, train_rows=TRAIN)
    assert "stroke_iou" not in found.distances["reconstruction"]


def test_memory_bounds_the_batch(tokenizer, tmp_path):
    assert pictures_at_once(tokenizer) == 64
    assert pictures_at_once(load_tokenizer(make_tokenizer(tmp_path / "t", size=1024))) == 1
    assert (token_dtype(1 << 16), token_dtype((1 << 16) + 1)) == (np.uint16, np.int32)


def test_batches_fit_in_what_is_left_of_a_stated_memory(tokenizer, monkeypatch):
    monkeypatch.setattr(evaluation, "held_memory", lambda _device: 1000 << 20)
    one = bytes_a_picture(tokenizer)
    assert pictures_at_once(tokenizer, (1000 << 20) + 5 * one + 1) == 5
    assert pictures_at_once(tokenizer, 900 << 20) == 1
    assert pictures_at_once(tokenizer, 64 << 30) == 64


def test_what_a_picture_takes_is_about_what_is_said(tmp_path):
    """Counted on the meta device, within a factor of two; of all that `_measure` runs."""
    for settings in ({"size": 64}, {"size": 32, "codes": 4096, "quantizer": "gumbel"}):
        name = settings.get("quantizer", "vq")
        made = load_tokenizer(make_tokenizer(tmp_path / name, **settings))
        model, pixels = made.model.to("meta"), torch.empty(4, *made.shape, device="meta")

        def run(model=model, pixels=pixels, made=made):
            with torch.no_grad(), torch.device("meta"):
                tokens = model.encode(pixels)
                outputs = model.decode(tokens)
                relaxed = model.parts(
                    pixels,
                    objective(made.recipe.objective),
                    torch.arange(4),
                    seed=0,
                    step=0,
                    temperature=1.0,
                )
            return outputs, relaxed

        assert 0.5 < footprint(run).peak / 4 / bytes_a_picture(made) < 1.5


def test_large_networks_are_measured_on_fewer_pictures(tokenizer, tmp_path, monkeypatch):
    assert pictures_in_minutes(tokenizer) == 10_000
    large = load_tokenizer(make_tokenizer(tmp_path / "t", size=1024))
    few = pictures_in_minutes(large)
    assert 8 < few < 10_000
    monkeypatch.setitem(evaluation.WORK, "cpu", evaluation.WORK["cpu"] / 2)
    assert pictures_in_minutes(large) == pytest.approx(few / 2, abs=1)
    monkeypatch.setitem(evaluation.WORK, "cpu", 1.0)
    assert pictures_in_minutes(large) == 8


def test_nothing_to_measure_is_said(digits, tokenizer):
    with pytest.raises(DataError, match="None of the 0 pictures"):
        measure_tokenizer(digits, ROWS[:0], tokenizer, train_rows=TRAIN)
