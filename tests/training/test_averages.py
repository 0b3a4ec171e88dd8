"""A moving average of the weights."""

from __future__ import annotations

import torch

from cliplab.training.averages import average_of, averaged, move_average


def test_it_moves_by_its_decay_once_warm():
    model = torch.nn.Linear(2, 1, bias=False)
    average = average_of(model)
    start = average["weight"].clone()
    with torch.no_grad():
        model.weight.add_(1.0)
    move_average(average, model, 0.5, step=1000)
    torch.testing.assert_close(average["weight"], start + 0.5)


def test_the_first_steps_count_more():
    model = torch.nn.Linear(2, 1, bias=False)
    average = average_of(model)
    with torch.no_grad():
        model.weight.add_(1.0)
    move_average(average, model, 0.999, step=0)
    torch.testing.assert_close(average["weight"], model.weight.detach() - 0.1)


def test_the_model_has_them_for_a_while_and_its_own_again():
    model = torch.nn.Linear(2, 1)
    own = model.weight.detach().clone()
    average = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    with averaged(model, average):
        assert model(torch.ones(1, 2)).item() == 0.0
    assert torch.equal(model.weight, own)
    assert average["weight"].abs().sum() == 0
