"""What every quantizer is given and what it hands back; members are found by listing the package.

A member is a module of this package, named as the quantizer is, with

    make(codes: int) -> Quantizer

and passes `tests/conformance/test_quantizers.py`. A quantizer stands between the encoder's head and
the decoder's stem, and works on rows, one for each position of each picture: letters P rows, L what
the head gives and the stem reads, K codes.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import NamedTuple, Protocol, cast

import torch
from torch import nn

from cliplab.runtime.errors import UnknownName
from cliplab.tokenizers.noise import Places


class Quantized(NamedTuple):
    """What a quantizer makes of P rows."""

    codes: torch.Tensor  # (P, L) float, what the decoder's stem reads
    tokens: torch.Tensor  # (P,) int64 in 0..K-1
    penalty: torch.Tensor  # () float, summed over the rows: nats of the KL term, or commitment


class Quantizer(nn.Module):
    """The contract; a member overrides `forward` and `decode`."""

    latent: int  # L
    codes: int  # K
    needs_temperature = False  # whether `forward` depends on the temperature
    penalty_is_kl = False  # whether the penalty is the KL term, weighted by `kl_per_value`

    def forward(self, z: torch.Tensor, where: Places, temperature: float) -> Quantized:
        """Quantize rows as training does: (P, L) float32 or float64 → codes, tokens, penalty.

        Parameters
        ----------
        z
            (P, L), what the encoder's head gives.
        where
            Places of the rows; all that is random depends on them alone.
        temperature
            Of the relaxation, in (0, 1]; ignored where `needs_temperature` is False.
        """
        raise TypeError(f"{type(self).__name__} has no forward pass of its own.")

    def tokens(self, z: torch.Tensor) -> torch.Tensor:
        """Give the tokens (P,) int64 of rows (P, L), without noise."""
        raise TypeError(f"{type(self).__name__} gives no tokens.")

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """Give the rows (P, L) that stand for tokens (P,) int64."""
        raise TypeError(f"{type(self).__name__} cannot decode.")

    def observe(self, z: torch.Tensor, tokens: torch.Tensor) -> None:
        """Gather what a codebook that is not trained by gradients learns from; rows detached.

        Called once for each row of an effective batch, outside checkpointed regions.
        """

    def learn(self, *, seed: int, step: int) -> None:
        """Update such a codebook from what was observed since the last call, once a step."""

    def forget(self) -> None:
        """Forget what was observed since the last update: the step begins anew."""


class Member(Protocol):
    """A module of this package."""

    def make(self, codes: int) -> Quantizer:
        """Give a new quantizer of that many codes."""
        ...


def quantizer_names() -> list[str]:
    """Names of the quantizers there are."""
    import cliplab.tokenizers.quantizers as package

    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if name != "family")


def member(name: str) -> Member:
    """Give the module of the quantizer of that name; an unknown one gives the closest."""
    if name not in (known := quantizer_names()):
        raise UnknownName("quantizer", name, known)
    return cast(Member, importlib.import_module(f"cliplab.tokenizers.quantizers.{name}"))


def quantizer(name: str, codes: int) -> Quantizer:
    """Make the quantizer of that name; an unknown one gives the closest."""
    return member(name).make(codes)
