"""Noise that is a function of where it falls: seed, step, picture, position, code.

A generator's stream depends on the order in which it is asked, so that cutting a batch into
micro-batches, or a grid into chunks, would change the noise and with it the training. Here each
number is a hash of its coordinates (a counter-based generator in the sense of Salmon et al. 2011),
the same however the work is cut, recomputed for free in a checkpointed region, and the same on
every device up to the rounding of `log`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

_MASK = 0xFFFFFFFF  # numbers are 32-bit, held in int64: every device has that
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B  # of the mixer lowbias32 (Wellons 2018)
_GOLDEN = 0x9E3779B9
_NUMBERS_CPU, _NUMBERS = 1 << 16, 1 << 22  # mixed at once: what a CPU's cache holds; on a GPU


class Places(NamedTuple):
    """Where the rows of a quantizer's input lie."""

    pictures: torch.Tensor  # (P,) int64, number of the picture in the epoch's data, 0 or more
    positions: torch.Tensor  # (P,) int64, position in the picture's grid, row by row
    seed: int  # of the training
    step: int  # of the effective batch


def places(pictures: torch.Tensor, grid: tuple[int, int], *, seed: int, step: int = 0) -> Places:
    """Give the places of whole pictures (B,) int64, position after position: P = B · h · w."""
    n = grid[0] * grid[1]
    positions = torch.arange(n, device=pictures.device)
    return Places(pictures.repeat_interleave(n), positions.repeat(len(pictures)), seed, step)


def gumbel(where: Places, codes: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Give standard Gumbel noise -log(-log(u)), (P, K), one number for each place and code.

    It is made a few rows at once, so that beside the result it takes next to no memory.
    """
    row = _signed(_mixed(_mixed(_seeded(where.seed, where.step, where.pictures)) ^ where.positions))
    noise = torch.empty(len(row), codes, dtype=dtype, device=row.device)
    if noise.is_meta:
        return noise
    code = _signed((torch.arange(codes, device=row.device) * _GOLDEN) & _MASK)
    at_once = max(1, (_NUMBERS_CPU if row.device.type == "cpu" else _NUMBERS) // codes)
    for start in range(0, len(row), at_once):
        part = slice(start, start + at_once)
        bits = row[part, None] + code
        _mix_in_place(bits)
        _uniform(bits, noise[part]).log_().neg_().log_().neg_()
    return noise


def _uniform(bits: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Map 32 bits to numbers within (0, 1): 23 of them, half a step off both ends.

    One bit more, and float32 would round the largest to 1, whose noise is infinite.
    """
    found.copy_((bits >> 9).bitwise_and_(0x7FFFFF))
    return found.add_(0.5).div_(1 << 23)


def choices(count: int, among: int, *, seed: int, step: int, device: torch.device) -> torch.Tensor:
    """Draw (count,) int64 numbers in 0..among-1, with repetition, by seed and step alone."""
    key = _mixed(_mixed(torch.tensor([seed & _MASK], device=device)) ^ ((step + 1) & _MASK))
    bits = _mixed(key + torch.arange(count, device=device) * _GOLDEN)
    return (bits * among) >> 32


def _seeded(seed: int, step: int, pictures: torch.Tensor) -> torch.Tensor:
    key = _mixed(torch.tensor([seed & _MASK], device=pictures.device))
    key = _mixed(key ^ (step & _MASK))
    low, high = pictures & _MASK, pictures >> 32
    return _mixed(_mixed(key ^ low) + high)


def _mixed(value: torch.Tensor) -> torch.Tensor:
    """Mix the low 32 bits of int64 numbers, one to one; the result lies in 0..2³²-1."""
    value = value & _MASK
    value = value ^ (value >> 16)
    value = (value * _FIRST) & _MASK
    value = value ^ (value >> 15)
    value = (value * _SECOND) & _MASK
    return value ^ (value >> 16)


def _signed(value: torch.Tensor) -> torch.Tensor:
    """Give int64 numbers in 0..2³²-1 as the int32 of the same bits."""
    return ((value ^ (1 << 31)) - (1 << 31)).to(torch.int32)


def _mix_in_place(bits: torch.Tensor) -> None:
    """Do to int32, which wraps around, what `_mixed` does: in half the memory, much faster."""
    shifted = torch.empty_like(bits)
    for shift, factor in ((16, _FIRST), (15, _SECOND - (1 << 32)), (16, None)):
        torch.bitwise_right_shift(bits, shift, out=shifted)
        bits.bitwise_xor_(shifted.bitwise_and_(_MASK >> shift))
        if factor is not None:
            bits.mul_(factor)
