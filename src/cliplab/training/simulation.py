"""How much memory a computation would take, found out on the meta device without allocating it.

A dispatch mode sees every operation; each new storage counts from when an operation makes it until
nothing refers to it any more, as the real allocator would count it. Work space that a kernel
takes for itself is not seen: that is what the margin of a plan is for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
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
    with counter:
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
