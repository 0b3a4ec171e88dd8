"""The loop: its schedule, its exact resume, its refusals."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cliplab.runtime.errors import CliplabError, DataError, UsageError
from cliplab.training.checkpoints import FILE
from cliplab.training.loop import LoopConfig, learning_rate, train, whole_batch

CONFIG = LoopConfig(
    steps=12, steps_per_epoch=4, batch_size=8, lr=0.05, warmup=0.25, weight_decay=0.1,
    checkpoint_seconds=0.0,
)  # fmt: skip
IDENTITY = {"what": "a test"}


def make_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))


def batches(step):
    while True:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(8, 4, generator=generator)
        yield x, x.sum(dim=1, keepdim=True)
        step += 1


def run(folder, model=None, config=CONFIG, identity=IDENTITY, stop_at=None, spoil_at=None):
    model = model or make_model()
    taken = []

    def loss(batch):
        taken.append(1)
        if stop_at is not None and len(taken) > stop_at:
            raise KeyboardInterrupt
        x, y = batch
        value = ((model(x) - y) ** 2).mean()
        return value * float("nan") if spoil_at is not None and len(taken) > spoil_at else value

    done = train(model, batches, whole_batch(loss), config, folder=folder, identity=identity)
    return model.state_dict(), done.losses


def test_the_rate_rises_then_falls_to_nothing():
    rates = [learning_rate(step, CONFIG) for step in range(CONFIG.steps)]
    assert rates[:3] == pytest.approx([0.05 / 3, 0.1 / 3, 0.05])
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert 0 < rates[-1] < 0.005


def test_the_loss_falls(tmp_path):
    _, losses = run(tmp_path)
    assert len(losses) == CONFIG.epochs
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("killed_at", [1, 4, 7, 11])
def test_a_resumed_training_ends_in_the_same_weights(tmp_path, killed_at):
    expected, losses = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", stop_at=killed_at)
    resumed, resumed_losses = run(tmp_path / "cut")
    assert resumed_losses == losses
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


def test_another_training_in_the_same_folder_is_refused(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, stop_at=3)
    with pytest.raises(UsageError, match="another --out"):
        run(tmp_path, identity={"what": "another"})


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path):
    with pytest.raises(CliplabError, match=FILE):
        run(tmp_path, spoil_at=5)
    _, losses = run(tmp_path)  # which is good
    assert len(losses) == CONFIG.epochs


def test_a_damaged_checkpoint_is_told(tmp_path):
    (tmp_path / FILE).write_bytes(b"half of it")
    with pytest.raises(DataError, match="Remove"):
        run(tmp_path)


def test_biases_and_norms_do_not_decay(tmp_path):
    model = make_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    still = dataclasses.replace(CONFIG, steps=4, weight_decay=0.5)
    train(
        model,
        batches,
        whole_batch(lambda _batch: sum(p.sum() for p in model.parameters()) * 0.0),
        still,
        folder=tmp_path,
        identity=IDENTITY,
    )
    assert model[0].bias.tolist() == [1.0] * 8
    assert (model[0].weight < 1.0).all()


def test_a_run_may_end_within_an_epoch(tmp_path):
    _, losses = run(tmp_path, config=dataclasses.replace(CONFIG, steps=10))
    assert len(losses) == 3


def test_the_average_lags_behind_and_resumes_exactly(tmp_path):
    config = dataclasses.replace(CONFIG, average=0.9)

    def averages(folder, stop_at=None):
        model, taken = make_model(), []

        def loss(batch):
            taken.append(1)
            if stop_at is not None and len(taken) > stop_at:
                raise KeyboardInterrupt
            return ((model(batch[0]) - batch[1]) ** 2).mean()

        done = train(model, batches, whole_batch(loss), config, folder=folder, identity=IDENTITY)
        return model.state_dict(), done.average

    weights, whole = averages(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        averages(tmp_path / "cut", stop_at=5)
    _, resumed = averages(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert any(not torch.equal(whole[name], weights[name]) for name in whole)


def test_the_rate_may_end_above_nothing():
    config = dataclasses.replace(CONFIG, lr_end=0.01, steps=1000)
    assert learning_rate(999, config) == pytest.approx(0.01, rel=1e-3)
