"""Bytes counted on the meta device against those worked out by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cliplab.training.simulation import footprint

ROW = 1000 * 4  # bytes of a row of 1,000 float32


def test_a_sum_holds_what_it_adds_and_its_result():
    def run() -> None:
        a = torch.empty(1000, device="meta")  # 1
        b = a + 1  # 2
        del a
        c = b * 2  # 2: a is gone
        del b
        c.add_(1)  # in place: nothing new

    assert footprint(run) == (2 * ROW, 0)


def test_views_cost_nothing():
    def run() -> None:
        a = torch.empty(10, 1000, device="meta")
        a.T.reshape(1000, 10)[:, 0].expand(5, 1000).unsqueeze(0)

    assert footprint(run).peak == 10 * ROW


def test_gradients_stay_with_their_parameters():
    layer = nn.Linear(1000, 1, bias=False, device="meta")
    found = footprint(lambda: layer(torch.empty(2, 1000, device="meta")).sum().backward())
    assert found.left == ROW
    assert found.peak >= 3 * ROW


def test_recomputing_is_seen_to_save():
    layers = nn.Sequential(*[nn.Sequential(nn.Linear(100, 100), nn.ReLU()) for _ in range(8)])
    layers.to("meta")

    def run(recomputed: bool) -> None:
        x = torch.empty(1000, 100, device="meta", requires_grad=True)
        for block in (layers[:4], layers[4:]):
            x = checkpoint(block, x, use_reentrant=False) if recomputed else block(x)
        x.sum().backward()

    plain, saving = footprint(lambda: run(False)).peak, footprint(lambda: run(True)).peak
    assert saving < 0.8 * plain
