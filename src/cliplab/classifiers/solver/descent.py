"""L-BFGS with a diagonal metric, written as a coroutine that asks for the values it needs.

Nocedal and Wright, "Numerical Optimization", 2nd ed., algorithms 7.4 and 3.5. The recursion runs on
inner products alone (Chen et al. 2014, "Large-scale L-BFGS using MapReduce"), so that a step costs
two products with the stored pairs and one exchange with the device. The pairs are kept in the
metric's coordinates, in which the curvature is near the identity.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

PAIRS = 10
SUFFICIENT, CURVATURE = 1e-4, 0.9
TRIALS = 20  # of one line search
PATIENCE = 60  # steps without a smaller gradient until rounding is taken to have the word


class Sample(NamedTuple):
    """f and its gradient at a point, and each class's spread sum_i s_i p (1 - p)."""

    value: float
    gradient: torch.Tensor  # (R + 1, C) float64
    spread: torch.Tensor  # (C,) float64


class Descent(NamedTuple):
    """Where L-BFGS came to."""

    point: torch.Tensor
    sample: Sample
    steps: int
    stalled: bool  # no step lowers f as far as rounding lets one see


@dataclass(frozen=True, slots=True)
class Landscape:
    """What is known of f beforehand."""

    scatter: torch.Tensor  # (R,) float64, curvature of the features
    strength: float  # λ
    total: float  # weight of all pictures
    noise: float  # relative rounding of f
    nothing: float  # f of zero weights, each class's share being its probability

    def metric(self, spread: torch.Tensor) -> torch.Tensor:
        """(R + 1, C) approximate diagonal of the Hessian, for Böhning's bound with p (1 - p).

        Böhning 1992 bounds diag(p) - p pᵀ by 1/2; its mean at the point is nearer. A class's share
        is kept from vanishing, since its curvature may come back.
        """
        share = (spread / self.total).clamp(min=1e-9)
        weights = self.scatter[:, None] * share + self.strength
        return torch.cat([weights, self.total * share[None]])

    def excess(self, sample: Sample) -> float:
        """Estimate of f - min f: the bound of strong convexity, and a Newton step's worth in b."""
        slope = float(sample.gradient[:-1].square().sum()) / (2 * self.strength)
        share = (sample.spread / self.total).clamp(min=1e-9) * self.total
        return slope + float((sample.gradient[-1].square() / share).sum())

    def worth(self, value: float) -> float:
        """Tell what the excess is measured by: f, or what the features gained where that is less.

        Where λ is large, weights of zero are near the optimum already, and say nothing.
        """
        return max(min(value, self.nothing - value), 1e-12 * value)


def descend(
    landscape: Landscape, start: torch.Tensor, sample: Sample | None, goal: float, limit: int
) -> Generator[torch.Tensor, Sample, Descent]:
    """Step until the estimated relative excess is below `goal`, or `limit` steps are done."""
    point = start
    if sample is None:
        sample = yield point
    scale = landscape.metric(sample.spread).sqrt()
    pairs = _Pairs(point.numel(), point.device)
    steps, refresh, best, since = 0, 1, float("inf"), 0
    while (excess := landscape.excess(sample)) > goal * landscape.worth(sample.value):
        if steps >= limit:
            break
        since = 0 if excess < 0.9 * best else since + 1
        best = min(best, excess)
        gradient = _projected(sample.gradient / scale, scale)
        towards = pairs.direction(gradient)
        if not float(towards @ gradient) < 0:
            pairs.forget()
            towards = -gradient
        move = towards.view_as(point) / scale
        found = yield from _line_search(landscape, point, sample, move)
        if found is None or since > PATIENCE:
            return Descent(point, sample, steps, stalled=True)
        length, later = found
        pairs.add(length * towards, _projected(later.gradient / scale, scale) - gradient)
        point, sample, steps = point + length * move, later, steps + 1
        if steps == refresh:
            refresh *= 2
            newer = landscape.metric(sample.spread).sqrt()
            pairs.rescale((newer / scale).flatten(), newer)
            scale = newer
    return Descent(point, sample, steps, stalled=False)


def _projected(scaled: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Flat part of a gradient in scaled coordinates that keeps the sum over classes at zero.

    Moving all classes' weights alike changes the penalty alone, with a curvature that no diagonal
    metric can know of; the optimum has no such part.
    """
    alike = 1 / scale
    share = (scaled * alike).sum(1, keepdim=True) / alike.square().sum(1, keepdim=True)
    return torch.addcmul(scaled, alike, share, value=-1.0).flatten()


def _line_search(
    landscape: Landscape, point: torch.Tensor, sample: Sample, move: torch.Tensor
) -> Generator[torch.Tensor, Sample, tuple[float, Sample] | None]:
    """Find a step of Wolfe's conditions, relaxed by the rounding of f; None: there is none."""
    slope = float((sample.gradient * move).sum())
    noise = landscape.noise * abs(sample.value)
    low, high, length = (0.0, sample.value, slope), None, 1.0
    for _ in range(TRIALS):
        later = yield point + length * move
        if not np.isfinite(later.value):
            high, length = (length, np.inf, np.inf), length / 10
            continue
        here = (length, later.value, float((later.gradient * move).sum()))
        if here[1] > sample.value + SUFFICIENT * length * slope + noise:
            high = here
        elif here[2] < CURVATURE * slope:
            low = here
        else:
            return length, later
        length = _between(low, high) if high else _beyond(low, slope)
    return None


def _between(low: tuple[float, float, float], high: tuple[float, float, float]) -> float:
    """Minimum of the parabola through f and slope at `low` and f at `high`, kept inside."""
    width = high[0] - low[0]
    bend = (high[1] - low[1]) / width - low[2]
    share = -low[2] / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.5
    return low[0] + width * min(max(share, 0.1), 0.9)


def _beyond(low: tuple[float, float, float], slope: float) -> float:
    """Where the slope would vanish were it linear; at least twice, at most ten times as far."""
    change = 1 - low[2] / slope
    return low[0] * min(max(1 / change if change > 0 else 10.0, 2.0), 10.0)


class _Pairs:
    """The last steps and the changes of the gradient along them, with all their products."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.rows = torch.zeros((2 * PAIRS, size), dtype=torch.float64, device=device)
        self.products = np.zeros((2 * PAIRS, 2 * PAIRS))
        self.order: list[int] = []  # places in use, oldest first

    def forget(self) -> None:
        """Start anew."""
        self.order.clear()

    def add(self, step: torch.Tensor, change: torch.Tensor) -> None:
        """Keep a pair of positive curvature; the oldest makes room."""
        curvature = float(step @ change)
        if not curvature > 1e-14 * float(step.norm() * change.norm()):
            return
        place = self.order.pop(0) if len(self.order) == PAIRS else len(self.order)
        self.order.append(place)
        self.rows[place], self.rows[PAIRS + place] = step, change
        two = self.rows[[place, PAIRS + place]]
        found = (self.rows @ two.T).cpu().numpy()
        for column, row in enumerate((place, PAIRS + place)):
            self.products[row], self.products[:, row] = found[:, column], found[:, column]

    def rescale(self, ratio: torch.Tensor, scale: torch.Tensor) -> None:
        """Go over to the coordinates of `scale`, `ratio` times the present ones."""
        self.rows[:PAIRS] *= ratio
        for row in self.rows[PAIRS:]:
            row.copy_(_projected((row / ratio).view_as(scale), scale))
        self.products = (self.rows @ self.rows.T).cpu().numpy()

    def direction(self, gradient: torch.Tensor) -> torch.Tensor:
        """Minus the inverse Hessian's approximation times the gradient."""
        if not self.order:
            return -gradient
        along = (self.rows @ gradient).cpu().numpy()
        shares, own = np.zeros(2 * PAIRS), 1.0
        back = np.zeros(PAIRS)
        for k in reversed(self.order):
            curvature = self.products[k, PAIRS + k]
            back[k] = (along[k] + shares @ self.products[k]) / curvature
            shares[PAIRS + k] -= back[k]
        last = self.order[-1]
        own = self.products[last, PAIRS + last] / self.products[PAIRS + last, PAIRS + last]
        shares *= own
        for k in self.order:
            change = PAIRS + k
            forth = own * along[change] + shares @ self.products[change]
            shares[k] += back[k] - forth / self.products[k, change]
        towards = torch.as_tensor(-shares, device=gradient.device) @ self.rows
        return towards.sub_(gradient, alpha=own)
