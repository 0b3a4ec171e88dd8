"""The discrete VAE whole: encoder, quantizer, decoder, and a step's loss in whatever pieces fit.

The loss of an effective batch of B pictures is

    1/B Σ_pictures (distance per value) + weight · penalty / (B · values),

so that a batch cut into micro-batches, whose losses are summed, gives the same gradient. What
costs memory can be recomputed in the backward pass (`Thrift`): groups of the networks, and the
quantizer in chunks of rows, since at its peak it holds several tables of rows by codes. Nothing
that is recomputed is random but by `noise.Places`, so that gradients stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from cliplab.tokenizers.dvae import DecoderNetwork, DVAEConfig, EncoderNetwork, on_rows
from cliplab.tokenizers.noise import Places, places
from cliplab.tokenizers.objectives import Objective
from cliplab.tokenizers.pixels import map_pixels
from cliplab.tokenizers.quantizers.family import Quantizer


@dataclass(frozen=True, slots=True)
class Thrift:
    """What is recomputed in the backward pass in place of being kept."""

    groups: bool = False  # each group of the networks: more time, a half of the memory
    rows: int | None = None  # the quantizer, so many rows at once; None: all, and kept


class Parts(NamedTuple):
    """What a micro-batch adds to the loss of its effective batch, and what it shows."""

    distance: torch.Tensor  # () sum over pictures of the mean distance per value
    penalty: torch.Tensor  # () the quantizer's penalty, summed over rows
    tokens: torch.Tensor  # (B, h, w) int64
    latent: torch.Tensor  # (P, L) detached: what the quantizer read, for its codebook
    outputs: torch.Tensor  # (B, outputs, H, W) detached


class DVAE(nn.Module):
    """Encoder, quantizer and decoder of a discrete VAE."""

    def __init__(self, config: DVAEConfig, quantizer: Quantizer):
        super().__init__()
        self.config = config
        self.encoder = EncoderNetwork(config)
        self.quantizer = quantizer
        self.decoder = DecoderNetwork(config)

    def parts(
        self,
        pixels: torch.Tensor,
        objective: Objective,
        pictures: torch.Tensor,
        *,
        seed: int,
        step: int,
        temperature: float,
        thrift: Thrift = Thrift(),
    ) -> Parts:
        """Run a micro-batch as training does.

        Parameters
        ----------
        pixels
            (B, C, H, W) float in [0, 1].
        objective
            Distance of the decoder's output from the pixels.
        pictures
            (B,) int64, numbers of the pictures: with seed and step they fix the noise.
        seed, step
            Of the training and of the effective batch.
        temperature
            Of the relaxation.
        thrift
            What is recomputed.
        """
        grid = self.config.grid(*pixels.shape[-2:])
        where = places(pictures.to(pixels.device), grid, seed=seed, step=step)
        features = self._encoded(pixels, thrift)
        rows = features.permute(0, 2, 3, 1).flatten(0, 2)  # (P, F)
        vectors, tokens, latent, penalty = self._relaxed(rows, where, temperature, thrift)
        image = vectors.reshape(len(pixels), *grid, -1).permute(0, 3, 1, 2)
        outputs, distance = self._decoded(image, pixels, objective, thrift)
        grid_tokens = tokens.reshape(len(pixels), *grid)
        return Parts(distance, penalty, grid_tokens, latent, outputs)

    @torch.no_grad()
    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float in [0, 1] → tokens (B, h, w) int64, without noise."""
        grid = self.config.grid(*pixels.shape[-2:])
        logits = self.encoder(map_pixels(pixels))
        tokens = self.quantizer.tokens(logits.permute(0, 2, 3, 1).flatten(0, 2))
        return tokens.reshape(len(pixels), *grid)

    @torch.no_grad()
    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens (B, h, w) int64 → the decoder's output (B, outputs, H, W)."""
        codes = self.quantizer.decode(tokens.flatten()).to(self.decoder.stem.weight.dtype)
        image = codes.reshape(*tokens.shape, -1).permute(0, 3, 1, 2)
        result: torch.Tensor = self.decoder(image)
        return result

    def _encoded(self, pixels: torch.Tensor, thrift: Thrift) -> torch.Tensor:
        x = _run(self.encoder.stem, map_pixels(pixels), False)
        for group in self.encoder.groups:
            x = _run(group, x, thrift.groups)
        return torch.relu(x)

    def _relaxed(
        self, rows: torch.Tensor, where: Places, temperature: float, thrift: Thrift
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows (P, F) → vectors (P, E), tokens (P,), latent (P, L), penalty ()."""
        found = [
            _maybe_recomputed(self._relax, thrift.rows is not None, part, place, temperature)
            for part, place in _chunks(rows, where, thrift.rows)
        ]
        vectors, tokens, latent, penalties = zip(*found, strict=True)
        return (
            torch.cat(vectors),
            torch.cat(tokens),
            torch.cat(latent),
            torch.stack(penalties).sum(),
        )

    def _relax(
        self, rows: torch.Tensor, where: Places, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        z = on_rows(self.encoder.head, rows)
        found = self.quantizer(z, where, temperature)
        vectors = on_rows(self.decoder.stem, found.codes)
        kept = z.detach() if not self.quantizer.penalty_is_kl else z.detach()[:, :0]
        return vectors, found.tokens, kept, found.penalty

    def _decoded(
        self, image: torch.Tensor, pixels: torch.Tensor, objective: Objective, thrift: Thrift
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = image
        for group in self.decoder.groups:
            x = _run(group, x, thrift.groups)
        outputs: torch.Tensor = self.decoder.head(torch.relu(x))
        return outputs.detach(), objective(outputs, pixels).sum()


def _run(module: nn.Module, x: torch.Tensor, recomputed: bool) -> torch.Tensor:
    result: torch.Tensor = _maybe_recomputed(module, recomputed, x)
    return result


def _maybe_recomputed(function: Callable[..., Any], recomputed: bool, *arguments: Any) -> Any:
    if not recomputed or not torch.is_grad_enabled():
        return function(*arguments)
    return checkpoint(function, *arguments, use_reentrant=False, preserve_rng_state=False)


def _chunks(
    rows: torch.Tensor, where: Places, size: int | None
) -> Iterator[tuple[torch.Tensor, Places]]:
    if size is None:
        yield rows, where
        return
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        yield (
            rows[part],
            where._replace(pictures=where.pictures[part], positions=where.positions[part]),
        )
