"""Every quantizer keeps the family's contract."""

from __future__ import annotations

import pytest
import torch

from cliplab.runtime.errors import UnknownName
from cliplab.tokenizers.noise import Places, places
from cliplab.tokenizers.quantizers.family import quantizer, quantizer_names

CODES = 64
MEMBERS = quantizer_names()


def _made(name: str):
    torch.manual_seed(0)
    return quantizer(name, CODES)


def _rows(member, n_pictures: int = 4) -> tuple[torch.Tensor, Places]:
    where = places(torch.arange(n_pictures), (4, 4), seed=0)
    return 3 * torch.randn(n_pictures * 16, member.latent), where


def _part(where: Places, part: slice) -> Places:
    return where._replace(pictures=where.pictures[part], positions=where.positions[part])


def test_there_are_those_that_the_design_names():
    assert {"gumbel", "vq", "fsq"} <= set(MEMBERS)


@pytest.mark.parametrize("name", MEMBERS)
def test_shapes_and_ranges(name):
    member = _made(name)
    z, where = _rows(member)
    found = member(z, where, 0.5)
    assert found.codes.shape == z.shape
    assert found.tokens.shape == (len(z),)
    assert found.tokens.dtype == torch.int64
    assert 0 <= found.tokens.min() <= found.tokens.max() < member.codes
    assert found.penalty.shape == ()
    assert found.penalty >= 0


@pytest.mark.parametrize("name", MEMBERS)
def test_each_token_decodes_to_a_row_of_its_own(name):
    member = _made(name)
    rows = member.decode(torch.arange(member.codes))
    assert rows.shape == (member.codes, member.latent)
    assert len(rows.unique(dim=0)) == member.codes


@pytest.mark.parametrize("name", MEMBERS)
def test_decoding_gives_the_codes_that_the_stem_read(name):
    member = _made(name)
    z, where = _rows(member)
    found = member(z, where, 1e-6)
    # relaxed codes hold noise: the coldest ones are one-hot, of another token maybe
    tokens = found.codes.argmax(1) if member.penalty_is_kl else found.tokens
    torch.testing.assert_close(member.decode(tokens), found.codes.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", MEMBERS)
def test_training_and_use_give_the_same_tokens(name):
    member = _made(name)
    z, where = _rows(member)
    assert torch.equal(member(z, where, 0.5).tokens, member.tokens(z))


@pytest.mark.parametrize("name", MEMBERS)
def test_gradients_reach_the_rows(name):
    member = _made(name)
    z, where = _rows(member)
    z.requires_grad_()
    found = member(z, where, 0.5)
    (found.codes * torch.randn_like(found.codes)).sum().backward()
    assert z.grad.abs().sum() > 0


@pytest.mark.parametrize("name", MEMBERS)
def test_cutting_the_rows_changes_nothing(name):
    member = _made(name).double()
    z, where = _rows(member)
    z = z.double()
    whole = member(z, where, 0.5)
    halves = [member(z[p], _part(where, p), 0.5) for p in (slice(0, 24), slice(24, 64))]
    torch.testing.assert_close(
        torch.cat([half.codes for half in halves]), whole.codes, rtol=0, atol=1e-12
    )
    torch.testing.assert_close(sum(half.penalty for half in halves), whole.penalty)


@pytest.mark.parametrize("name", MEMBERS)
def test_observing_in_parts_learns_the_same(name):
    whole, parts = _made(name), _made(name)
    z, _ = _rows(whole)
    tokens = whole.tokens(z)
    whole.observe(z, tokens)
    for part in (slice(0, 24), slice(24, 64)):
        parts.observe(z[part], tokens[part])
    for member in (whole, parts):
        member.learn(seed=0, step=0)
    for name_, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name_])


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_forgotten_is_not_learned(name):
    member = _made(name)
    z, _ = _rows(member)
    before = {key: value.clone() for key, value in member.state_dict().items()}
    member.observe(z, member.tokens(z))
    member.forget()
    member.learn(seed=0, step=0)
    assert all(torch.equal(before[key], value) for key, value in member.state_dict().items())


def test_an_unknown_name_gives_the_closest():
    with pytest.raises(UnknownName, match="gumbel"):
        quantizer("gumble", CODES)
