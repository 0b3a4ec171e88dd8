"""The networks of DALL-E's discrete VAE (Ramesh et al. 2021, section 2.1 and appendix A).

    pixels (B, C, H, W) → EncoderNetwork → logits (B, K, h, w) → a quantizer → DecoderNetwork
                                                               → (B, outputs, H, W)

Both are stacks of `groups` groups of `blocks` residual blocks; between groups the grid is halved by
2x2 max pooling (encoder) or doubled by nearest neighbours (decoder), so that the stride is
2^(groups - 1). There is no normalisation layer and no attention. A block of width n is

    x → skip(x) + 1/n_layers² · body(x),      n_layers = groups · blocks,

where `skip` is a 1x1 convolution if widths differ, and `body` is four times ReLU and convolution
over n/4 channels: 3-3-3-1 in the encoder, 1-3-3-3 in the decoder. All convolutions keep the size;
weights are drawn from N(0, 1/(n_in · k²)), biases are 0. The 1x1 convolutions on both sides of the
relaxation (the encoder's head, the decoder's stem, which is the codebook) run in float32.

Letters: B batch, C channels, H W pixels, K codes, h w token grid.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from cliplab.runtime.errors import UsageError

FEWEST_GROUPS, MOST_GROUPS = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DVAEConfig:
    """Sizes of the two networks; the defaults are DALL-E's."""

    channels: int = 3  # of a picture: 1 grey, 3 colour
    codes: int = 8192  # K, the size of the vocabulary
    width: int = 256  # of the first group; doubled by each further one
    code_width: int = 128  # of the decoder's stem: the width of a code's vector
    groups: int = 4  # 2 to 4; the stride is 2^(groups - 1)
    blocks: int = 2  # residual blocks a group
    outputs: int = 6  # channels of the decoder: 2 a picture channel for logit-Laplace, else 1

    def __post_init__(self) -> None:
        faults = [
            f"{name} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("channels", self.channels, self.channels in (1, 3), "1 (grey) or 3 (colour)"),
                ("codes", self.codes, self.codes >= 2, "2 or more"),
                ("width", self.width, self.width >= 4 and self.width % 4 == 0, "a multiple of 4"),
                ("code_width", self.code_width, self.code_width >= 1, "1 or more"),
                (
                    "groups",
                    self.groups,
                    FEWEST_GROUPS <= self.groups <= MOST_GROUPS,
                    f"{FEWEST_GROUPS} to {MOST_GROUPS}",
                ),
                ("blocks", self.blocks, self.blocks >= 1, "1 or more"),
                ("outputs", self.outputs, self.outputs >= 1, "1 or more"),
            )
            if not fine
        ]
        if faults:
            raise UsageError(" ".join(faults))

    @property
    def stride(self) -> int:
        """Pixels of a picture's side that a token stands for."""
        return 1 << (self.groups - 1)

    @property
    def n_layers(self) -> int:
        """Residual blocks of one network; a block's gain is 1 / n_layers²."""
        return self.groups * self.blocks

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Give the token grid (h, w) of a picture; refuse a size that the stride does not divide.

        Raises
        ------
        UsageError
            With the nearest sizes that do.
        """
        if height % self.stride or width % self.stride or not (height and width):
            near = [max(1, round(side / self.stride)) * self.stride for side in (height, width)]
            raise UsageError(
                f"{height}x{width} pixels cannot be divided into tokens of {self.stride}x"
                f"{self.stride}; take {near[0]}x{near[1]}, or fewer groups."
            )
        return height // self.stride, width // self.stride


def same_convolution(n_in: int, n_out: int, size: int) -> nn.Conv2d:
    """Give a convolution that keeps the picture's size, drawn as DALL-E's are."""
    convolution = nn.Conv2d(n_in, n_out, size, padding=(size - 1) // 2)
    if convolution.weight.device.type != "meta":
        nn.init.normal_(convolution.weight, std=1.0 / math.sqrt(n_in * size * size))
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    return convolution


class ResidualBlock(nn.Module):
    """`skip(x) + gain · body(x)`; `sizes` are the body's four kernels.

    What no gradient needs (a convolution's output) is overwritten, so that less is allocated.
    """

    def __init__(self, n_in: int, n_out: int, sizes: tuple[int, int, int, int], gain: float):
        super().__init__()
        narrow = n_out // 4
        widths = (n_in, narrow, narrow, narrow, n_out)
        self.gain = gain
        self.skip = nn.Identity() if n_in == n_out else same_convolution(n_in, n_out, 1)
        layers: list[nn.Module] = []
        for position, size in enumerate(sizes):
            layers += [
                nn.ReLU(inplace=position > 0),
                same_convolution(widths[position], widths[position + 1], size),
            ]
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, n_in, H, W) → (B, n_out, H, W)."""
        result: torch.Tensor = self.body(x).mul_(self.gain).add_(self.skip(x))
        return result


def _groups(
    widths: list[int], sizes: tuple[int, int, int, int], config: DVAEConfig, between: nn.Module
) -> nn.ModuleList:
    """Make groups from `widths[i]` to `widths[i + 1]`; all but the last end in `between`."""
    gain = 1.0 / config.n_layers**2
    groups = nn.ModuleList()
    for number in range(config.groups):
        n_in, n_out = widths[number], widths[number + 1]
        inputs = [n_in] + [n_out] * (config.blocks - 1)
        layers: list[nn.Module] = [ResidualBlock(n, n_out, sizes, gain) for n in inputs]
        if number < config.groups - 1:
            layers.append(between)
        groups.append(nn.Sequential(*layers))
    return groups


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switch mixed precision off; on the meta device, which knows none, nothing is done."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def in_float32(convolution: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Run a convolution that touches the vocabulary outside autocast, in its weights' precision."""
    with without_autocast(x.device):
        weight = next(convolution.parameters())
        result: torch.Tensor = convolution(x.to(weight.dtype))
        return result


def on_rows(convolution: nn.Conv2d, rows: torch.Tensor) -> torch.Tensor:
    """Run a 1x1 convolution that touches the vocabulary on rows (P, n_in) → (P, n_out).

    As a matrix product: a convolution of P pictures of one pixel takes ten times as long on a CPU.
    """
    with without_autocast(rows.device):
        weight = convolution.weight[:, :, 0, 0]
        return functional.linear(rows.to(weight.dtype), weight, convolution.bias)


class EncoderNetwork(nn.Module):
    """Pixels → logits over the codes, one set for each token of the grid."""

    def __init__(self, config: DVAEConfig):
        super().__init__()
        widths = [config.width] + [config.width * 2**g for g in range(config.groups)]
        self.stem = same_convolution(config.channels, config.width, 7)
        self.groups = _groups(widths, (3, 3, 3, 1), config, nn.MaxPool2d(2))
        self.head = same_convolution(widths[-1], config.codes, 1)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, F, h, w): what the head reads, after its ReLU."""
        x = self.stem(pixels)
        for group in self.groups:
            x = group(x)
        return torch.relu(x)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float, already mapped → logits (B, K, h, w) float32."""
        return in_float32(self.head, self.features(pixels))


class DecoderNetwork(nn.Module):
    """Codes, one-hot or relaxed, → the parameters of each pixel's distribution."""

    def __init__(self, config: DVAEConfig):
        super().__init__()
        widths = [config.code_width]
        widths += [config.width * 2 ** (config.groups - 1 - g) for g in range(config.groups)]
        self.stem = same_convolution(config.codes, config.code_width, 1)
        self.groups = _groups(widths, (1, 3, 3, 3), config, nn.Upsample(scale_factor=2))
        self.head = same_convolution(config.width, config.outputs, 1)

    def from_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """(B, code_width, h, w), what the stem gives → (B, outputs, H, W)."""
        x = vectors
        for group in self.groups:
            x = group(x)
        result: torch.Tensor = self.head(torch.relu(x))
        return result

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """(B, K, h, w) float, rows of the simplex over K → (B, outputs, H, W)."""
        return self.from_vectors(in_float32(self.stem, codes))

    def vectors_of(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, h, w) int64 in 0..K-1 → (B, code_width, h, w): the stem on one-hots, looked up."""
        table = self.stem.weight[:, :, 0, 0].T  # (K, code_width)
        return (table[tokens] + self.stem.bias).permute(0, 3, 1, 2)  # type: ignore[operator]


def parameter_count(network: nn.Module) -> int:
    """Count the numbers that are trained."""
    return sum(parameter.numel() for parameter in network.parameters())
