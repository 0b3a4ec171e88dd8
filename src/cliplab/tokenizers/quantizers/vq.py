"""Vector quantization with a codebook of unit vectors that follows the rows (van den Oord 2017).

The code of a row is the nearest by cosine (Yu et al. 2022); the codebook is the exponential moving
average of the rows that chose it (van den Oord et al. 2017, appendix A.1); a code that is hardly
chosen is put where a row lies (Dhariwal et al. 2020, section 3). The update is ours, since
`vector-quantize-pytorch` updates within the forward pass: here a step may consist of several
micro-batches, some of them recomputed, and the statistics are those of the whole.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from cliplab.tokenizers.noise import Places, choices
from cliplab.tokenizers.quantizers.family import Quantized, Quantizer

WIDTH = 8  # of a code's vector: a low one keeps the whole codebook in use (Yu et al. 2022)
DECAY = 0.9  # of the moving averages
RARE = 0.1  # a code chosen less often than this share of an even use is put elsewhere
COMMITMENT = 0.25  # weight of the pull of rows towards their codes (van den Oord et al. 2017)


class VectorQuantizer(Quantizer):
    """Codes are unit vectors of `WIDTH` numbers."""

    table: torch.Tensor  # (K, L) unit L2 norm
    sums: torch.Tensor  # (K, L) moving average of the rows that chose each code, summed
    counts: torch.Tensor  # (K,) moving average of how many did
    begun: torch.Tensor  # () bool: whether the table was put among the rows

    def __init__(self, codes: int, width: int = WIDTH):
        super().__init__()
        self.codes, self.latent = codes, width
        table = functional.normalize(torch.randn(codes, width), dim=1)
        self.register_buffer("table", table)
        self.register_buffer("sums", table.clone())
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("begun", torch.tensor(False))
        self._rows: list[torch.Tensor] = []
        self._tokens: list[torch.Tensor] = []

    def forward(self, z: torch.Tensor, where: Places, temperature: float) -> Quantized:
        """Take the nearest code; the gradient passes straight through to the row."""
        unit = functional.normalize(z, dim=1)
        tokens = self._nearest(unit)
        chosen = self.table[tokens].to(z.dtype)
        penalty = COMMITMENT * (unit - chosen).square().sum() / self.latent
        return Quantized(unit + (chosen - unit).detach(), tokens, penalty)

    def tokens(self, z: torch.Tensor) -> torch.Tensor:
        """Give the nearest codes by cosine."""
        return self._nearest(functional.normalize(z.detach(), dim=1))

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Give the codes' vectors."""
        return self.table[tokens]

    def observe(self, z: torch.Tensor, tokens: torch.Tensor) -> None:
        """Keep the rows of a micro-batch until `learn`."""
        self._rows.append(functional.normalize(z.detach(), dim=1))
        self._tokens.append(tokens)

    def forget(self) -> None:
        """Drop the rows of a step that begins anew."""
        self._rows, self._tokens = [], []

    @torch.no_grad()
    def learn(self, *, seed: int, step: int) -> None:
        """Move the codes towards their rows, and rare ones to rows drawn by seed and step."""
        if not self._rows:
            return
        rows, tokens = torch.cat(self._rows).to(self.table.dtype), torch.cat(self._tokens)
        self.forget()
        drawn = rows[choices(self.codes, len(rows), seed=seed, step=step, device=rows.device)]
        if not self.begun:
            self._put(torch.ones_like(self.counts, dtype=torch.bool), drawn)
            self.begun.fill_(True)
            tokens = self._nearest(rows)
        self.counts.lerp_(tokens.bincount(minlength=self.codes).to(rows.dtype), 1 - DECAY)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, tokens, rows), 1 - DECAY)
        self.table.copy_(functional.normalize(self.sums, dim=1))
        even = len(rows) / self.codes
        self._put(self.counts < RARE * even, drawn, even)

    def _nearest(self, unit: torch.Tensor) -> torch.Tensor:
        return (unit.detach() @ self.table.T.to(unit.dtype)).argmax(1)

    def _put(self, which: torch.Tensor, vectors: torch.Tensor, count: float = 1.0) -> None:
        self.table[which] = vectors[which]
        self.sums[which] = vectors[which] * count
        self.counts[which] = count


def make(codes: int) -> Quantizer:
    """Codes of eight numbers."""
    return VectorQuantizer(codes)
