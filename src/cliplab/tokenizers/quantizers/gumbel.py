"""DALL-E's relaxation: Gumbel-softmax over the codes (Jang et al. 2017; Maddison et al. 2017).

With logits l (P, K), q = softmax(l), noise g and temperature τ, the codes are softmax((l + g) / τ),
and the penalty is the KL divergence of q from the uniform prior, Σ q (log q + log K), taken on the
logits as they are whatever the temperature (Ramesh et al. 2021, section 2.1).
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from cliplab.tokenizers.noise import Places, gumbel
from cliplab.tokenizers.quantizers.family import Quantized, Quantizer


class GumbelQuantizer(Quantizer):
    """Relaxed one-hot codes, K = L; a token decodes to its one-hot."""

    needs_temperature = True
    penalty_is_kl = True

    def __init__(self, codes: int, *, straight_through: bool = False):
        super().__init__()
        self.codes = self.latent = codes
        self.straight_through = straight_through

    def forward(self, z: torch.Tensor, where: Places, temperature: float) -> Quantized:
        """Relax logits (P, K); with `straight_through` the forward pass is one-hot."""
        log_q = z.log_softmax(1)
        kl = (log_q.exp() * log_q).sum() + len(z) * math.log(self.codes)  # Σ q is 1
        noisy = gumbel(where, self.codes, z.dtype).add_(z).div_(temperature)
        codes = noisy.softmax(1)
        if self.straight_through:
            hard = functional.one_hot(noisy.argmax(1), self.codes).to(codes.dtype)
            codes = hard + codes - codes.detach()
        return Quantized(codes, self.tokens(z), kl)

    def tokens(self, z: torch.Tensor) -> torch.Tensor:
        """Give the most likely code, without noise."""
        return z.detach().argmax(1)

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Give one-hot rows."""
        return functional.one_hot(tokens, self.codes).to(torch.get_default_dtype())


def make(codes: int) -> Quantizer:
    """DALL-E's own: soft in both passes."""
    return GumbelQuantizer(codes)
