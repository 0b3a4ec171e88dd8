"""How much memory a computation would take, found out on the meta device without allocating it.

A dispatch mode sees every operation; each new storage counts from when an operation makes it until
nothing refers to it any more, as the real allocator would count it. Work space that a kernel
takes for itself is not seen: that is what the margin of a plan is for. Attention counts as the
fused kernels of CPUs and GPUs have it; the meta device, which has none, would spread out T x T
tables of weights.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Footprint(NamedTuple):
    """Bytes that a computation holds."""

    peak: int  # at most, at any one time
    left: int  # when it was over


def footprint(run: Callable[[], object]) -> Footprint:
    """Count the bytes of the storages that `run` makes; its tensors are best on the meta device.

    What existed before is not counted. Gradients count from when they are made, and stay if
    parameters keep them.
    """
    counter = _Counter()
    with _fused_attention(), counter:
        kept = run()
        del kept
    return Footprint(counter.peak, counter.live)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._seen: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {id(storage) for storage in _storages((args, kwargs))}
        found = func(*args, **(kwargs or {}))
        for storage in _storages(found):
            if id(storage) not in before and storage not in self._seen:
                self._count(storage)
        return found

    def _count(self, storage: Any) -> None:
        size = storage.nbytes()
        self._seen[storage] = size
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.live -= size


def _storages(values: Any) -> list[Any]:
    return [
        leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)
    ]


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Let attention on the meta device be what a fused kernel does; the layers look it up here."""
    functional: Any = torch.nn.functional
    plain = functional.scaled_dot_product_attention

    def attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if query.is_meta:
            return _Attention.apply(query, key, value)
        return plain(query, key, value, *args, **kwargs)

    functional.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = plain


class _Attention(torch.autograd.Function):
    """Queries, keys, values (..., T, D): kept, with the result and a sum a row, no T x T table."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> Any:
        found = torch.empty_like(query)
        sums = query.new_empty(query.shape[:-1])
        ctx.save_for_backward(query, key, value, found, sums)
        return found

    @staticmethod
    def backward(ctx: Any, *_gradients: torch.Tensor) -> Any:
        return tuple(torch.empty_like(one) for one in ctx.saved_tensors[:3])
