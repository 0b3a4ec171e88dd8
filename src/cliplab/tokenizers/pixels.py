"""Pixels as a likelihood sees them: a pair of maps that keeps values away from 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MARGIN = 0.1  # ε of DALL-E: values lie in [ε, 1 - ε] (Ramesh et al. 2021, appendix A.3)


def map_pixels(pixels: torch.Tensor, margin: float = MARGIN) -> torch.Tensor:
    """Map pixels in [0, 1] to [ε, 1 - ε], where the logit is finite; `unmap_pixels` undoes it.

    Parameters
    ----------
    pixels
        Any shape, floating point, in [0, 1].
    margin
        ε in [0, 0.5).

    Raises
    ------
    ValueError
        If the pixels are integers, which are most likely 0..255: divide by 255 first.
    """
    if not pixels.is_floating_point():
        raise ValueError(
            f"map_pixels wants floating point in [0, 1], found {pixels.dtype}; divide by 255 first."
        )
    return (1.0 - 2.0 * margin) * pixels + margin


def unmap_pixels(mapped: torch.Tensor, margin: float = MARGIN) -> torch.Tensor:
    """Map values in [ε, 1 - ε] back to pixels, clamped to [0, 1]; the inverse of `map_pixels`."""
    return ((mapped - margin) / (1.0 - 2.0 * margin)).clamp(0.0, 1.0)
