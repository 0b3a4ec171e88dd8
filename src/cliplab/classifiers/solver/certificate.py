"""How far from the optimum at most: the Fenchel dual, in float64.

For any distributions α_i with sum_i s_i (y_i - α_i) = 0 weak duality gives (Shalev-Shwartz and
Zhang 2013, "Stochastic Dual Coordinate Ascent", section 2; multinomial, with a free intercept)

    min f  >=  sum_i s_i H(α_i) - |sum_i s_i x_i (y_i - α_i)ᵀ|² / (2 λ).

At α = softmax, where b is the best for its W, f minus that is |∇_W f|² / (2 λ): the bound of
strong convexity. Where b is not quite the best, the softmax breaks the constraint a little; then it
is mixed with as much of one distribution q, the same for all, as mends it (H is concave).
Rounding of the sums is counted against the bound.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from cliplab.classifiers.solver.passes import ExactValue, exact_pass
from cliplab.classifiers.solver.prepared import Prepared

ROUNDING = 2.0**-53


class Certificate(NamedTuple):
    """What is proven of a point."""

    value: float  # f there
    bound: float  # no point has an f below
    rounding: float  # what `value` may be off by
    gradient: torch.Tensor  # (R + 1, C) float64, of f
    exact: ExactValue

    @property
    def gap(self) -> float:
        """(f - min f) / min f at most; inf where nothing is known yet."""
        return (self.value - self.bound) / self.bound if self.bound > 0 else float("inf")


def certify(problem: Prepared, point: torch.Tensor, strength: float) -> Certificate:
    """Bound the optimum from a point (R + 1, C) float64, at λ = `strength`."""
    weights = problem.basis @ point[:-1]
    exact = exact_pass(problem, weights, point[-1])
    squared = float(weights.square().sum())
    value = exact.loss + 0.5 * strength * squared
    total = float(problem.counts.sum())
    predicted = exact.balance + problem.counts  # sum_i s_i p_i
    mixed = max(0.0, float((exact.balance / predicted).max())) * (1 + 1e-9)
    entropy, slope = exact.entropy, exact.slope
    rows = min(len(problem.x), 8192) + len(problem.x) // 256 + 16  # terms of a sum, blocks of it
    rounding = ROUNDING * (2 * rows * value + _of_logits(problem, exact, weights, point[-1]))
    if mixed >= 1:
        bound = -float("inf")
    else:
        if mixed > 0:
            q = ((problem.counts - (1 - mixed) * predicted) / (mixed * total)).clamp(min=0)
            entropy = (1 - mixed) * entropy + mixed * total * float(torch.special.entr(q).sum())
            drawn = problem.sums - torch.outer(problem.offset, q)
            slope = (1 - mixed) * slope - mixed * drawn
        longest = float(slope.norm()) + 2 * ROUNDING * rows * (exact.pull + mixed * problem.reach)
        bound = entropy - longest**2 / (2 * strength) - rounding
    gradient = torch.cat(
        [problem.basis.T @ exact.slope + strength * point[:-1], exact.balance[None]]
    )
    return Certificate(value, bound, rounding, gradient, exact)


def _of_logits(
    problem: Prepared, exact: ExactValue, weights: torch.Tensor, intercept: torch.Tensor
) -> float:
    """Bound the rounding of logits and softmax as it comes through to f, in units of ROUNDING.

    A logit is off by F |x| |w|, and moves the loss by its residual; a logarithm by a few units.
    """
    steep = float(weights.norm(dim=0).max()) * exact.pull
    steep += float(intercept.abs().max()) * exact.unsure
    return 4 * (len(weights) + 4) * steep + (problem.n_classes + 16) * float(problem.counts.sum())
