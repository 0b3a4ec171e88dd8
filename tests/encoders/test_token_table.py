"""Training the rows in use is training the whole table."""

from __future__ import annotations

import copy

import pytest
import torch

from cliplab.encoders.architecture import build, read_architecture
from cliplab.encoders.token_table import cut_table, whole_state
from cliplab.training.loop import LoopConfig, train, whole_batch

TEXTS = ["a red square", "a green square", "something blue"]
LOOP = LoopConfig(
    steps=5, steps_per_epoch=5, batch_size=3, lr=1e-2, warmup=0.0, weight_decay=0.5
)  # fmt: skip


def trained(model, tokens, folder):
    """A few steps towards captions that all point apart."""
    apart = torch.eye(3, 64)

    def loss(_batch):
        return (model.encode_text(tokens, normalize=True) - apart).square().sum()

    def batches(_step):
        while True:
            yield None

    train(model, batches, whole_batch(loss), LOOP, folder=folder, identity={})


@pytest.fixture(scope="module")
def built():
    return build(read_architecture("tiny"), seed=0)


def test_the_rows_in_use_become_what_they_become_in_the_whole_table(built, tmp_path):
    whole, part = copy.deepcopy(built.model), copy.deepcopy(built.model)
    start = built.model.token_embedding.weight
    tokens = built.tokenize(TEXTS)
    cut = cut_table(part, tokens)
    trained(whole, tokens, tmp_path / "whole")
    trained(part, tokens, tmp_path / "part")
    expected, found = whole.state_dict(), whole_state(part, cut)
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6, msg=name)
    table = found["token_embedding.weight"]
    moved = (table != start).any(dim=1).nonzero().flatten()
    assert set(moved.tolist()) <= set(tokens.unique().tolist())
    assert len(moved) > 5


def test_a_cut_model_reads_the_same_tokens(built):
    model = copy.deepcopy(built.model).eval()
    tokens = built.tokenize(TEXTS)
    with torch.no_grad():
        before = model.encode_text(tokens)
        cut_table(model, tokens)
        assert torch.equal(model.encode_text(tokens), before)


def test_a_model_without_such_a_table_is_left_alone():
    model = torch.nn.Linear(2, 2)
    assert cut_table(model, torch.zeros(1, 1, dtype=torch.int64)) is None
    assert set(whole_state(model, None)) == {"weight", "bias"}
