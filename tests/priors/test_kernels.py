"""The written-out backward passes give the gradients of the plain formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from cliplab.priors.kernels import EPSILON, norm, swiglu


def plain_norm(x: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(x, (x.shape[-1],), eps=EPSILON)


def plain_swiglu(x: torch.Tensor) -> torch.Tensor:
    gate, up = x.chunk(2, dim=-1)
    return functional.silu(gate) * up


@pytest.mark.parametrize(("ours", "plain"), [(norm, plain_norm), (swiglu, plain_swiglu)])
def test_values_and_gradients_are_those_of_the_formula(ours, plain):
    x = torch.randn(3, 2, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    assert torch.autograd.gradcheck(ours, x)
    torch.testing.assert_close(ours(x), plain(x))
    with torch.no_grad():
        assert torch.equal(ours(x), ours(x.detach()))
        torch.testing.assert_close(ours(x), plain(x))


def test_a_norm_has_root_mean_square_one():
    x = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    torch.testing.assert_close(norm(x), x / math.sqrt(12.5))
