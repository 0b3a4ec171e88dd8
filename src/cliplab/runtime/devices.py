"""Which device and precision a run uses; decided when asked, never at import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cliplab.runtime.errors import UnknownName, UsageError

PRECISIONS = ("fp32", "bf16", "fp16")


def choose_device(name: str = "auto") -> str:
    """Name of the device to use: "cpu", "cuda", "cuda:1", "mps".

    "auto" takes CUDA if PyTorch sees one, then Apple's GPU, then the CPU. A device that is asked
    for and is not there is a `UsageError`, never a silent change.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise UnknownName("device", name, ("auto", "cpu", "cuda", "mps"))
    if kind == "cuda":
        _check_cuda(name)
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: PyTorch sees no Apple GPU here; use --device cpu.")
    return name


@contextmanager
def one_thread(wanted: bool = True) -> Iterator[None]:
    """Let PyTorch compute with one thread while the block runs.

    Where each operation is small, threads wait for each other longer than they compute: on two
    cores that others use too, a hundred times as long.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if wanted else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_cuda(name: str) -> None:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise UsageError(f"--device {name}: PyTorch sees no CUDA device here; use --device cpu.")
    index = name.partition(":")[2] or "0"
    if not index.isdigit() or int(index) >= count:
        raise UsageError(f"--device {name}: there are {count} CUDA devices, cuda:0 the first.")


def check_precision(precision: str, device: str) -> str:
    """Give `precision` back if it can be had on `device`; float16 on a CPU cannot."""
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    if precision == "fp16" and device == "cpu":
        raise UsageError("--precision fp16 needs a GPU; on a CPU use fp32 (the default) or bf16.")
    return precision
