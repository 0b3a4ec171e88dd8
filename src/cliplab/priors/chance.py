"""What a training draws: a function of seed, step and drawing alone, however a batch is cut.

So a batch's gradient is the same in micro-batches of any size, and a step that is done again after
a kill draws what it drew. Numbers are hashes of their coordinates (a counter-based generator in the
sense of Salmon et al. 2011). B drawings, T positions, W width.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of splitmix64
_FIRST_32, _SECOND_32 = 0x7FEB352D, 0x846CA68B - (1 << 32)  # of lowbias32 (Wellons 2018), signed
_LEAST = -(1 << 31)  # of int32
_VALUES = 1 << 16  # that an element of a dropout mask compares with its share


def uniform(seed: int, step: int, drawings: np.ndarray, count: int) -> np.ndarray:
    """Draw (B, count) float64 in [0, 1), evenly, for each of B drawings (numbers, 0 or more).

    >>> both = uniform(0, 3, np.array([5, 9]), 2)
    >>> bool((uniform(0, 3, np.array([9]), 2) == both[1:]).all())
    True
    """
    bits = _hashed(_keys(seed, step, drawings)[:, None] + _counted(count))
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def _keys(seed: int, step: int, drawings: np.ndarray) -> np.ndarray:
    """Hash coordinates to (B,) uint64."""
    key = _hashed(np.array([seed % (1 << 64)], dtype=np.uint64) + _GOLDEN)
    key = _hashed(key + np.uint64(step))
    return _hashed(key + drawings.astype(np.uint64) * _GOLDEN)


def _counted(count: int) -> np.ndarray:
    return (np.arange(count, dtype=np.uint64) + np.uint64(1)) * _GOLDEN


def _hashed(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    found: np.ndarray = value ^ (value >> np.uint64(31))
    return found


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) whose mask follows from the step and the drawing.

    `say_which` tells a network's dropouts which drawings come next; without, PyTorch's generator
    draws.
    """

    def __init__(self, share: float) -> None:
        """Make one that leaves out `share` of the numbers, to a 65536th."""
        super().__init__()
        self.threshold = round(share * _VALUES)
        self.keys: torch.Tensor | None = None  # (B, 1) int32

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations (B, ..., W) → the same, some 0 and the others larger for it."""
        if not self.training or not self.threshold:
            return x
        keys = self.keys
        if keys is None:
            keys = torch.randint(_LEAST, -_LEAST, (len(x), 1), dtype=torch.int32, device=x.device)
        size = math.prod(x.shape[1:])
        places = torch.arange(-(-size // 2), dtype=torch.int32, device=x.device)
        bits = _mixed(keys ^ _mixed(places))  # two values in each
        values = bits.view(torch.int16)[:, :size].view(x.shape)
        left_out = values < self.threshold - _VALUES // 2
        return x.masked_fill(left_out, 0.0).mul_(_VALUES / (_VALUES - self.threshold))


def _mixed(value: torch.Tensor) -> torch.Tensor:
    """Mix int32 numbers, one to one; products wrap, as unsigned ones would."""
    value = value ^ ((value >> 16) & 0xFFFF)
    value = value.mul_(_FIRST_32)
    value ^= (value >> 15) & 0x1FFFF
    value = value.mul_(_SECOND_32)
    value ^= (value >> 16) & 0xFFFF
    return value


def say_which(
    network: nn.Module, seed: int, step: int, drawings: np.ndarray, device: str | torch.device
) -> None:
    """Tell the dropouts of a network on `device` which drawings (B,) the next batch holds."""
    own = [module for module in network.modules() if isinstance(module, Dropout)]
    numbers = np.arange(1, len(own) + 1, dtype=np.uint64)[:, None]
    bits = _hashed(_keys(seed, step, drawings)[None, :] + numbers).astype(np.uint32)
    keys = torch.from_numpy(bits.view(np.int32)).to(device)
    for module, of_module in zip(own, keys[:, :, None], strict=True):
        module.keys = of_module
