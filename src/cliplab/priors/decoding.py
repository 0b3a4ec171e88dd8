"""An autoregressive prior that reads one token at a time, with a cache of keys and values.

The logits are those of `PriorNetwork.forward` to about a millionth; what differs is what a step
costs. Keys and values of all positions are allocated once and filled in place; a step reads what
is filled. Weights are copied the way round that is fastest for few rows, with the factors of norms
and rotations multiplied in, and sums with the stream are part of a matrix product: with 32 rows
calls would otherwise be a third of a step.

B rows, P prefix, W width, H heads, D width of a head, F inside a SwiGLU, K codes, N positions.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch.nn import functional

from cliplab.priors.kernels import EPSILON, norm, turned
from cliplab.priors.transformer import Layer, PriorNetwork
from cliplab.runtime.errors import UsageError


class _Prepared(NamedTuple):
    """A layer's weights, and its part of the cache."""

    qkv: torch.Tensor  # (W, 3W), times √W
    turns: torch.Tensor  # (N, 3H, D/2, 2), rotations times gains times √D; 1 for values
    joined: torch.Tensor  # (W, W)
    gated: torch.Tensor  # (W, 2F), times √W
    narrowed: torch.Tensor  # (F, W)
    cache: torch.Tensor  # (B, 2H, N, D), keys and then values


class Decoding:
    """Rows of one request, their prefix read; `step` reads a token of each.

    Parameters
    ----------
    network
        An autoregressive one, in evaluation; weights that change later are not seen.
    condition
        (B, E) float32.
    dropped
        (B,) bool: whose condition is left out; None: nobody's.
    """

    def __init__(
        self,
        network: PriorNetwork,
        condition: torch.Tensor,
        dropped: torch.Tensor | None = None,
    ) -> None:
        sizes = network.sizes
        if sizes.decoder != "autoregressive":
            raise UsageError("A masked decoder reads all tokens at once; it has no cache.")
        x = network.prefix(condition, dropped)
        # Zeros: what is not filled yet takes part, with weight 0, in a step by a tensor's place.
        shape = (sizes.layers, len(x), 2 * sizes.heads, sizes.positions, sizes.head_width)
        self.cache = x.new_zeros(shape)
        layers = cast("list[Layer]", network.layers)
        for layer, cache in zip(layers, self.cache, strict=True):
            x = layer(x, network.turns[: sizes.prefix], cache)
        self.logits: torch.Tensor = network.head(norm(x[:, -1]))  # (B, K) of token 0
        self._layers = [
            _prepared(layer, network.turns, cache)
            for layer, cache in zip(layers, self.cache, strict=True)
        ]
        self._head = _turned_round(network.head.weight, math.sqrt(sizes.width))
        self._network, self._sizes = network, sizes
        self._least, self._least_of_head = (
            torch.tensor(math.sqrt(n * EPSILON), device=x.device)
            for n in (sizes.width, sizes.head_width)
        )

    def step(self, token: torch.Tensor, position: int | torch.Tensor) -> torch.Tensor:
        """Read the token at `position`: logits (B, K) of the one at `position` + 1.

        Parameters
        ----------
        token
            (B,) int64 in 0..K-1.
        position
            0 up to T - 2, after all before it have been read. As a tensor (1,) int64 no shape
            depends on it, so that the step can be compiled once for all positions; as an integer
            nothing but what is filled is read.
        """
        network, place = self._network, position + self._sizes.prefix
        x = norm(functional.embedding(token, network.tokens.weight) + network.places[position + 1])
        for layer in self._layers:
            seen = self._attention(self._unit(x) @ layer.qkv, layer, place)
            x = torch.addmm(x, seen.flatten(1), layer.joined)
            gate, up = (self._unit(x) @ layer.gated).chunk(2, dim=-1)
            x = torch.addmm(x, functional.silu(gate).mul_(up), layer.narrowed)
        return torch.addmm(network.head.bias, self._unit(x), self._head)

    def _attention(
        self, qkv: torch.Tensor, layer: _Prepared, place: int | torch.Tensor
    ) -> torch.Tensor:
        """(B, 3W) → what each head sees, (B, H, 1, D); keys and values are kept."""
        n_heads = self._sizes.heads
        heads = qkv.view(len(qkv), 3 * n_heads, -1)
        qk = heads[:, : 2 * n_heads]
        qk.div_(_length(qk, self._least_of_head))
        heads = turned(heads, layer.turns[place])
        cache, shown = layer.cache, None
        if isinstance(place, int):
            cache[:, :, place] = heads[:, n_heads:]
            cache = cache[:, :, : place + 1]
        else:
            cache.index_copy_(2, place, heads[:, n_heads:, None])
            shown = (torch.arange(cache.shape[2], device=place.device) <= place)[None]
        return functional.scaled_dot_product_attention(
            heads[:, :n_heads, None], cache[:, :n_heads], cache[:, n_heads:], shown
        )

    def _unit(self, x: torch.Tensor) -> torch.Tensor:
        """Divide by the length: a norm without its factor √W, which the weights have."""
        return x / _length(x, self._least)


def _length(x: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """√(|x|² + n · ε) over the last axis, kept."""
    return torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), least)


def _turned_round(weight: torch.Tensor, factor: float = 1.0) -> torch.Tensor:
    """(out, in) → (in, out), contiguous."""
    return torch.mul(weight.t(), factor).contiguous()


def _prepared(layer: Layer, turns: torch.Tensor, cache: torch.Tensor) -> _Prepared:
    """Copy a layer's weights as a step takes them; `turns` are the network's, (N, 1, D/2, 2)."""
    width, n_heads = layer.joined.in_features, layer.heads
    of_qk = turns * (layer.gains[..., None] * math.sqrt(width // n_heads))  # (N, 2H, D/2, 2)
    of_v = of_qk.new_tensor([1.0, 0.0]).expand(len(turns), n_heads, *turns.shape[2:])
    return _Prepared(
        qkv=_turned_round(layer.qkv.weight, math.sqrt(width)),
        turns=torch.cat((of_qk, of_v), dim=1),
        joined=_turned_round(layer.joined.weight),
        gated=_turned_round(layer.gated.weight, math.sqrt(width)),
        narrowed=_turned_round(layer.narrowed.weight),
        cache=cache,
    )
