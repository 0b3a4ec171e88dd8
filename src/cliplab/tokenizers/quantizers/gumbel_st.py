"""Gumbel-softmax, straight-through: one-hot forward, relaxed backward (Jang et al. 2017)."""

from __future__ import annotations

from cliplab.tokenizers.quantizers.family import Quantizer
from cliplab.tokenizers.quantizers.gumbel import GumbelQuantizer


def make(codes: int) -> Quantizer:
    """No gap between the relaxed and the hard reconstruction; the gradient is biased."""
    return GumbelQuantizer(codes, straight_through=True)
