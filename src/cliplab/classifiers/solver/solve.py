"""Solving for one or several λ until the gap is proven to be small enough."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import torch

from cliplab.classifiers.solver.certificate import Certificate, certify
from cliplab.classifiers.solver.descent import Descent, Landscape, Sample, descend
from cliplab.classifiers.solver.newton import LARGEST, newton_cost, newton_step
from cliplab.classifiers.solver.passes import Value, balance_pass, loss_pass
from cliplab.classifiers.solver.prepared import Prepared

NOISE = {torch.float32: 2e-7, torch.float64: 1e-14}
CAUTION = 0.7  # the estimate is to be this much below the gap before it is put to the proof
A_PASS, A_MULTIPLICATION = 5e-4, 4e-11  # seconds, roughly; they only decide when Newton takes over
NEWTON_STEPS = 12
BALANCINGS = 3
# Probabilities err by about the root of the gap: where a fine one is asked for, a finer is tried.
FINE, FINER, FINER_STEPS = 1e-6, 1e-3, 20
KL = 20.0  # what mixing costs the bound for each picture, roughly


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The optimum for one λ, as near as is proven."""

    weights: np.ndarray  # (F, C) float64, rows add up to 0
    intercept: np.ndarray  # (C,) float64, mean 0, of the features as given
    value: float  # f there
    gap: float  # (f - min f) / min f is at most this
    converged: bool  # the gap is the one asked for
    steps: int
    evaluations: int  # passes over the pictures
    seconds: float


class Start(NamedTuple):
    """Where to begin: weights (F, C) and intercept (C,) of the features as given."""

    weights: np.ndarray
    intercept: np.ndarray


class _Kind(Enum):
    FAST = "in the features' dtype, several at once"
    EXACT = "in float64"


class _Ask(NamedTuple):
    kind: _Kind
    point: torch.Tensor  # (R + 1, C)


def solve(
    problem: Prepared,
    strengths: Sequence[float],
    tol: float,
    *,
    starts: Sequence[Start | None] | None = None,
    max_iter: int = 1000,
) -> list[Solution]:
    """Minimise for each λ until the relative gap to the optimum is proven to be at most `tol`.

    Several λ are solved side by side, one pass over the pictures serving all of them.

    Parameters
    ----------
    strengths
        λ, above 0.
    tol
        Relative gap.
    starts
        Where to begin for each λ; None: at zero weights.
    max_iter
        Steps for each λ at most; then the solution says that it did not converge.
    """
    starts = starts or [None] * len(strengths)
    begun = time.perf_counter()
    running = {
        j: _Solving(problem, strength, tol, max_iter) for j, strength in enumerate(strengths)
    }
    asking = {j: one.run(_point(problem, starts[j])) for j, one in running.items()}
    asked = {j: next(steps) for j, steps in asking.items()}
    found: dict[int, Solution] = {}
    while asked:
        for j, value in _answer(problem, asked, strengths):
            running[j].evaluations += 1
            try:
                asked[j] = asking[j].send(value)
            except StopIteration as end:
                del asked[j]
                point, proof = end.value
                seconds = time.perf_counter() - begun
                found[j] = _solution(problem, running[j], point, proof, seconds)
    return [found[j] for j in range(len(strengths))]


def _answer(
    problem: Prepared, asked: dict[int, _Ask], strengths: Sequence[float]
) -> list[tuple[int, Any]]:
    """Answer what is asked; all that can be is done in one pass."""
    fast = [j for j, ask in asked.items() if ask.kind is _Kind.FAST]
    if fast:
        values = loss_pass(problem, torch.stack([asked[j].point for j in fast]))
        return list(zip(fast, values, strict=True))
    j, ask = next(iter(asked.items()))
    return [(j, certify(problem, ask.point, strengths[j]))]


def _point(problem: Prepared, start: Start | None) -> torch.Tensor:
    """(R + 1, C) of a start; without one, zero weights and each class's share."""
    shape = (problem.z.shape[1] + 1, problem.n_classes)
    point = torch.zeros(shape, dtype=torch.float64, device=problem.device)
    if start is None:
        point[-1] = (problem.counts / problem.counts.sum()).log()
        return point
    weights, intercept = (torch.as_tensor(a, device=problem.device).double() for a in start)
    point[:-1] = problem.basis.T @ weights
    point[-1] = intercept + problem.mean @ weights
    return point


class _Solving:
    """One λ on its way."""

    def __init__(self, problem: Prepared, strength: float, tol: float, max_iter: int) -> None:
        self.problem, self.strength, self.tol, self.max_iter = problem, strength, tol, max_iter
        self.steps = self.evaluations = 0
        self.kind = _Kind.FAST
        self.takeover = _takeover(problem)

    def run(self, point: torch.Tensor) -> Generator[_Ask, Any, tuple[torch.Tensor, Certificate]]:
        """Reach the gap; where it is a fine one, go on for the sake of the probabilities."""
        point, proof = yield from self._reach(point, None, self.tol, self.max_iter)
        if self.tol <= FINE and proof.gap <= self.tol:
            limit = min(self.max_iter, 2 * self.steps + FINER_STEPS)
            later, found = yield from self._reach(point, proof, FINER * self.tol, limit)
            if found.gap < proof.gap:
                point, proof = later, found
        return point, proof

    def _reach(
        self, point: torch.Tensor, proof: Certificate | None, tol: float, limit: int
    ) -> Generator[_Ask, Any, tuple[torch.Tensor, Certificate]]:
        """Descend, put to the proof, and go on more finely until it holds."""
        goal, sample = CAUTION * tol, None if proof is None else _seen(proof)
        while True:
            allowed = min(limit, self.takeover) - self.steps
            end = yield from self._descend(point, sample, goal, allowed)
            self.steps += end.steps
            point, proof = yield from self._proof(self._balanced(end, tol), tol)
            if proof.gap <= tol or self.steps >= limit:
                return point, proof
            if self.steps >= self.takeover or (end.stalled and self.kind is _Kind.EXACT):
                return self._newton(point, proof, tol, limit)
            sample = _seen(proof)
            landscape = self._landscape()
            excess = landscape.excess(sample) / landscape.worth(sample.value)
            if end.stalled or excess > 2 * goal:  # float32 does not see the slope that there is
                self.kind = _Kind.EXACT
            goal = min(goal, excess) / 3

    def _landscape(self) -> Landscape:
        dtype = self.problem.z.dtype if self.kind is _Kind.FAST else torch.float64
        counts = self.problem.counts
        total, nothing = float(counts.sum()), -float((counts * (counts / counts.sum()).log()).sum())
        return Landscape(self.problem.scatter, self.strength, total, NOISE[dtype], nothing)

    def _descend(
        self, point: torch.Tensor, sample: Sample | None, goal: float, limit: int
    ) -> Generator[_Ask, Any, Descent]:
        """Run L-BFGS, adding the penalty to what the passes say."""
        steps = descend(self._landscape(), point, sample, goal, limit)
        try:
            at = next(steps)
            while True:
                answer = yield _Ask(self.kind, at)
                at = steps.send(self._sample(at, answer))
        except StopIteration as end:
            found: Descent = end.value
            return found

    def _sample(self, point: torch.Tensor, answer: Value | Certificate) -> Sample:
        if isinstance(answer, Certificate):
            return _seen(answer)
        penalty = 0.5 * self.strength * float(point[:-1].square().sum())
        gradient = answer.gradient.clone()
        gradient[:-1] += self.strength * point[:-1]
        return Sample(answer.loss + penalty, gradient, answer.spread)

    def _balanced(self, end: Descent, tol: float) -> torch.Tensor:
        """Point with the intercept that is best for its weights, as far as the dtype tells."""
        balance = end.sample.gradient[-1]
        mixed = float((balance / (balance + self.problem.counts)).max())
        cost = KL * mixed * float(self.problem.counts.sum())
        if self.kind is _Kind.EXACT or cost < 0.1 * tol * end.sample.value:
            return end.point
        self.evaluations += 1
        return _with_step(end.point, *balance_pass(self.problem, end.point), ridge=1e-6)

    def _proof(
        self, point: torch.Tensor, tol: float
    ) -> Generator[_Ask, Any, tuple[torch.Tensor, Certificate]]:
        """Certify; where only the intercept stands in the way, mend it and certify again."""
        proof: Certificate = yield _Ask(_Kind.EXACT, point)
        for _ in range(BALANCINGS):
            slope = float(proof.gradient[:-1].square().sum()) / (2 * self.strength)
            if proof.gap <= tol or slope > tol * proof.value:
                break
            later = _with_step(point, proof.exact.balance, proof.exact.coupling, ridge=1e-13)
            found: Certificate = yield _Ask(_Kind.EXACT, later)
            if not found.gap < proof.gap:
                break
            point, proof = later, found
        return point, proof

    def _newton(
        self, point: torch.Tensor, proof: Certificate, tol: float, limit: int
    ) -> tuple[torch.Tensor, Certificate]:
        """Newton's method to the end, where the Hessian is small enough."""
        if self.problem.n_classes * len(point) > LARGEST:
            return point, proof
        idle = 0
        while proof.gap > tol and self.steps < limit and idle < 3:
            point, later, passes = newton_step(self.problem, point, proof, self.strength)
            lower = later.value < proof.value - later.rounding
            idle = 0 if lower or later.gap < 0.9 * proof.gap else idle + 1
            self.evaluations += passes
            self.steps += 1
            proof = later
        return point, proof


def _seen(proof: Certificate) -> Sample:
    return Sample(proof.value, proof.gradient, proof.exact.spread)


def _takeover(problem: Prepared) -> int:
    """Count the steps of L-BFGS that cost as much as Newton's method from there would."""
    height = problem.z.shape[1] + 1
    if height * problem.n_classes > LARGEST:
        return 2**31
    one = A_PASS + 2 * len(problem.z) * height * problem.n_classes * A_MULTIPLICATION
    whole = NEWTON_STEPS * (A_PASS + newton_cost(problem) * A_MULTIPLICATION)
    return int(whole / one)


def _with_step(
    point: torch.Tensor, balance: torch.Tensor, coupling: torch.Tensor, ridge: float
) -> torch.Tensor:
    """Point after a Newton step in the intercept alone, of at most 1/2 a class."""
    held = coupling + coupling.diagonal().mean() / len(balance)  # the constant, which is free
    held.diagonal().add_(ridge * (coupling.diagonal().abs() + coupling.diagonal().abs().mean()))
    move = torch.linalg.lstsq(held.cpu(), balance[:, None].cpu()).solution[:, 0]
    later = point.clone()
    later[-1] -= move.clamp(-0.5, 0.5).to(point.device)
    return later


def _solution(
    problem: Prepared, one: _Solving, point: torch.Tensor, proof: Certificate, seconds: float
) -> Solution:
    """Weights and intercept of the features as given; the part that no softmax sees taken off."""
    weights = problem.basis @ point[:-1]
    intercept = point[-1] - problem.mean @ weights
    weights = weights - weights.mean(dim=1, keepdim=True)
    intercept = intercept - intercept.mean()
    return Solution(
        weights.cpu().numpy(),
        intercept.cpu().numpy(),
        proof.value,
        max(proof.gap, 0.0),
        proof.gap <= one.tol,
        one.steps,
        one.evaluations,
        seconds,
    )
