"""What lies between a transformer's matrix products, with the backward passes written out.

Autograd would keep every intermediate of a norm and of a SwiGLU and pass over memory once for each;
written out they keep what is needed to compute the gradient and touch it about half as often, which
is a tenth of a training step on a CPU. Gradients are those of the plain formulas (`tests/priors`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

EPSILON = 1e-6  # under the root of a norm


def norm(x: torch.Tensor) -> torch.Tensor:
    """Divide by the root of the mean square over the last axis (Zhang and Sennrich 2019)."""
    if x.is_cuda:  # which has a kernel of its own for it
        return functional.rms_norm(x, (x.shape[-1],), eps=EPSILON)
    if not torch.is_grad_enabled():
        return x * _scale(x)
    result: torch.Tensor = _Norm.apply(x)
    return result


def _scale(x: torch.Tensor) -> torch.Tensor:
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scale: torch.Tensor = length.square_().div_(x.shape[-1]).add_(EPSILON).rsqrt_()
    return scale


class _Norm(torch.autograd.Function):
    """y = s·x, s = (mean(x²) + ε)^-½; the gradient of x is s · (g - y · mean(g · y))."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        scale = _scale(x)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        y, scale = ctx.saved_tensors
        along = torch.linalg.vecdot(grads[0], y).div_(-y.shape[-1]).unsqueeze(-1)
        return torch.addcmul(grads[0], y, along).mul_(scale)


def swiglu(x: torch.Tensor) -> torch.Tensor:
    """silu(a) · b of the halves a, b of the last axis (Shazeer 2020): (..., 2F) → (..., F)."""
    if not torch.is_grad_enabled():
        gate, up = x.chunk(2, dim=-1)
        return functional.silu(gate).mul_(up)
    result: torch.Tensor = _SwiGLU.apply(x)
    return result


class _SwiGLU(torch.autograd.Function):
    """Keeps its input alone."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        gate, up = x.chunk(2, dim=-1)
        ctx.save_for_backward(x)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        gate, up = x.chunk(2, dim=-1)
        result = torch.empty_like(x)
        to_gate, to_up = result.chunk(2, dim=-1)
        torch.mul(grads[0], functional.silu(gate), out=to_up)
        torch.mul(grads[0], up, out=to_gate)
        torch.ops.aten.silu_backward.grad_input(to_gate, gate, grad_input=to_gate)
        return result


def turned(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """Multiply pairs of x (..., D), as complex numbers, by (..., D/2, 2) float32: rotary positions.

    Pairs are neighbours (RoFormer, Su et al. 2021, section 3.4).
    """
    pairs = x.view(*x.shape[:-1], -1, 2)
    if x.is_cuda:  # where it is compiled, and complex numbers cannot be
        (a, b), (cosine, sine) = pairs.unbind(-1), by.unbind(-1)
        return torch.stack((a * cosine - b * sine, a * sine + b * cosine), dim=-1).flatten(-2)
    product = torch.view_as_complex(pairs) * torch.view_as_complex(by)
    return torch.view_as_real(product).flatten(-2)
