"""Losses of a contrastive batch, by hand and against open_clip's."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from cliplab.encoders.losses import CLASSES, PAIRS, TARGETS, loss_of_model

B, D = 8, 4
KINDS = pytest.mark.parametrize("bias", [None, -3.0])


def model(bias=None, scale=5.0):
    return SimpleNamespace(
        logit_scale=torch.tensor(math.log(scale), dtype=torch.float64),
        logit_bias=None if bias is None else torch.tensor(bias, dtype=torch.float64),
    )


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(2, B, D, generator=generator, dtype=torch.float64)
    return tuple(functional.normalize(found, dim=-1))


@KINDS
def test_without_a_class_twice_both_targets_are_the_same(bias):
    images, captions = features()
    made = [loss_of_model(model(bias), t)(images, captions, torch.arange(B)) for t in TARGETS]
    assert float(made[0]) == pytest.approx(float(made[1]), rel=1e-12)


@KINDS
def test_pairs_leave_the_classes_unread(bias):
    loss = loss_of_model(model(bias), PAIRS)
    images, captions = features()
    one = loss(images, captions, torch.zeros(B, dtype=torch.int64))
    assert torch.equal(one, loss(images, captions, torch.arange(B)))


def test_all_of_one_class_by_hand():
    """Two pairs of one class: each row's target is a half and a half."""
    images = torch.eye(2, dtype=torch.float64)
    loss = loss_of_model(model(scale=2.0), CLASSES)
    found = float(loss(images, images, torch.zeros(2, dtype=torch.int64)))
    assert found == pytest.approx(math.log(math.exp(2.0) + 1.0) - 1.0)  # logits 2 and 0


def test_the_sigmoid_by_hand():
    images = torch.eye(2, dtype=torch.float64)
    loss = loss_of_model(model(bias=-1.0, scale=2.0), CLASSES)
    found = float(loss(images, images, torch.zeros(2, dtype=torch.int64)))
    own, other = (math.log(1 + math.exp(-value)) for value in (2.0 - 1.0, 0.0 - 1.0))
    assert found == pytest.approx(own + other)


@KINDS
def test_captions_of_a_class_stand_in_for_each_other(bias):
    images, captions = features()
    classes = torch.tensor([0, 1, 0, 1, 2, 2, 0, 1])
    other = torch.tensor([2, 3, 6, 7, 5, 4, 0, 1])  # each pair's caption from its own class
    assert torch.equal(classes[other], classes)
    of = {t: loss_of_model(model(bias), t) for t in TARGETS}
    found = [float(of[t](images, c, classes)) for t in TARGETS for c in (captions, captions[other])]
    assert found[0] != pytest.approx(found[1], rel=1e-3)
    assert found[2] == pytest.approx(found[3], rel=1e-12)


@KINDS
def test_the_order_of_the_pairs_does_not_matter(bias):
    images, captions = features()
    classes, order = torch.arange(B) % 3, torch.randperm(B, generator=torch.Generator())
    loss = loss_of_model(model(bias), CLASSES)
    mixed = loss(images[order], captions[order], classes[order])
    assert float(mixed) == pytest.approx(float(loss(images, captions, classes)), rel=1e-12)
