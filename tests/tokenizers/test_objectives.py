"""Likelihoods and distances against their formulas, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate

from cliplab.runtime.errors import UnknownName
from cliplab.tokenizers.objectives import OBJECTIVES, objective


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_batch_is_its_pictures_one_by_one(name):
    torch.manual_seed(0)
    found = objective(name)
    outputs = torch.randn(3, 2 * found.outputs_a_value, 4, 5)
    pixels = torch.rand(3, 2, 4, 5)
    whole = found(outputs, pixels)
    assert whole.shape == (3,)
    alone = [found(outputs[i : i + 1], pixels[i : i + 1])[0] for i in range(3)]
    torch.testing.assert_close(whole, torch.stack(alone))
    picture = found.picture(outputs)
    assert picture.shape == pixels.shape
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_the_logit_laplace_density_has_mass_one():
    mean, ln_b = 0.3, -0.5

    def density(x: float) -> float:
        # the objective maps pixels first; undo that map, so that x is the density's own
        pixel = torch.tensor((x - 0.1) / 0.8, dtype=torch.float64).reshape(1, 1, 1, 1)
        outputs = torch.tensor([mean, ln_b], dtype=torch.float64).reshape(1, 2, 1, 1)
        return math.exp(-objective("logit_laplace")(outputs, pixel).item())

    mass, _ = integrate.quad(density, 1e-9, 1 - 1e-9, limit=200)
    assert mass == pytest.approx(1.0, abs=1e-4)


def test_two_tone_pictures_cannot_drive_it_to_minus_infinity():
    outputs = torch.tensor([2.2, -1000.0]).reshape(1, 2, 1, 1)
    assert torch.isfinite(objective("logit_laplace")(outputs, torch.ones(1, 1, 1, 1)))


def test_bce_is_the_entropy_at_its_best():
    pixels = torch.full((1, 1, 1, 1), 0.25, dtype=torch.float64)
    found = objective("bce")(torch.logit(pixels), pixels).item()
    assert found == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


@pytest.mark.parametrize(("name", "expected"), [("l1", 0.5), ("mse", 0.25)])
def test_distances(name, expected):
    assert objective(name)(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item() == expected


def test_an_unknown_name_gives_the_closest():
    with pytest.raises(UnknownName, match="logit_laplace"):
        objective("laplace_logit")
