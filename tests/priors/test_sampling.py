"""The cache changes nothing, a seed says what is drawn, and likely drawings come as often."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from cliplab.priors import sampling
from cliplab.priors.sampling import Sampling, bytes_a_row, draw, guided, rows_that_fit, sample
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.runtime.errors import UsageError
from cliplab.training.memory import TooLittleMemory
from cliplab.training.simulation import footprint

DECODERS = ["autoregressive", "masked"]


def network(decoder: str = "autoregressive", *, spread: float = 0.3, **changes) -> PriorNetwork:
    """Weights large enough that conditions and tokens change what is likely."""
    given = {"codes": 11, "grid": (3, 4), "condition": 5, "width": 16, "layers": 2, "heads": 2}
    torch.manual_seed(0)
    made = PriorNetwork(PriorSizes(**{**given, "prefix": 2, "decoder": decoder, **changes}))
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * spread)
    return made.eval()


def conditions(rows: int, width: int = 5) -> torch.Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(1))


def even(count: int) -> torch.Tensor:
    """`count` numbers in (0, 1), evenly."""
    return (torch.arange(count) + 0.5) / count


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_seed_gives_the_same_drawings_however_they_are_split(decoder):
    prior, condition = network(decoder), conditions(5)
    settings = Sampling(guidance=1.5, steps=4)
    whole = sample(prior, condition, settings, seed=3)
    assert torch.equal(whole, sample(prior, condition, settings, seed=3))
    parts = [
        sample(prior, condition[start:stop], settings, seed=3, first=start)
        for start, stop in ((0, 2), (2, 5))
    ]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, sample(prior, condition, settings, seed=4))
    assert whole.shape == (5, 12)
    assert whole.dtype == torch.int64
    assert 0 <= whole.min() <= whole.max() < 11


@pytest.mark.parametrize("decoder", DECODERS)
def test_rows_of_one_condition_differ(decoder):
    drawn = sample(network(decoder), conditions(1).repeat(6, 1), Sampling(), seed=0)
    assert len({tuple(row) for row in drawn.tolist()}) == 6


@pytest.mark.parametrize("decoder", DECODERS)
def test_guidance_one_is_no_guidance_and_takes_one_pass(decoder, monkeypatch):
    prior, condition = network(decoder), conditions(4)
    rows = []
    prefix = PriorNetwork.prefix

    def counted(self, condition, dropped=None):
        rows.append((len(condition), dropped))
        return prefix(self, condition, dropped)

    monkeypatch.setattr(PriorNetwork, "prefix", counted)
    drawn = sample(prior, condition, Sampling(guidance=1.0), seed=0)
    assert {row[0] for row in rows} == {4}
    assert {row[1] for row in rows} == {None}
    monkeypatch.setattr(Sampling, "guided", property(lambda self: True))
    assert torch.equal(drawn, sample(prior, condition, Sampling(guidance=1.0), seed=0))
    assert rows[-1][0] == 8


def test_guidance_one_gives_the_same_logits_bit_for_bit(monkeypatch):
    logits = torch.randn(6, 100) * 10
    plain = guided(logits[:3], Sampling(guidance=1.0))
    monkeypatch.setattr(Sampling, "guided", property(lambda self: True))
    assert torch.equal(guided(logits, Sampling(guidance=1.0)), plain)


def test_guidance_goes_from_the_logits_without_a_condition_through_those_with_it():
    logits = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    assert guided(logits, Sampling(guidance=3.0)).tolist() == [[3.0, -2.0]]
    assert guided(logits, Sampling(guidance=0.0)).tolist() == [[0.0, 4.0]]


@pytest.mark.parametrize("decoder", DECODERS)
def test_guidance_zero_does_not_read_the_condition(decoder):
    prior = network(decoder)
    drawn = [
        sample(prior, condition, Sampling(guidance=0.0), seed=0)
        for condition in (conditions(4), -conditions(4))
    ]
    assert torch.equal(*drawn)
    with_it = sample(prior, conditions(4), Sampling(guidance=3.0), seed=0)
    assert not torch.equal(with_it, drawn[0])


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_drawings_have_the_probabilities_that_the_prior_gives_them(guidance):
    prior, condition = network(codes=3, grid=(1, 2)), conditions(1)
    settings = Sampling(guidance=guidance)
    pairs = torch.tensor(list(itertools.product(range(3), range(3))))
    many = condition.repeat(9, 1)
    with torch.no_grad():
        both = torch.cat((prior(pairs, many), prior(pairs, many, torch.ones(9, dtype=torch.bool))))
    logits = guided(both, settings) if settings.guided else both[:9]
    each = logits.log_softmax(dim=-1).gather(-1, pairs[..., None]).sum(dim=(1, 2)).exp()
    assert each.sum().item() == pytest.approx(1, abs=1e-5)
    drawn = sample(prior, condition.repeat(20_000, 1), settings, seed=0)
    counts = (drawn @ torch.tensor([3, 1])).bincount(minlength=9).double()
    expected = 20_000 * each.double()
    assert ((counts - expected) ** 2 / expected).sum().item() < 26.1  # p = 0.001 of 8 degrees


def test_draw_follows_the_distribution():
    logits = torch.tensor([0.0, 1.0, 2.0, -math.inf])
    drawn = draw(logits.expand(100_000, 4), even(100_000), Sampling())
    shares = drawn.bincount(minlength=4) / 100_000
    torch.testing.assert_close(shares, logits.softmax(dim=0), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"temperature": 0.5}, [0.01, 0.04, 0.25, 0.16]),
        ({"temperature": 0}, [0, 0, 1, 0]),
        ({"top_k": 2}, [0, 0, 0.5, 0.4]),
        ({"top_k": 1}, [0, 0, 1, 0]),
        ({"top_k": 99}, [0.1, 0.2, 0.5, 0.4]),
        ({"top_p": 0.7}, [0, 0, 0.5, 0.4]),  # 0.417 alone is less
        ({"top_p": 0.9}, [0, 0.2, 0.5, 0.4]),
        ({"top_p": 0.001}, [0, 0, 1, 0]),
        ({"top_p": 1.0}, [0.1, 0.2, 0.5, 0.4]),
        ({"top_p": 0.9, "top_k": 2}, [0, 0, 0.5, 0.4]),
        ({"top_p": 0.3, "top_k": 3}, [0, 0, 1, 0]),
    ],
)
def test_temperature_top_k_and_top_p(settings, wanted):
    logits = torch.tensor([0.1, 0.2, 0.5, 0.4]).log()
    drawn = draw(logits.expand(10_000, 4), even(10_000), Sampling(**settings))
    shares = drawn.bincount(minlength=4) / 10_000
    expected = torch.tensor(wanted) / sum(wanted)
    torch.testing.assert_close(shares, expected, atol=2e-4, rtol=0)


def test_no_number_draws_what_cannot_be():
    ends = torch.tensor([0.5, (1 << 22) - 0.5]) / (1 << 22)  # the least and the largest there are
    logits = torch.full((2, 512), -math.inf)
    logits[:, 100:400] = torch.randn(300) * 3
    assert draw(logits, ends, Sampling()).tolist() == [100, 399]
    numbers = sampling._numbers(0, 1, np.arange(1000), 100, torch.device("cpu"))
    assert ends[0] <= numbers.min()
    assert numbers.max() <= ends[1]
    assert numbers.mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("decoder", DECODERS)
def test_kept_tokens_stay(decoder):
    prior, condition = network(decoder), conditions(3)
    kept = torch.full((3, 12), -1)
    kept[:, 4:8] = torch.tensor([1, 2, 3, 4])
    kept[0, 0] = 7
    settings = Sampling(steps=3)
    drawn = sample(prior, condition, settings, seed=0, kept=kept)
    assert torch.equal(drawn[kept >= 0], kept[kept >= 0])
    assert 0 <= drawn.min() <= drawn.max() < 11
    everything = drawn.clone()
    assert torch.equal(sample(prior, condition, settings, seed=9, kept=everything), drawn)
    free = sample(prior, condition, settings, seed=0)
    assert not torch.equal(drawn[:, 8:], free[:, 8:])
    if decoder == "autoregressive":  # what comes before is not drawn otherwise
        assert torch.equal(drawn[1:, :4], free[1:, :4])


def test_a_masked_decoder_keeps_more_tokens_by_a_cosine(monkeypatch):
    prior = network("masked", grid=(4, 4))
    shown = []
    forward = PriorNetwork.forward

    def seen(self, tokens, condition, dropped=None):
        shown.append(tokens)
        return forward(self, tokens, condition, dropped)

    monkeypatch.setattr(PriorNetwork, "forward", seen)
    kept = torch.full((2, 16), -1)
    kept[1, :8] = 5
    drawn = sample(prior, conditions(2), Sampling(guidance=1.0, steps=4), seed=0, kept=kept)
    hidden = [(tokens == 11).sum(dim=1).tolist() for tokens in shown]
    assert hidden == [[16, 8], [14, 7], [11, 5], [6, 3]]  # floor(16 · cos(π/2 · s/4))
    assert drawn.max() < 11
    for earlier, later in itertools.pairwise([*shown, drawn]):
        assert torch.equal(later[earlier < 11], earlier[earlier < 11])


def test_a_masked_decoder_without_chance_of_choice_keeps_what_it_is_surest_of(monkeypatch):
    prior = network("masked", codes=4, grid=(1, 3))
    logits = torch.tensor([[[9.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 6.0, 0]]])
    shown = []

    def fixed(self, tokens, condition, dropped=None):
        shown.append(tokens[0].tolist())
        return logits

    monkeypatch.setattr(PriorNetwork, "forward", fixed)
    settings = Sampling(guidance=1.0, steps=3, temperature=0, choice_temperature=0)
    assert sample(prior, conditions(1), settings, seed=0).tolist() == [[0, 1, 2]]
    assert shown == [[4, 4, 4], [0, 4, 4], [0, 4, 2]]


def test_no_more_steps_than_tokens(monkeypatch):
    calls = []
    forward = PriorNetwork.forward
    monkeypatch.setattr(PriorNetwork, "forward", lambda *given: calls.append(1) or forward(*given))
    sample(network("masked"), conditions(1), Sampling(steps=100), seed=0)
    assert len(calls) == 12


@pytest.mark.parametrize("decoder", DECODERS)
def test_dropout_takes_no_part_and_is_left_as_it_was(decoder):
    prior, condition = network(decoder, dropout=0.5), conditions(3)
    calm = sample(prior, condition, Sampling(), seed=0)
    assert not prior.training
    prior.train()
    assert torch.equal(sample(prior, condition, Sampling(), seed=0), calm)
    assert prior.training
    assert all(layer.training for layer in prior.layers)


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_condition_no_drawing(decoder):
    assert sample(network(decoder), conditions(0), Sampling(), seed=0).shape == (0, 12)


def test_rows_fit_a_budget():
    sizes = network().sizes
    row = bytes_a_row(sizes)
    assert rows_that_fit(sizes, 7 * row) == 7
    assert rows_that_fit(sizes, 8 * row - 1) == 7
    assert rows_that_fit(sizes, 10**12) == sampling.MOST_ROWS
    assert rows_that_fit(sizes, 7 * row, guided=False) > 7
    with pytest.raises(TooLittleMemory, match="do not hold one drawing, which takes"):
        rows_that_fit(sizes, row - 1)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_row_counts_all_that_it_takes(decoder):
    """What PyTorch holds for 8 rows more, at its most, is within what they count."""
    sizes = network(decoder, codes=512, grid=(4, 4), width=96, layers=2, heads=3).sizes
    torch.manual_seed(0)
    prior = PriorNetwork(sizes)
    few, many = (most_allocated(prior, rows) for rows in (8, 16))
    assert 0.4 * 8 * bytes_a_row(sizes) < many - few <= 8 * bytes_a_row(sizes)


def most_allocated(prior: PriorNetwork, rows: int) -> int:
    """Bytes that PyTorch holds at most while it samples."""
    return footprint(lambda: sample(prior, conditions(rows), Sampling(steps=2), seed=0)).peak


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"temperature": -1}, "temperature -1: give 0 or more."),
        ({"temperature": math.nan}, "temperature nan: give 0 or more."),
        ({"top_k": 0}, "top_k 0: give 1 or more."),
        ({"top_p": 0.0}, "top_p 0.0: give over 0, up to 1."),
        ({"top_p": 1.5}, "top_p 1.5: give over 0, up to 1."),
        ({"guidance": -2}, "guidance -2: give 0 or more."),
        ({"guidance": math.inf}, "guidance inf: give 0 or more."),
        ({"steps": 0}, "steps 0: give 1 or more."),
        ({"choice_temperature": -1}, "choice_temperature -1: give 0 or more."),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, said):
    with pytest.raises(UsageError) as refused:
        Sampling(**changes)
    assert said in str(refused.value)
