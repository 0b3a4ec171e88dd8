"""A moving average of the weights, which evaluates better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def average_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """Begin an average: copies of the parameters, by their names."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def move_average(
    average: Mapping[str, torch.Tensor], model: nn.Module, decay: float, step: int
) -> None:
    """Move the average, in place, towards the weights after step number `step`.

    Early on, when `decay` would hold on to the first weights, the plain mean is taken:
    the decay of step n is min(decay, (1 + n) / (10 + n)).
    """
    import torch

    kept = min(decay, (1 + step) / (10 + step))
    with torch.no_grad():
        values = [value.detach() for _, value in model.named_parameters()]
        torch._foreach_lerp_(list(average.values()), values, 1.0 - kept)


@contextmanager
def averaged(model: nn.Module, average: Mapping[str, torch.Tensor] | None) -> Iterator[None]:
    """Let the model have the averaged weights while the block runs; None: its own."""
    if average is None:
        yield
        return
    _swap(model, average)
    try:
        yield
    finally:
        _swap(model, average)


def _swap(model: nn.Module, average: Mapping[str, torch.Tensor]) -> None:
    """Exchange the storages of weights and average; nothing is copied."""
    for name, parameter in model.named_parameters():
        other = average[name]
        parameter.data, other.data = other.data, parameter.data
