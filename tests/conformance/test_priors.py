"""Every prior obeys one contract, whatever it is asked by and however it decodes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.tiny_prior import make_prior

from cliplab.nouns import Prior, digest_of
from cliplab.priors.config import CONDITIONS, DECODERS
from cliplab.priors.saved import read_prior
from cliplab.runtime.errors import UsageError


@pytest.fixture(scope="module", params=[f"{d}-{c}" for d in DECODERS for c in CONDITIONS])
def prior(request, tmp_path_factory) -> Prior:
    decoder, condition = request.param.split("-")
    folder = tmp_path_factory.mktemp("prior") / "p"
    encoder = None if condition == "class" else {"weights": "e"}
    return read_prior(make_prior(folder, decoder=decoder, condition=condition, encoder=encoder))


@pytest.fixture
def asked(prior):
    return np.random.default_rng(0).normal(size=(5, prior.width)).astype(np.float32)


def test_it_is_a_prior(prior):
    assert isinstance(prior, Prior)
    assert prior.condition in CONDITIONS
    assert (prior.encoder is None) == (prior.condition == "class")
    assert digest_of(json.loads(json.dumps(prior.identity))) == digest_of(prior.identity)


def test_it_draws_grids_of_its_vocabulary(prior, asked):
    tokens = prior.sample(asked, seed=0)
    assert tokens.shape == (5, *prior.grid)
    assert tokens.dtype == np.int64
    assert tokens.min() >= 0
    assert tokens.max() < prior.codes
    assert np.array_equal(tokens, prior.sample(asked, seed=0))
    assert not np.array_equal(tokens, prior.sample(asked, seed=1))
    assert prior.sample(asked[:0], seed=0).shape == (0, *prior.grid)


def test_a_drawing_does_not_depend_on_its_company(prior, asked):
    together = prior.sample(asked, seed=3)
    parts = [prior.sample(asked[n : n + 2], seed=3, first=n) for n in (0, 2, 4)]
    assert np.array_equal(together, np.concatenate(parts))


def test_tokens_that_are_kept_stay(prior, asked):
    kept = np.full((5, *prior.grid), -1)
    kept[:, 0] = prior.codes - 1
    tokens = prior.sample(asked, seed=0, kept=kept)
    assert (tokens[:, 0] == prior.codes - 1).all()
    assert len(np.unique(tokens[:, 1:])) > 1


def test_every_drawing_has_bits(prior, asked):
    tokens = prior.sample(asked, seed=0)
    bits = prior.bits(tokens, asked)
    assert bits.shape == (5,)
    assert bits.dtype == np.float64
    assert (bits > 0).all()


def test_what_does_not_fit_is_refused(prior, asked):
    with pytest.raises(UsageError, match="takes conditions"):
        prior.sample(asked[:, :-1], seed=0)
    with pytest.raises(UsageError, match="takes grids of"):
        prior.bits(np.full((5, *prior.grid), prior.codes), asked)
