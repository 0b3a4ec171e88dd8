"""Newton's method in float64, for problems small enough for their whole Hessian."""

from __future__ import annotations

import torch

from cliplab.classifiers.solver.certificate import Certificate, certify
from cliplab.classifiers.solver.passes import curvature_pass
from cliplab.classifiers.solver.prepared import Prepared

LARGEST = 1500  # rows of the Hessian: 18 MB
HALVINGS = 30


def newton_cost(problem: Prepared) -> float:
    """Multiplications of one step."""
    size = problem.n_classes * (problem.z.shape[1] + 1)
    return len(problem.z) * size**2 + size**3 / 6


def newton_step(
    problem: Prepared, point: torch.Tensor, known: Certificate, strength: float
) -> tuple[torch.Tensor, Certificate, int]:
    """One damped step from a point (R + 1, C): the new point, what is proven of it, and passes.

    The intercept is free up to a constant; its mean is held by a term that leaves f as it is.
    """
    height, n_classes = point.shape
    hessian = curvature_pass(problem, point)
    corner = hessian.view(n_classes, height, n_classes, height)
    corner[:, -1, :, -1] += float(problem.counts.sum()) / n_classes**2
    diagonal = hessian.diagonal().view(n_classes, height)
    diagonal[:, :-1] += strength
    gradient = known.gradient.T.flatten()
    tiny = 1e-15 * float(hessian.diagonal().max())
    factor, fault = torch.linalg.cholesky_ex(hessian)
    while int(fault):
        tiny *= 10
        hessian.diagonal().add_(tiny)
        factor, fault = torch.linalg.cholesky_ex(hessian)
    move = -torch.cholesky_solve(gradient[:, None], factor)[:, 0]
    slope = float(move @ gradient)
    move = move.view(n_classes, height).T
    length = 1.0
    for halving in range(HALVINGS):
        later = point + length * move
        found = certify(problem, later, strength)
        if found.value <= known.value + 1e-4 * length * slope + known.rounding:
            return later, found, halving + 2
        length /= 2
    return point, known, HALVINGS + 1
