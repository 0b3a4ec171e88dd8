"""The backbone of the priors: what each position reads, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from cliplab.priors.transformer import PriorNetwork, PriorSizes, rotations
from cliplab.runtime.errors import UsageError


def tiny(decoder: str = "autoregressive", **changes) -> PriorSizes:
    given = {
        "codes": 11,
        "grid": (3, 2),
        "condition": 5,
        "width": 16,
        "layers": 2,
        "heads": 2,
        "prefix": 2,
        "decoder": decoder,
    }
    return PriorSizes(**{**given, **changes})


def network(sizes: PriorSizes, seed: int = 0) -> PriorNetwork:
    """Weights large enough that every path of the network shows in its logits."""
    torch.manual_seed(seed)
    made = PriorNetwork(sizes)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return made.eval()


def inputs(sizes: PriorSizes, batch: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(1)
    tokens = torch.randint(sizes.codes, (batch, sizes.tokens), generator=chance)
    return tokens, torch.randn(batch, sizes.condition, generator=chance)


def changed(sizes: PriorSizes, position: int) -> torch.Tensor:
    """(T,) bool: the logits that another token at `position` changes."""
    prior = network(sizes)
    tokens, condition = inputs(sizes)
    other = tokens.clone()
    other[:, position] = (other[:, position] + 1) % sizes.codes
    with torch.no_grad():
        apart = (prior(tokens, condition) - prior(other, condition)).abs().amax(dim=(0, 2))
    return apart > 1e-6


@pytest.mark.parametrize("position", range(6))
def test_the_autoregressive_decoder_reads_earlier_tokens_alone(position):
    assert changed(tiny(), position).tolist() == [t > position for t in range(6)]


@pytest.mark.parametrize("position", range(6))
def test_the_masked_decoder_reads_every_token(position):
    assert changed(tiny("masked"), position).all()


@pytest.mark.parametrize("decoder", ["autoregressive", "masked"])
def test_a_dropped_condition_is_not_read_and_changes_the_logits(decoder):
    sizes = tiny(decoder)
    prior = network(sizes)
    tokens, condition = inputs(sizes)
    dropped = torch.tensor([True, False, True, False])
    with torch.no_grad():
        with_it = prior(tokens, condition)
        without = prior(tokens, condition, dropped)
        other = prior(tokens, condition + 1, dropped)
    assert torch.equal(without[~dropped], with_it[~dropped])
    assert torch.equal(without[dropped], other[dropped])
    assert not torch.allclose(without[dropped], with_it[dropped], atol=1e-3)
    assert not torch.allclose(without[~dropped], other[~dropped], atol=1e-3)


@pytest.mark.parametrize("decoder", ["autoregressive", "masked"])
def test_it_learns_drawings_by_heart(decoder):
    sizes = tiny(decoder, width=32, dropout=0.0)
    torch.manual_seed(0)
    prior = PriorNetwork(sizes)
    tokens, condition = inputs(sizes)
    given = tokens if decoder == "autoregressive" else torch.full_like(tokens, sizes.codes)
    start = functional.cross_entropy(prior(given, condition).flatten(0, 1), tokens.flatten())
    assert start.item() == pytest.approx(math.log(sizes.codes), abs=0.3)
    optimiser = torch.optim.Adam(prior.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = functional.cross_entropy(prior(given, condition).flatten(0, 1), tokens.flatten())
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
    assert all(
        weight.grad is not None for name, weight in prior.named_parameters() if name != "null"
    )


def test_prefix_tokens_are_not_turned_and_rows_and_columns_turn_halves():
    turns = rotations(tiny("masked"))
    assert turns.shape == (2 + 6, 4)
    assert not turns[:2].any()
    assert turns[2:, 0].tolist() == [0, 0, 1, 1, 2, 2]  # the row, at the highest speed
    assert turns[2:, 2].tolist() == [0, 1, 0, 1, 0, 1]  # the column
    torch.testing.assert_close(turns[2:, 1], turns[2:, 0] / 100)
    assert rotations(tiny()).shape == (2 + 5, 4)


def test_dropout_is_for_training_alone():
    sizes = tiny()
    prior = network(sizes)
    tokens, condition = inputs(sizes)
    assert torch.equal(prior(tokens, condition), prior(tokens, condition))
    prior.train()
    assert not torch.equal(prior(tokens, condition), prior(tokens, condition))


def test_shapes_are_known_without_memory():
    with torch.device("meta"):
        prior = PriorNetwork(tiny())
        tokens, condition = torch.empty(3, 6, dtype=torch.int64), torch.empty(3, 5)
        assert prior(tokens, condition).shape == (3, 6, 11)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codes": 1}, "codes 1: give 2 or more."),
        ({"grid": (0, 7)}, "grid (0, 7): give rows and columns of 1 or more."),
        ({"condition": 0}, "condition 0: give 1 or more."),
        ({"width": 18}, "width 18: give a multiple of 4 x 2 heads."),
        ({"heads": 0}, "heads 0: give 1 or more."),
        ({"layers": 0}, "layers 0: give 1 or more."),
        ({"prefix": 0}, "prefix 0: give 1 or more."),
        ({"dropout": 1.0}, "dropout 1.0: give 0 up to, not including, 1."),
        ({"decoder": "diffusion"}, "decoder diffusion: give autoregressive or masked."),
    ],
)
def test_sizes_that_cannot_be_are_refused(changes, said):
    with pytest.raises(UsageError) as refused:
        tiny(**changes)
    assert said in str(refused.value)
