"""The gradient is that of the whole batch, however the work is cut and whatever is recomputed."""

from __future__ import annotations

import itertools

import pytest
import torch

from cliplab.tokenizers.dvae import DVAEConfig
from cliplab.tokenizers.model import DVAE, Thrift
from cliplab.tokenizers.objectives import objective
from cliplab.tokenizers.quantizers.family import quantizer, quantizer_names

CODES = 64


def made(name: str, reconstruction: str = "bce", size: int = 8) -> DVAE:
    torch.manual_seed(0)
    between = quantizer(name, CODES)
    config = DVAEConfig(
        channels=1,
        codes=between.latent,
        width=8,
        code_width=4,
        groups=2,
        blocks=1,
        outputs=objective(reconstruction).outputs_a_value,
    )
    return DVAE(config, between).double()


def gradients(model: DVAE, micro: int, thrift: Thrift, reconstruction: str) -> dict:
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(6, 1, 8, 8, generator=generator, dtype=torch.float64)
    numbers = torch.tensor([5, 2, 9, 11, 3, 8])
    total = 0.0
    for start in range(0, 6, micro):
        part = slice(start, start + micro)
        found = model.parts(
            pixels[part],
            objective(reconstruction),
            numbers[part],
            seed=3,
            step=7,
            temperature=0.7,
            thrift=thrift,
        )
        loss = (found.distance + 0.03 * found.penalty) / 6
        loss.backward()
        total += loss.item()
    return {"loss": torch.tensor(total), **{n: p.grad for n, p in model.named_parameters()}}


@pytest.mark.parametrize("name", quantizer_names())
@pytest.mark.parametrize("reconstruction", ["bce", "logit_laplace"])
def test_every_plan_gives_the_same_gradient(name, reconstruction):
    plain = gradients(made(name, reconstruction), 6, Thrift(), reconstruction)
    for micro, groups, rows in itertools.product((1, 4, 6), (False, True), (None, 5, 16)):
        other = gradients(made(name, reconstruction), micro, Thrift(groups, rows), reconstruction)
        for key, value in plain.items():
            torch.testing.assert_close(other[key], value, rtol=1e-9, atol=1e-14)


def test_another_step_draws_other_noise():
    model = made("gumbel")
    pixels, numbers = torch.rand(2, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1])
    found = [
        model.parts(pixels, objective("bce"), numbers, seed=0, step=step, temperature=1.0).distance
        for step in (0, 0, 1)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("name", quantizer_names())
def test_tokens_of_a_picture_go_in_and_out(name):
    model = made(name)
    tokens = model.encode(torch.rand(2, 1, 8, 12, dtype=torch.float64))
    assert tokens.shape == (2, 4, 6)
    assert model.decode(tokens).shape == (2, 1, 8, 12)
