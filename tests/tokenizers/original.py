"""DALL-E's networks said once more, as functions over OpenAI's names, to compare ours with."""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def _conv(state, name, x):
    weight = state[f"{name}.w"]
    return functional.conv2d(x, weight, state[f"{name}.b"], padding=(weight.shape[-1] - 1) // 2)


def _block(state, name, x, gain):
    skip = _conv(state, f"{name}.id_path", x) if f"{name}.id_path.w" in state else x
    for number in (1, 2, 3, 4):
        x = _conv(state, f"{name}.res_path.conv_{number}", functional.relu(x))
    return skip + gain * x


def run(state, x, *, pooled: bool, groups=4, blocks=2):
    """Encoder (`pooled`) or decoder, from a state dict under OpenAI's names."""
    x = _conv(state, "blocks.input", x)
    for group in range(1, groups + 1):
        for block in range(1, blocks + 1):
            x = _block(state, f"blocks.group_{group}.block_{block}", x, 1 / (groups * blocks) ** 2)
        if group < groups:
            x = functional.max_pool2d(x, 2) if pooled else functional.interpolate(x, scale_factor=2)
    return _conv(state, "blocks.output.conv", functional.relu(x))


def drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """A state dict of those shapes with numbers of a sensible size."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator) / math.sqrt(max(1, math.prod(shape[1:])))
        for name, shape in shapes.items()
    }


def shapes(n_in, widths, n_out, kernels, first) -> dict[str, tuple[int, ...]]:
    """Shapes of one network under OpenAI's names; `widths` begin with the stem's."""
    found = {}

    def conv(name, a, b, k):
        found[f"{name}.w"], found[f"{name}.b"] = (b, a, k, k), (b,)

    conv("blocks.input", n_in, widths[0], first)
    for group in range(1, len(widths)):
        for block in (1, 2):
            a, b = widths[group - 1] if block == 1 else widths[group], widths[group]
            name = f"blocks.group_{group}.block_{block}"
            if a != b:
                conv(f"{name}.id_path", a, b, 1)
            sizes = (a, b // 4, b // 4, b // 4, b)
            for number, kernel in enumerate(kernels, 1):
                conv(f"{name}.res_path.conv_{number}", sizes[number - 1], sizes[number], kernel)
    conv("blocks.output.conv", widths[-1], n_out, 1)
    return found
