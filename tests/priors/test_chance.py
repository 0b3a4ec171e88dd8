"""What a training draws depends on seed, step and drawing alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cliplab.priors.chance import Dropout, say_which, uniform


def test_numbers_are_even_and_those_of_a_drawing():
    found = uniform(0, 5, np.arange(2000), 50)
    assert found.min() >= 0
    assert found.max() < 1
    counts, _ = np.histogram(found, bins=20, range=(0, 1))
    assert abs(counts / 5000 - 1).max() < 0.08
    assert np.array_equal(uniform(0, 5, np.array([7, 3]), 50), found[[7, 3]])
    for other in (uniform(1, 5, np.arange(2000), 50), uniform(0, 6, np.arange(2000), 50)):
        assert abs(np.corrcoef(found.ravel(), other.ravel())[0, 1]) < 0.02


def test_dropout_drops_its_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.ones(100, 7, 143)
    thinned = Dropout(0.1)(x)
    assert (thinned == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
    assert thinned.mean().item() == pytest.approx(1, abs=0.005)
    assert x.eq(1).all()
    assert Dropout(0.0)(x) is x
    assert Dropout(0.1).eval()(x) is x


def test_dropout_has_the_gradient_of_what_it_kept():
    x = torch.ones(10, 100, requires_grad=True)
    thinned = Dropout(0.5)(x)
    thinned.sum().backward()
    assert torch.equal(x.grad, thinned.detach())
    assert set(x.grad.flatten().tolist()) == {0.0, 2.0}


def test_a_drawing_s_mask_does_not_depend_on_its_company():
    network = nn.Sequential(Dropout(0.3), Dropout(0.3))

    def thinned(drawings, step=3):
        say_which(network, 0, step, np.array(drawings), "cpu")
        x = torch.ones(len(drawings), 5, 33)
        return [module(x) for module in network]

    together = thinned([4, 9, 2])
    alone = thinned([9])
    for whole, one in zip(together, alone, strict=True):
        assert torch.equal(whole[1], one[0])
        assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(alone[0], alone[1])  # one dropout draws otherwise than the next
    assert not torch.equal(alone[0], thinned([9], step=4)[0])
