"""Gradients of a contrastive batch in micro-batches against those of the batch as a whole."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch

from cliplab.encoders.architecture import Architecture, build
from cliplab.encoders.losses import loss_of_model
from cliplab.encoders.two_passes import (
    DropoutOfBatch,
    Inputs,
    add_gradient,
    draw_for_batches,
    draws_by_micro_batch,
    takes_batches_whole,
)

B, K = 12, 7


def architecture(*, siglip=False, **vision) -> Architecture:
    towers = {
        "embed_dim": 8,
        "vision_cfg": {
            "image_size": 8, "layers": 2, "width": 16, "head_width": 8, "patch_size": 2, **vision
        },
        "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 8, "heads": 1, "layers": 2},
    }  # fmt: skip
    bias = {"init_logit_bias": -10.0, "custom_text": True} if siglip else {}
    return Architecture("small", {**towers, **bias}, {})


@pytest.fixture(autouse=True)
def _own_random_state():
    with torch.random.fork_rng([]):
        yield


@cache
def make(**settings):
    """Not to be changed but by a test's own copy."""
    model = build(architecture(**settings), 0).model.double().train()
    draw_for_batches(model)
    return model


def batch() -> Inputs:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(B, 3, 8, 8, generator=generator, dtype=torch.float64)
    tokens = torch.randint(1, 32, (K, 8), generator=generator)
    which = torch.cat([torch.arange(K), torch.randint(0, K, (B - K,), generator=generator)])
    return Inputs(pixels, tokens, which, which % 3)


def gradients(model, micro_batch, seed=3, targets="pairs"):
    model = copy.deepcopy(model)
    loss = add_gradient(model, loss_of_model(model, targets), batch(), micro_batch, seed)
    return loss, {name: p.grad for name, p in model.named_parameters()}


def largest_difference(one, other) -> float:
    whole = torch.cat([g.flatten() for g in one.values()])
    parts = torch.cat([g.flatten() for g in other.values()])
    return float((whole - parts).norm() / whole.norm())


@pytest.mark.parametrize("targets", ["pairs", "classes"])
@pytest.mark.parametrize("siglip", [False, True])
@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("micro_batch", [1, 5, 6, 11])
def test_gradients_are_those_of_the_whole_batch(targets, siglip, recomputed, micro_batch):
    model = copy.deepcopy(make(siglip=siglip))
    loss, whole = gradients(model, B, targets=targets)
    model.set_grad_checkpointing(recomputed)
    parts_loss, parts = gradients(model, micro_batch, targets=targets)
    assert float(parts_loss) == pytest.approx(float(loss), rel=1e-12)
    assert all(float(g.abs().sum()) > 0 for g in whole.values())
    assert largest_difference(whole, parts) < 1e-9
    for name in whole:
        scale = float(whole[name].norm())
        assert float((whole[name] - parts[name]).norm()) <= 1e-9 * scale + 1e-14, name


def test_the_whole_batch_is_the_plain_gradient():
    model = make()
    inputs = batch()
    plain = copy.deepcopy(model)
    images = plain.encode_image(inputs.pixels, normalize=True)
    captions = plain.encode_text(inputs.tokens, normalize=True)[inputs.which]
    loss_of_model(plain)(images, captions, inputs.classes).backward()
    found = {name: p.grad for name, p in plain.named_parameters()}
    assert largest_difference(found, gradients(model, 4)[1]) < 1e-9


def test_patches_are_left_out_alike_whatever_the_micro_batch():
    model = make(patch_dropout=0.5)
    assert not draws_by_micro_batch(model)
    _, whole = gradients(model, B)
    assert largest_difference(whole, gradients(model, 5)[1]) < 1e-9
    assert largest_difference(whole, gradients(model, B, seed=4)[1]) > 1e-3


def test_patch_dropout_is_open_clips():
    from open_clip.transformer import PatchDropout

    x = torch.arange(2 * 9 * 3.0).reshape(2, 9, 3)
    ours, theirs = DropoutOfBatch(0.5, True), PatchDropout(0.5, True)
    ours.draw(5, slice(0, 2), 2)
    torch.manual_seed(5)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), x)


def test_both_passes_draw_the_same_dropout():
    """With a caching pass that drew otherwise, gradients would not be those of the loss told."""
    model = copy.deepcopy(make())
    model.visual.transformer.resblocks[0].mlp.add_module("drop", torch.nn.Dropout(0.3))
    assert draws_by_micro_batch(model)
    loss_of = loss_of_model(model)
    with torch.no_grad():
        before = add_without_gradient(model, loss_of)
    _, found = gradients(model, 5)
    weight = dict(model.named_parameters())["visual.proj"]
    direction = found["visual.proj"]
    with torch.no_grad():
        weight.sub_(1e-6 * direction)
        after = add_without_gradient(model, loss_of)
    assert (before - after) / 1e-6 == pytest.approx(float((direction**2).sum()), rel=1e-3)


def add_without_gradient(model, loss_of) -> float:
    """The loss of micro-batches of five, as the first pass of seed 3 sees it."""
    with torch.enable_grad():
        return float(add_gradient(copy.deepcopy(model), loss_of, batch(), 5, 3))


def test_batch_normalisation_is_seen():
    assert not takes_batches_whole(make())
    resnet = {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32, "patch_size": None}
    assert takes_batches_whole(build(architecture(**resnet), 0).model)
