"""A prior's step: what it draws, and a gradient that does not depend on the plan."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from tests.tiny_prior import CODES, GRID, toy_lessons

from cliplab.priors import training
from cliplab.priors.config import DECODERS, PriorConfig, resolve
from cliplab.priors.steps import TECHNIQUES, PriorGradient, draw_batch, losses, recompute_layers
from cliplab.training.memory import Plan

PLACES = np.random.default_rng(1).permutation(200)[:16]


def recipe_of(decoder="autoregressive", **changed):
    recipe = resolve(PriorConfig(decoder=decoder, width=16, layers=2, heads=2))
    return dataclasses.replace(recipe, **changed)


def gradients(plan, decoder, *, step=3, fails=None, **changed):
    """Gradients of a batch in float64, by the parameters' names; and the numbers told."""
    recipe, lessons = recipe_of(decoder, **changed), toy_lessons()
    sizes = training.sizes_of(recipe, CODES, GRID, lessons.conditions.shape[1])
    network = training._network(recipe, sizes, "cpu").double()
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            generator = torch.Generator().manual_seed(number)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    recompute_layers(network, plan.techniques)
    gradient = PriorGradient(network, lessons, recipe, plan, "cpu")
    if fails is not None:
        real = network.forward

        def forward(tokens, *rest):
            if len(tokens) > fails:
                raise torch.OutOfMemoryError("pretended")
            return real(tokens, *rest)

        network.forward = forward
    told = gradient(PLACES, step)
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    return found, told, gradient.plan


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    "plan", [Plan(5), Plan(1), Plan(16, TECHNIQUES[1]), Plan(7, TECHNIQUES[1])], ids=str
)
def test_every_plan_finds_the_same_gradient(decoder, plan):
    whole, told, _ = gradients(Plan(16), decoder, dropout=0.3)
    cut, cut_told, _ = gradients(plan, decoder, dropout=0.3)
    assert cut_told["loss"] == pytest.approx(told["loss"], abs=1e-9)
    for name, value in whole.items():
        assert value.abs().max() > 0, name
        torch.testing.assert_close(cut[name], value, rtol=0, atol=1e-9)


def test_dropout_changes_the_gradient_from_step_to_step():
    first, second = (gradients(Plan(16), "autoregressive", step=step)[0] for step in (1, 2))
    assert not torch.allclose(first["head.weight"], second["head.weight"], atol=1e-6)


def test_out_of_memory_the_same_batch_is_done_in_halves():
    whole, _, _ = gradients(Plan(16), "masked")
    halved, _, plan = gradients(Plan(16), "masked", fails=4)
    assert plan.micro_batch == 4
    for name, value in whole.items():
        torch.testing.assert_close(halved[name], value, rtol=0, atol=1e-9)
    with pytest.raises(torch.OutOfMemoryError):
        gradients(Plan(16), "masked", fails=0)


def test_an_autoregressive_decoder_counts_all_tokens():
    lessons = toy_lessons()
    batch = draw_batch(lessons, PLACES, recipe_of(), 0)
    assert batch.counted.all()
    assert np.array_equal(batch.tokens, lessons.tokens[PLACES].reshape(16, 9))


def test_conditions_are_drawn_among_a_drawing_s_own_and_dropped_at_their_rate():
    lessons = toy_lessons()
    rows, dropped = [], []
    for step in range(200):
        batch = draw_batch(lessons, PLACES, recipe_of(), step)
        rows.append(batch.conditions.max(axis=1))
        dropped.append(batch.dropped)
        own = lessons.conditions[lessons.start[PLACES]]
        assert np.array_equal(batch.conditions > 0, own > 0)  # never another class's
    assert 0.45 < (np.array(rows) == np.float32(0.9)).mean() < 0.55
    assert 0.07 < np.mean(dropped) < 0.13
    assert not draw_batch(lessons, PLACES, recipe_of(), 0, drop=0.0).dropped.any()


def test_masked_tokens_are_drawn_by_the_cosine_and_alone_count():
    recipe = recipe_of("masked")
    lessons = toy_lessons()
    shares = [draw_batch(lessons, PLACES, recipe, step).counted.mean() for step in range(300)]
    assert 0.62 < np.mean(shares) < 0.74  # mean of cos(π u / 2) is 2/π; up to whole tokens of nine
    batch = draw_batch(lessons, PLACES, recipe, 4)
    assert batch.counted.any(axis=1).all()
    sizes = training.sizes_of(recipe, CODES, GRID, 3)
    network = training._network(recipe, sizes, "cpu").eval()
    torch.nn.init.normal_(network.head.weight)
    found = losses(network, batch, 0.0, "cpu")
    assert (found.detach().numpy() > 0).tolist() == batch.counted.tolist()
    hidden = batch.tokens.copy()
    hidden[batch.counted] = (hidden[batch.counted] + 1) % CODES  # which it must not have seen
    logits = {}
    network.register_forward_hook(lambda _m, given, made: logits.update(given=given, made=made))
    losses(network, batch._replace(tokens=hidden), 0.0, "cpu")
    assert (logits["given"][0][torch.from_numpy(batch.counted)] == CODES).all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_loss_is_the_mean_over_what_counts(decoder):
    recipe, lessons = recipe_of(decoder, dropout=0.0, smoothing=0.0), toy_lessons()
    sizes = training.sizes_of(recipe, CODES, GRID, 3)
    network = training._network(recipe, sizes, "cpu")
    told = PriorGradient(network, lessons, recipe, Plan(6), "cpu")(PLACES, 2)
    batch = draw_batch(lessons, PLACES, recipe, 2)
    shown = np.where(batch.counted, CODES, batch.tokens) if decoder == "masked" else batch.tokens
    logits = network(
        torch.from_numpy(shown), torch.from_numpy(batch.conditions), torch.from_numpy(batch.dropped)
    )
    right = logits.log_softmax(-1).gather(-1, torch.from_numpy(batch.tokens)[..., None])[..., 0]
    expected = -right[torch.from_numpy(batch.counted)].mean()
    assert told["loss"] == pytest.approx(float(expected.detach()), rel=1e-5)
