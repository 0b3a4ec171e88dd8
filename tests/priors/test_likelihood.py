"""Bits of a drawing: exact for one decoder, a bound that is exact on average for the other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from tests.tiny_prior import make_prior

from cliplab.priors.likelihood import bits_of, mean_of
from cliplab.priors.saved import read_prior


def test_an_autoregressive_decoder_s_probabilities_add_up_to_one(tmp_path):
    prior = read_prior(make_prior(tmp_path, codes=3, grid=(2, 2)))
    every = np.array(list(itertools.product(range(3), repeat=4))).reshape(-1, 2, 2)
    conditions = np.repeat(np.eye(3, dtype=np.float32)[:1], len(every), axis=0)
    assert np.exp2(-prior.bits(every, conditions)).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("decoder", ["autoregressive", "masked"])
def test_bits_do_not_depend_on_how_many_are_looked_at_at_once(tmp_path, decoder):
    prior = read_prior(make_prior(tmp_path, decoder=decoder))
    chance = np.random.default_rng(0)
    tokens = chance.integers(0, 16, (7, 3, 3))
    conditions = chance.normal(size=(7, 3)).astype(np.float32)
    prior.network.train()
    whole, cut = (
        bits_of(prior.network, tokens, conditions, device="cpu", at_once=n) for n in (7, 2)
    )
    assert np.allclose(whole, cut, rtol=1e-5)
    assert whole.shape == (7,)
    assert prior.network.training  # it is left as it was


def test_a_masked_decoder_that_knows_nothing_takes_all_bits(tmp_path):
    prior = read_prior(make_prior(tmp_path, decoder="masked"))
    torch.nn.init.zeros_(prior.network.head.weight)
    tokens = np.random.default_rng(0).integers(0, 16, (5, 3, 3))
    bits = prior.bits(tokens, np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]])
    assert np.allclose(bits, 9 * math.log2(16), atol=1e-4)


def test_a_masked_decoder_s_bits_are_the_mean_over_orders(tmp_path):
    """By hand: the mean over all subsets of hidden tokens, each number of them as likely."""
    prior = read_prior(make_prior(tmp_path, decoder="masked", codes=4, grid=(1, 3)))
    tokens, condition = np.array([[[2, 0, 3]]]), np.eye(3, dtype=np.float32)[:1]
    by_number = {}
    for hidden in itertools.product((False, True), repeat=3):
        if not any(hidden):
            continue
        shown = np.where(hidden, 4, tokens.reshape(1, 3))
        with torch.no_grad():
            logits = prior.network(torch.from_numpy(shown), torch.from_numpy(condition))
        right = logits.log_softmax(-1)[0, range(3), tokens.ravel()].numpy()
        nats = -right[np.array(hidden)].sum() * 3 / sum(hidden)
        by_number.setdefault(sum(hidden), []).append(nats / math.log(2))
    expected = np.mean([np.mean(found) for found in by_number.values()])
    found = [
        bits_of(prior.network, tokens, condition, device="cpu", seed=seed) for seed in range(200)
    ]
    assert np.mean(found) == pytest.approx(expected, rel=0.02)


def test_a_mean_has_an_interval_where_there_are_several():
    assert mean_of(np.array([1.0])) == (1.0, None, None)
    value, low, high = mean_of(np.array([1.0, 3.0]))
    assert (value, low, high) == pytest.approx((2.0, 2 - 1.96, 2 + 1.96))
