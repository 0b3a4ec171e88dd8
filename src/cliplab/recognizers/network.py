"""A small convolutional classifier of small pictures.

    pixels (B, C, H, W) → average pooling to at most 32 pixels a side
    → 5x5 convolution of stride 2, width w          → norm, ReLU
    → 3x3 convolution, 2w                           → norm, ReLU, 2x2 max pooling
    → 3x3 convolution, 4w → norm, ReLU → 3x3 convolution, 4w → norm, ReLU
    → mean over the grid: features (B, 4w)          → dropout → logits (B, classes)

The norms are over groups of channels of one picture (Wu and He 2018): they keep no statistics of a
batch, so that the answer to a picture does not depend on its company.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

MOST_SIDE = 32  # pixels a side that the convolutions see; larger pictures are averaged
DROPOUT = 0.2


class RecognizerNetwork(nn.Module):
    """Pixels → logits over the classes, by way of features."""

    def __init__(self, channels: int, side: int, width: int, n_classes: int):
        super().__init__()
        self.factor = -(-side // MOST_SIDE)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2),
            *_norm(width),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            *_norm(2 * width),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            *_norm(4 * width),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            *_norm(4 * width),
        )
        self.head = nn.Linear(4 * width, n_classes)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float in [0, 1] → (B, 4w)."""
        x = pixels
        if self.factor > 1:
            x = functional.avg_pool2d(x, self.factor, ceil_mode=True)
        result: torch.Tensor = self.convolutions(2 * x - 1).mean(dim=(2, 3))
        return result

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float in [0, 1] → logits (B, classes)."""
        kept = functional.dropout(self.features(pixels), DROPOUT, self.training)
        result: torch.Tensor = self.head(kept)
        return result


def _norm(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(max(1, width // 8), width), nn.ReLU()
