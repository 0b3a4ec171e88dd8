"""Training inside a stated memory: what there is, what a plan would take, and which plan fits.

What counts is what the operating system counts: on a CPU the peak resident memory of the process
and its children, imports included; on a GPU what PyTorch's allocator has reserved. A plan is priced
before anything is allocated (`simulation.footprint` on the meta device). Of the ways to save, the
cheapest in time that fits is taken: smaller micro-batches, then recomputing what a micro-batch of
one picture still holds too much of.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cliplab.runtime.errors import CliplabError, UsageError

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
FREE_MARGIN = 0.1  # of what is free is left alone where no memory is stated
WORK_SPACE = 1.12  # of activations: what kernels take for themselves, and fragments
TIGHT = 0.6  # share of the memory stated, from which freed memory is not kept in fragments
KERNELS = 64 << 20  # bytes that kernels of new shapes are compiled to, and their buffers
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt
_LARGE = 64 << 10  # bytes from which freed memory goes back at once


class TooLittleMemory(CliplabError, MemoryError):
    """Not even one picture fits; the message says what would."""


def parse_bytes(text: str) -> int:
    """Read an amount of memory: `2GiB`, `2G`, `512MiB`, `1.5 GiB`, `3000000000`.

    Units are powers of 1024.

    >>> parse_bytes("1.5GiB"), parse_bytes("512m")
    (1610612736, 536870912)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not found or not float(found[1]):
        raise UsageError(f"--memory {text}: give an amount such as 2GiB, 512MiB or 6G.")
    return int(float(found[1]) * UNITS[found[2].upper()])


def in_words(size: float) -> str:
    """Say an amount of memory.

    >>> in_words(1610612736), in_words(5 << 20)
    ('1.50 GiB', '5.0 MiB')
    """
    return f"{size / (1 << 30):.2f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"


def free_memory(device: str) -> int:
    """Bytes that a training may take: what is free, within the control group's limit, less a tenth.

    On a CPU what this process holds already counts as its own.
    """
    if device.startswith("cuda"):
        import torch

        free, _total = torch.cuda.mem_get_info(device)
        return int((free + torch.cuda.memory_reserved(device)) * (1 - FREE_MARGIN))
    import psutil

    free = psutil.virtual_memory().available
    if (left := _left_in_group()) is not None:
        free = min(free, left)
    return int(free * (1 - FREE_MARGIN)) + resident_memory()


def _left_in_group(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes left in this process's control group, version 2 or 1; None where none is set."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # "max" is no number: there is no limit
            most = int((root / limit).read_text())
            return max(0, most - int((root / used).read_text()))
    return None


def resident_memory() -> int:
    """Bytes resident now, in this process and its children."""
    import psutil

    process = psutil.Process()
    total: int = process.memory_info().rss
    for child in process.children(recursive=True):
        with suppress(psutil.Error):
            total += child.memory_info().rss
    return total


def held_memory(device: str) -> int:
    """Bytes that count against a budget now: resident on a CPU, reserved on a GPU."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.memory_reserved(device))
    return resident_memory()


def peak_resident_memory() -> int:
    """Bytes resident at most since the start, or since `forget_peak`, in this process."""
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return int(found[1]) << 10
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def forget_peak() -> None:
    """Let `peak_resident_memory` begin anew, where the system can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def give_back(device: str) -> None:
    """Give back what is no longer used, to the system or to other programs on a GPU."""
    gc.collect()  # what hangs in cycles first
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()
    elif sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library may not have it
            ctypes.CDLL(None).malloc_trim(0)


def return_freed_memory_if_tight(total: int, budget: int) -> None:
    """Do so where a plan is estimated to take more than `TIGHT` of what may be taken (bytes).

    Every large tensor is then asked of the system anew, and a training takes half as long again.
    """
    if total > TIGHT * budget:
        return_freed_memory()


def return_freed_memory() -> None:
    """Make glibc give freed memory back at once, rather than keep it in fragments; for the process.

    By default it learns to keep larger and larger pieces, and a training of 30 MiB a picture comes
    to hold 40.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a step is done within memory; a checkpoint keeps it for whoever resumes."""

    micro_batch: int  # pictures at once; gradients are added up over a batch's micro-batches
    techniques: tuple[str, ...] = ()  # what is recomputed, by the names that the model gives

    def as_json(self) -> dict[str, Any]:
        """Give the fields as plain JSON types; `Plan.read` is the inverse."""
        return {**asdict(self), "techniques": list(self.techniques)}

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Plan:
        """Give the plan that `as_json` told of."""
        return cls(value["micro_batch"], tuple(value["techniques"]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan takes, in bytes."""

    base: int  # the process before: interpreter, libraries, the data set's arrays
    parameters: int
    gradients: int
    optimizer: int
    average: int
    activations: int  # of a micro-batch at its peak, work space included

    @property
    def total(self) -> int:
        """All together: the peak."""
        return (
            self.base
            + self.parameters
            + self.gradients
            + self.optimizer
            + self.average
            + self.activations
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network takes whatever the plan, and what a micro-batch takes under one."""

    base: int
    parameters: int
    optimizer: int
    average: int
    peak: Callable[[int, tuple[str, ...]], int]
    """Bytes at the peak of a micro-batch's forward and backward pass, gradients included."""

    def of(self, plan: Plan) -> Estimate:
        """Estimate a plan."""
        peak = self.peak(plan.micro_batch, plan.techniques)
        held = max(0, peak - self.parameters)
        return Estimate(
            base=self.base,
            parameters=self.parameters,
            gradients=self.parameters,
            optimizer=self.optimizer,
            average=self.average,
            activations=int(held * WORK_SPACE) + KERNELS,
        )


def choose_plan(
    cost: Cost,
    budget: int,
    batch_size: int,
    techniques: Sequence[tuple[str, ...]],
    *,
    fewest: int = 1,
    smaller: str = "a smaller --preset or --size",
) -> tuple[Plan, Estimate]:
    """Give the plan that costs the least time within the budget, and its estimate.

    Parameters
    ----------
    cost
        Of the network.
    budget
        Bytes.
    batch_size
        Pictures of an effective batch: the largest micro-batch there is.
    techniques
        Sets of techniques in the order of their price, the first of them none.
    fewest
        Pictures that must be done at once.
    smaller
        What else would take less, for the message.

    Raises
    ------
    TooLittleMemory
        If the fewest pictures at once do not fit either; the message says what would.
    """
    plain = Plan(batch_size, techniques[0])
    if (whole := cost.of(plain)).total <= budget:
        return plain, whole
    smallest: Estimate | None = None
    for names in techniques:
        few = cost.of(Plan(fewest, names))
        smallest = few if smallest is None or few.total < smallest.total else smallest
        if few.total <= budget:
            micro = _largest(
                lambda n, names=names: cost.of(Plan(n, names)).total <= budget,  # type: ignore[misc]
                fewest,
                batch_size,
            )
            plan = Plan(micro, names)
            return plan, cost.of(plan)
    assert smallest is not None
    what = "one picture at a time takes" if fewest == 1 else f"{fewest} pictures at a time take"
    raise TooLittleMemory(
        f"{in_words(budget)} are too little: {what} "
        f"{in_words(smallest.total)} ({in_words(smallest.base)} for the process, "
        f"{in_words(smallest.total - smallest.base - smallest.activations)} for weights and "
        f"optimiser, {in_words(smallest.activations)} for the {_pictures(fewest)}). Give --memory "
        f"{_round_up(smallest.total)}, or {smaller}."
    )


def _pictures(count: int) -> str:
    return "picture" if count == 1 else "pictures"


def _largest(fits: Callable[[int], bool], least: int, most: int) -> int:
    """Give the largest n in least..most that fits, where `least` does and more is never less."""
    if fits(most):
        return most
    low, high = least, most - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _round_up(size: int) -> str:
    tenths = -(-size * 10 // (1 << 30))
    return f"{tenths / 10:g}GiB"
