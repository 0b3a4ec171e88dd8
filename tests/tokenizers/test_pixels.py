"""Pixels in and out of the likelihood's range."""

from __future__ import annotations

import pytest
import torch

from cliplab.tokenizers.pixels import map_pixels, unmap_pixels


def test_the_pair_is_a_round_trip():
    pixels = torch.linspace(0, 1, 256, dtype=torch.float64)
    mapped = map_pixels(pixels)
    assert mapped.min().item() == pytest.approx(0.1)
    assert mapped.max().item() == pytest.approx(0.9)
    torch.testing.assert_close(unmap_pixels(mapped), pixels, rtol=0, atol=1e-15)


def test_what_lies_outside_is_clamped():
    assert unmap_pixels(torch.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_integers_are_refused():
    with pytest.raises(ValueError, match="divide by 255 first"):
        map_pixels(torch.zeros(2, dtype=torch.uint8))
