"""A small convolutional classifier of small pictures.

    pixels (B, C, H, W) → average pooling to at most 32 pixels a side
    → 5x5 convolution of stride 2, width w          → norm, ReLU
    → 3x3 convolution, 2w                           → norm, ReLU, 2x2 max pooling
    → 3x3 convolution, 4w                           → norm, ReLU, 2x2 max pooling
    → the whole grid, at most 4x4 → linear, ReLU: features (B, F) → dropout → logits (B, classes)

The norms are over groups of channels of one picture (Wu and He 2018): they keep no statistics of a
batch, so that the answer to a picture does not depend on its company.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

MOST_SIDE = 32  # pixels a side that the convolutions see; larger pictures are averaged
FEATURES = 128  # F
DROPOUT = 0.2


class RecognizerNetwork(nn.Module):
    """Pixels → logits over the classes, by way of features."""

    def __init__(self, shape: tuple[int, int, int], width: int, n_classes: int):
        super().__init__()
        channels, height, across = shape
        self.factor = -(-max(height, across) // MOST_SIDE)
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2),
            *_norm(width),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            *_norm(2 * width),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1),
            *_norm(4 * width),
            nn.MaxPool2d(2, ceil_mode=True),
        )
        grid = -(-height // (8 * self.factor)), -(-across // (8 * self.factor))
        self.described = nn.Linear(4 * width * grid[0] * grid[1], FEATURES)
        self.head = nn.Linear(FEATURES, n_classes)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float in [0, 1] → (B, F), 0 or more."""
        x = pixels
        if self.factor > 1:
            x = functional.avg_pool2d(x, self.factor, ceil_mode=True)
        grid = self.convolutions(2 * x - 1)
        return torch.relu(self.described(grid.flatten(1)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float in [0, 1] → logits (B, classes)."""
        kept = functional.dropout(self.features(pixels), DROPOUT, self.training)
        result: torch.Tensor = self.head(kept)
        return result


def _norm(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(max(1, width // 8), width), nn.ReLU()
