"""Finite scalar quantization (Mentzer et al. 2023): each of a few channels is rounded to levels.

There is no codebook, no penalty and nothing of the size of the vocabulary. The rounding is that of
`vector-quantize-pytorch`.
"""

from __future__ import annotations

import math

import torch

from cliplab.runtime.errors import UsageError
from cliplab.tokenizers.noise import Places
from cliplab.tokenizers.quantizers.family import Quantized, Quantizer

LEVELS = {
    64: (8, 8),
    256: (8, 6, 5),
    512: (8, 8, 8),
    1000: (8, 5, 5, 5),
    1024: (8, 5, 5, 5),
    2048: (8, 8, 6, 5),
    4096: (7, 5, 5, 5, 5),
    8192: (8, 8, 8, 6, 3),
    16384: (8, 8, 8, 6, 5),
}
"""Levels of each channel for about so many codes (Mentzer et al. 2023, section 4.1)."""


class FiniteScalarQuantizer(Quantizer):
    """Rounds each of L channels to its number of levels; K is their product."""

    def __init__(self, levels: tuple[int, ...]):
        from vector_quantize_pytorch import FSQ

        super().__init__()
        self.levels, self.latent, self.codes = levels, len(levels), math.prod(levels)
        self.rounding = FSQ(levels=list(levels))

    def forward(self, z: torch.Tensor, where: Places, temperature: float) -> Quantized:
        """Round, with the gradient passed straight through."""
        codes, indices = self.rounding(z[None])
        return Quantized(codes[0], indices[0].long(), z.new_zeros(()))

    def tokens(self, z: torch.Tensor) -> torch.Tensor:
        """Give the indices of the rounded rows."""
        with torch.no_grad():
            found: torch.Tensor = self.rounding(z[None])[1][0].long()
        return found

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Give the rounded rows that the indices stand for."""
        found: torch.Tensor = self.rounding.indices_to_codes(tokens[None])[0]
        return found


def make(codes: int) -> Quantizer:
    """Take the levels that come closest to that many codes.

    Raises
    ------
    UsageError
        If no known combination of levels comes near.
    """
    if codes not in LEVELS:
        known = ", ".join(map(str, LEVELS))
        raise UsageError(f"fsq has levels for {known} codes, not for {codes}; take one of these.")
    return FiniteScalarQuantizer(LEVELS[codes])
