"""Models without the drawing of their first weights, which a checkpoint replaces at once.

Drawing them takes longer than reading a file: 13 of 20 seconds for ViT-L/14 on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWING: tuple[Callable[..., Any], ...] = (
    torch.nn.init.uniform_,
    torch.nn.init.normal_,
    torch.nn.init.trunc_normal_,
    torch.nn.init.kaiming_uniform_,
    torch.nn.init.kaiming_normal_,
    torch.nn.init.xavier_uniform_,
    torch.nn.init.xavier_normal_,
    torch.Tensor.uniform_,
    torch.Tensor.normal_,
    torch.Tensor.erfinv_,  # of timm's truncated normal distribution
)


class UndrawnWeights(TorchFunctionMode):
    """Inside this block and thread, what draws a weight leaves whatever memory holds in it.

    All of a model built so must be filled by a strict `load_state_dict`; what is computed rather
    than drawn (masks, positions) is there as ever.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _DRAWING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
