"""How far a reconstruction is from its picture: negative log-likelihoods and distances, per value.

Each objective turns the decoder's output (B, outputs, H, W) and the pixels (B, C, H, W) in [0, 1]
into the mean over values of one picture, (B,), and knows how to draw a picture from the output.

- ``bce``: Bernoulli likelihood, one output a value. The default for drawings, which are nearly two
  tones: an L1-like likelihood is minimised by the median, which on sparse strokes is blank paper.
- ``logit_laplace``: DALL-E's (Ramesh et al. 2021, appendix A.3), two outputs a value, μ and ln b:
  -log f(x) = |logit x - μ| / b + ln b + ln 2 + ln(x (1 - x)), on pixels mapped away from 0 and 1.
- ``l1``, ``mse``: of the sigmoid of one output a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from cliplab.runtime.errors import UnknownName
from cliplab.tokenizers.dvae import without_autocast
from cliplab.tokenizers.pixels import map_pixels, unmap_pixels

LEAST_LN_B, MOST_LN_B = -7.0, 4.0  # two-tone pictures would drive b to 0 and the NLL to -infinity


@dataclass(frozen=True, slots=True)
class Objective:
    """A distance of pictures from what the decoder says, and the picture that it says."""

    name: str
    outputs_a_value: int  # channels of the decoder for each channel of a picture
    per_value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    to_pixels: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, outputs: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Give the mean over a picture's values, (B,), in float32 or wider.

        Parameters
        ----------
        outputs
            (B, outputs, H, W), what the decoder gives.
        pixels
            (B, C, H, W) in [0, 1].
        """
        with without_autocast(outputs.device):
            wide = outputs if outputs.dtype == torch.float64 else outputs.float()
            return self.per_value(wide, pixels.to(wide.dtype)).flatten(1).mean(1)

    def picture(self, outputs: torch.Tensor) -> torch.Tensor:
        """Give the reconstruction (B, C, H, W) in [0, 1] that the decoder's output stands for."""
        return self.to_pixels(outputs.float())


def _bce(outputs: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(outputs, pixels, reduction="none")


def _logit_laplace(outputs: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    mean, ln_b = outputs.chunk(2, dim=1)
    ln_b = ln_b.clamp(LEAST_LN_B, MOST_LN_B)
    x = map_pixels(pixels)
    distance = (torch.logit(x) - mean).abs()
    return distance * (-ln_b).exp() + ln_b + math.log(2) + (x * (1 - x)).log()


def _l1(outputs: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    return (torch.sigmoid(outputs) - pixels).abs()


def _mse(outputs: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    return (torch.sigmoid(outputs) - pixels).square()


def _of_laplace(outputs: torch.Tensor) -> torch.Tensor:
    return unmap_pixels(torch.sigmoid(outputs.chunk(2, dim=1)[0]))


OBJECTIVES = {
    "bce": Objective("bce", 1, _bce, torch.sigmoid),
    "logit_laplace": Objective("logit_laplace", 2, _logit_laplace, _of_laplace),
    "l1": Objective("l1", 1, _l1, torch.sigmoid),
    "mse": Objective("mse", 1, _mse, torch.sigmoid),
}


def objective(name: str) -> Objective:
    """Give the objective of that name; an unknown one gives the closest."""
    if name not in OBJECTIVES:
        raise UnknownName("objective", name, OBJECTIVES)
    return OBJECTIVES[name]
