"""Features made ready to be fitted for any λ: centred, and rotated into their eigenbasis."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

BLOCK = 2_000_000  # numbers in a block of rows: what lies in memory beside features and copy


class Rows:
    """Features in several parts, read as one by slices of rows and never joined as a whole.

    Parameters
    ----------
    parts
        (N_i, F) each, of one dtype and device.
    """

    def __init__(self, parts: Sequence[torch.Tensor]) -> None:
        self._parts = tuple(parts)
        self._ends: list[int] = np.cumsum([len(part) for part in parts]).tolist()
        self.dtype, self.device = parts[0].dtype, parts[0].device
        self.shape: tuple[int, int] = (self._ends[-1], parts[0].shape[1])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> torch.Tensor:
        """Rows (B, F): a view where they lie in one part."""
        start, stop, _ = rows.indices(len(self))
        found, before = [], 0
        for part, end in zip(self._parts, self._ends, strict=True):
            if start < end and before < stop:
                found.append(part[max(start - before, 0) : stop - before])
            before = end
        return found[0] if len(found) == 1 else torch.cat(found)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A fitting problem but for its λ.

    Taking the mean off is exact, since the intercept is free. So is the rotation, since the penalty
    does not see it; and where there are fewer pictures than features, no optimum leaves their span.
    """

    x: Rows  # (N, F) float32 or float64, the features as given
    mean: torch.Tensor  # (F,) float64, weighted
    basis: torch.Tensor  # (F, R) float64, orthonormal columns
    z: torch.Tensor  # (N, R) of x's dtype: (x - mean) basis
    scatter: torch.Tensor  # (R,) float64, sum_i s_i z_i², 0 or above
    labels: torch.Tensor  # (N,) int64 in 0..C-1
    weight: torch.Tensor | None  # (N,) float64, above 0; None: all 1
    counts: torch.Tensor  # (C,) float64, weight of each class, above 0
    sums: torch.Tensor  # (F, C) float64, sum_i s_i (x_i - mean) y_iᵀ
    offset: torch.Tensor  # (F,) float64, sum_i s_i (x_i - mean): 0 but for rounding
    reach: float  # sum_i s_i |x_i - mean|

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.counts)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.z.device

    def blocks(self, width: int) -> Iterator[slice]:
        """Rows, in blocks of which `width` numbers a row fit."""
        return row_blocks(len(self.z), width)

    def weights_of(self, rows: slice, dtype: torch.dtype) -> torch.Tensor | None:
        """(B, 1) weights of some pictures; None: all 1."""
        return None if self.weight is None else self.weight[rows, None].to(dtype)


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Slices of at most BLOCK / width rows."""
    step = min(max(BLOCK // max(width, 1), 256), 8192)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def prepare(
    x: np.ndarray | Sequence[np.ndarray],
    labels: np.ndarray,
    n_classes: int,
    *,
    weight: np.ndarray | None = None,
    device: str = "cpu",
) -> Prepared:
    """Centre and rotate features.

    Parameters
    ----------
    x
        (N, F) float32 or float64, finite; or several of one dtype, whose rows follow each other.
        On the CPU nothing is copied.
    labels
        (N,) int64 in 0..n_classes - 1; each class has a picture.
    weight
        (N,), above 0; None: all 1.
    device
        "cpu" or a CUDA device.
    """
    there = torch.device(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # read-only memory: nothing is written to it
        parts = [x] if isinstance(x, np.ndarray) else x
        features = Rows([torch.from_numpy(np.ascontiguousarray(p)).to(there) for p in parts])
    s = None if weight is None else torch.as_tensor(weight, dtype=torch.float64, device=there)
    y = torch.as_tensor(labels, dtype=torch.int64, device=there)
    mean = _mean(features, s)
    basis = _eigenbasis(features, mean, s)
    n, (width, rank) = len(features), basis.shape
    z = torch.empty((n, rank), dtype=features.dtype, device=there)
    scatter = torch.zeros(rank, dtype=torch.float64, device=there)
    sums = torch.zeros((n_classes, width), dtype=torch.float64, device=there)
    counts = torch.zeros((n_classes, 1), dtype=torch.float64, device=there)
    offset, reach = torch.zeros(width, dtype=torch.float64, device=there), 0.0
    for rows in row_blocks(n, 4 * width):
        exact = features[rows].double() - mean
        turned = exact.to(z.dtype) @ basis.to(z.dtype)
        z[rows] = turned
        share = None if s is None else s[rows, None]
        scatter += _weighted(turned.double().square(), share).sum(0)
        _add_by_class(sums, y[rows], _weighted(exact, share))
        _add_by_class(counts, y[rows], _weighted(torch.ones_like(exact[:, :1]), share))
        offset += _weighted(exact, share).sum(0)
        reach += float(_weighted(exact.norm(dim=1, keepdim=True), share).sum())
    by_feature = sums.T.contiguous()
    return Prepared(
        features, mean, basis, z, scatter, y, s, counts[:, 0], by_feature, offset, reach
    )


def _add_by_class(totals: torch.Tensor, labels: torch.Tensor, values: torch.Tensor) -> None:
    """Add rows (B, W) to their classes' totals (C, W), in the same order each time."""
    if values.is_cuda:  # there index_add_ adds in an order of its own
        members = torch.nn.functional.one_hot(labels, len(totals)).to(values.dtype)
        totals += members.T @ values
    else:
        totals.index_add_(0, labels, values)


def _weighted(values: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
    return values if share is None else values * share


def _mean(x: Rows, s: torch.Tensor | None) -> torch.Tensor:
    """(F,) mean of the pictures as often as they count, so that weights equal repetitions."""
    total = torch.zeros(x.shape[1], dtype=torch.float64, device=x.device)
    for rows in row_blocks(len(x), 4 * x.shape[1]):
        total += _weighted(x[rows].double(), None if s is None else s[rows, None]).sum(0)
    return total / (len(x) if s is None else s.sum())


def _eigenbasis(x: Rows, mean: torch.Tensor, s: torch.Tensor | None) -> torch.Tensor:
    """(F, R) eigenvectors of the scatter of the pictures, R = min(N, F)."""
    n, width = x.shape
    span = None
    if n < width:  # few pictures: first into their span, exactly
        span = torch.linalg.qr((x[:].double() - mean).T).Q
    rank = width if span is None else n
    gram = torch.zeros((rank, rank), dtype=torch.float64, device=x.device)
    for rows in row_blocks(n, 4 * width):
        block = x[rows].double() - mean
        if span is not None:
            block = block @ span
        if s is not None:
            block = block * s[rows, None].sqrt()
        block = block.to(x.dtype)  # the basis need only be near: what is dear is the product
        gram += (block.T @ block).double()
    turn: torch.Tensor = torch.linalg.eigh(gram.cpu()).eigenvectors.to(x.device)
    return turn if span is None else span @ turn
