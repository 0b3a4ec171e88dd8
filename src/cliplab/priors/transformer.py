"""A transformer over the tokens of a picture: one backbone, two decoders.

    condition (B, E) → P prefix tokens (B, P, W), or the learned null prefix where it is dropped
    prefix, tokens   → `layers` x { x + attention(norm(x)); x + SwiGLU(norm(x)) } → norm → logits

- `autoregressive`: position t reads the prefix and the tokens before t, row by row (Ramesh et al.
  2021; sizes and conditioning as LlamaGen's, Sun et al. 2024). The last prefix token gives token 0.
- `masked`: every position reads every other; unknown tokens hold the value K (MaskGIT, Chang et al.
  2022, section 3).

A norm is x / rms(x) without gains: a linear map follows each, and takes them in. Queries and
keys are normed as well, a head at a time (Henry et al. 2020); their gains, one for each rotated
pair, are multiplied into the rotation. Half of the pairs turn with the row of the grid, half with
its column (LlamaGen, section 3.1). Prefix tokens are not turned, so that they mark the origin, and
a learned vector says which position is asked for. What enters the first layer is normed too.

Letters: B batch, E condition, P prefix, W width, H heads, D width of a head, h w token grid,
T = h · w tokens, K codes, N positions of the stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from cliplab.priors.chance import Dropout
from cliplab.priors.kernels import norm, swiglu, turned
from cliplab.runtime.errors import UsageError

DECODERS = ("autoregressive", "masked")
ROTARY_BASE = 10_000.0
_SPREAD = 0.02  # of weights at the start


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorSizes:
    """All that fixes the shapes of a prior's weights, and what it takes and gives."""

    codes: int  # K, of the tokenizer
    grid: tuple[int, int]  # h, w of the tokenizer's pictures
    condition: int  # E, the width of a condition
    width: int = 192  # W; a multiple of 4 · heads
    layers: int = 6
    heads: int = 6
    prefix: int = 4  # P, tokens that a condition becomes
    dropout: float = 0.1  # of embeddings and of what a layer adds, in training
    decoder: str = "autoregressive"  # or "masked"

    def __post_init__(self) -> None:
        fits = self.heads >= 1 and self.width >= 1 and self.width % (4 * self.heads) == 0
        faults = [
            f"{name} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("codes", self.codes, self.codes >= 2, "2 or more"),
                ("grid", self.grid, min(self.grid) >= 1, "rows and columns of 1 or more"),
                ("condition", self.condition, self.condition >= 1, "1 or more"),
                ("heads", self.heads, self.heads >= 1, "1 or more"),
                ("width", self.width, fits, f"a multiple of 4 x {self.heads} heads"),
                ("layers", self.layers, self.layers >= 1, "1 or more"),
                ("prefix", self.prefix, self.prefix >= 1, "1 or more"),
                ("dropout", self.dropout, 0 <= self.dropout < 1, "0 up to, not including, 1"),
                ("decoder", self.decoder, self.decoder in DECODERS, " or ".join(DECODERS)),
            )
            if not fine
        ]
        if faults:
            raise UsageError(" ".join(faults))

    @property
    def tokens(self) -> int:
        """T, the tokens of a picture."""
        return self.grid[0] * self.grid[1]

    @property
    def positions(self) -> int:
        """N, the positions of the stream: the last token of a causal one is never read."""
        return self.prefix + self.tokens - (self.decoder == "autoregressive")

    @property
    def head_width(self) -> int:
        """D."""
        return self.width // self.heads

    @property
    def hidden(self) -> int:
        """Width inside a SwiGLU: 8/3 · W, up to a multiple of 32 (Shazeer 2020)."""
        return -(-8 * self.width // (3 * 32)) * 32


def rotations(sizes: PriorSizes) -> torch.Tensor:
    """Give the angles (N, D/2) float32 by which the pairs of a head turn at each position."""
    pairs = sizes.head_width // 2
    along_rows = pairs // 2
    speeds = ROTARY_BASE ** -(torch.arange(along_rows) / along_rows)
    rows = torch.arange(sizes.grid[0]).repeat_interleave(sizes.grid[1])
    columns = torch.arange(sizes.grid[1]).repeat(sizes.grid[0])
    turns = torch.cat((rows[:, None] * speeds, columns[:, None] * speeds), dim=1)  # (T, D/2)
    return torch.cat((torch.zeros(sizes.prefix, pairs), turns))[: sizes.positions]


class Layer(nn.Module):
    """Attention and SwiGLU, each added to what it reads."""

    def __init__(self, sizes: PriorSizes):
        super().__init__()
        width, hidden = sizes.width, sizes.hidden
        self.heads, self.causal = sizes.heads, sizes.decoder == "autoregressive"
        self.thinned, self.thinned_too = Dropout(sizes.dropout), Dropout(sizes.dropout)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.gains = nn.Parameter(torch.ones(2 * sizes.heads, sizes.head_width // 2))
        self.joined = nn.Linear(width, width, bias=False)
        self.gated = nn.Linear(width, 2 * hidden, bias=False)
        self.narrowed = nn.Linear(hidden, width, bias=False)

    def forward(
        self, x: torch.Tensor, turns: torch.Tensor, cache: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, N, W), and rotations (N, 1, D/2, 2) → (B, N, W); keys, values stay in the cache."""
        q, k, v = self.queries_keys_values(x, turns)  # each (B, N, H, D)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        if cache is not None:
            cache[:, :, : x.shape[1]] = torch.cat((k, v), dim=1)  # (B, 2H, ..., D)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.after(x, seen.transpose(1, 2).flatten(2))

    def queries_keys_values(
        self, x: torch.Tensor, turns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give queries and keys, normed and turned, and values: (..., H, D) each."""
        heads = self.qkv(norm(x)).view(*x.shape[:-1], 3 * self.heads, -1)  # (..., 3H, D)
        qk, v = heads.split((2 * self.heads, self.heads), dim=-2)
        q, k = turned(norm(qk.float()), turns * self.gains[..., None]).to(v.dtype).chunk(2, dim=-2)
        return q, k, v

    def after(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Add what attention saw to the stream, (..., W) both, then what SwiGLU makes of it."""
        x = x + self.thinned(self.joined(seen))
        added: torch.Tensor = self.thinned_too(self.narrowed(swiglu(self.gated(norm(x)))))
        return x + added


class PriorNetwork(nn.Module):
    """Tokens and a condition → logits over the codes, for each position of the grid.

    Parameters
    ----------
    sizes
        Of the network. Weights are drawn from N(0, 0.02²) of the global generator; those that
        write to the stream are smaller by √(2 · layers).
    """

    turns: torch.Tensor  # (N, 1, D/2, 2) float32, cosine and sine of the rotations

    def __init__(self, sizes: PriorSizes):
        super().__init__()
        self.sizes = sizes
        masked = sizes.decoder == "masked"
        self.tokens = nn.Embedding(sizes.codes + masked, sizes.width)
        self.places = nn.Parameter(torch.empty(sizes.tokens, sizes.width))
        self.conditions = nn.Linear(sizes.condition, sizes.prefix * sizes.width)
        self.null = nn.Parameter(torch.empty(sizes.prefix, sizes.width))
        self.thinned = Dropout(sizes.dropout)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))
        self.head = nn.Linear(sizes.width, sizes.codes)
        angles = rotations(sizes)[:, None]
        turns = torch.stack((angles.cos(), angles.sin()), dim=-1)
        self.register_buffer("turns", turns, persistent=False)
        if self.places.device.type != "meta":
            self._draw_weights()

    def _draw_weights(self) -> None:
        narrow = _SPREAD / math.sqrt(2 * self.sizes.layers)
        for name, weight in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(weight)
            elif name.endswith("gains"):
                nn.init.ones_(weight)
            else:
                inner = name.endswith(("joined.weight", "narrowed.weight"))
                nn.init.normal_(weight, std=narrow if inner else _SPREAD)
        # A condition of unit length gives numbers of the spread that the null prefix has.
        nn.init.normal_(self.conditions.weight, std=1 / math.sqrt(self.sizes.condition))

    def forward(
        self,
        tokens: torch.Tensor,
        condition: torch.Tensor,
        dropped: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Give the logits of every token, under the tokens that its position may read.

        Parameters
        ----------
        tokens
            (B, T) int64 in 0..K-1, row by row; for the masked decoder K is the mask.
        condition
            (B, E) float32.
        dropped
            (B,) bool: whose condition is left out, for the learned null prefix; None: nobody's.

        Returns
        -------
        torch.Tensor
            (B, T, K): [:, t] is about token t. The autoregressive decoder reads the tokens
            before t for it, the masked one all tokens.
        """
        prefix = self.prefix(condition, dropped)
        if self.sizes.decoder == "masked":
            x = torch.cat((prefix, norm(self.tokens(tokens) + self.places)), dim=1)
        else:
            x = torch.cat((prefix, norm(self.tokens(tokens[:, :-1]) + self.places[1:])), dim=1)
        x = self.thinned(x)
        for layer in self.layers:
            x = layer(x, self.turns)
        logits: torch.Tensor = self.head(norm(x[:, -self.sizes.tokens :]))
        return logits

    def prefix(self, condition: torch.Tensor, dropped: torch.Tensor | None = None) -> torch.Tensor:
        """(B, E) → (B, P, W), each vector of root mean square 1."""
        made = self.conditions(condition).unflatten(-1, self.null.shape)
        if dropped is not None:
            made = torch.where(dropped[:, None, None], self.null, made)
        return norm(made)
