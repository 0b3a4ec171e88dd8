"""Reading token by token, with a cache, gives the logits of reading all tokens at once."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cliplab.priors.decoding import Decoding
from cliplab.priors.sampling import Sampling, sample
from cliplab.priors.saved import read_prior
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.runtime.errors import UsageError
from cliplab.runtime.shipped import PRIOR, shipped


def network(decoder: str = "autoregressive") -> PriorNetwork:
    torch.manual_seed(0)
    sizes = PriorSizes(
        codes=50, grid=(8, 8), condition=5, width=48, layers=3, heads=2, prefix=2, decoder=decoder
    )
    made = PriorNetwork(sizes)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return made.eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(1)
    tokens = torch.randint(50, (6, 64), generator=chance)
    return tokens, torch.randn(6, 5, generator=chance), torch.tensor([False, True] * 3)


def read(decoding: Decoding, tokens: torch.Tensor, *, as_tensor: bool = False) -> torch.Tensor:
    """Logits (B, T, K), one position after the other."""
    found = [decoding.logits]
    for position in range(tokens.shape[1] - 1):
        place = torch.tensor([position]) if as_tensor else position
        found.append(decoding.step(tokens[:, position], place))
    return torch.stack(found, dim=1)


@pytest.mark.parametrize("as_tensor", [False, True])
def test_logits_with_and_without_cache_agree(as_tensor):
    prior, (tokens, condition, dropped) = network(), inputs()
    with torch.inference_mode():
        whole = prior(tokens, condition, dropped)
        found = read(Decoding(prior, condition, dropped), tokens, as_tensor=as_tensor)
    assert whole.std() > 0.5
    assert (found - whole).abs().max() < 1e-5


def test_the_cache_is_allocated_once_and_filled_in_place():
    prior, (tokens, condition, _dropped) = network(), inputs()
    with torch.inference_mode():
        decoding = Decoding(prior, condition)
        assert decoding.cache.shape == (3, 6, 4, 2 + 63, 24)
        place = decoding.cache.data_ptr()
        for position in range(10):
            before = decoding.cache.clone()
            decoding.step(tokens[:, position], position)
            changed = (decoding.cache != before).any(dim=-1).all(dim=2).all(dim=1).all(dim=0)
            assert changed.nonzero().tolist() == [[2 + position]]
    assert decoding.cache.data_ptr() == place


def test_a_decoding_keeps_the_weights_that_it_began_with():
    prior, (tokens, condition, _dropped) = network(), inputs()
    with torch.inference_mode():
        whole = prior(tokens, condition)
        decoding = Decoding(prior, condition)
    with torch.no_grad():
        for layer in prior.layers:
            for weight in layer.parameters():
                weight.zero_()
    with torch.inference_mode():
        found = read(decoding, tokens)
    assert (found - whole).abs().max() < 1e-5


def test_a_masked_decoder_has_no_cache():
    with pytest.raises(UsageError, match="reads all tokens at once; it has no cache"):
        Decoding(network("masked"), inputs()[1])


def test_logits_of_the_prior_that_comes_with_cliplab_agree():
    prior = read_prior(shipped(PRIOR)).network.eval()
    chance = torch.Generator().manual_seed(1)
    condition = functional.normalize(torch.randn(6, prior.sizes.condition, generator=chance), dim=1)
    tokens = sample(prior, condition, Sampling(guidance=1.0), seed=0)
    with torch.inference_mode():
        whole = prior(tokens, condition)
        found = read(Decoding(prior, condition), tokens)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.softmax(-1), whole.softmax(-1), atol=1e-5, rtol=0)
