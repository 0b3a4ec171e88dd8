"""The certificate is never smaller than the true gap, wherever it is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cliplab.classifiers.solver.certificate import certify
from cliplab.classifiers.solver.newton import newton_step
from cliplab.classifiers.solver.prepared import prepare
from cliplab.classifiers.solver.solve import solve

from .conftest import make_case


def optimum(problem, strength):
    """f at the optimum, to the last digits, by Newton's method alone."""
    shape = (problem.z.shape[1] + 1, problem.n_classes)
    point = torch.zeros(shape, dtype=torch.float64)
    point[-1] = (problem.counts / problem.counts.sum()).log()
    known = certify(problem, point, strength)
    for _ in range(60):
        point, later, _ = newton_step(problem, point, known, strength)
        done, known = later.value >= known.value * (1 - 1e-15), later
        if done:
            break
    assert known.gap < 1e-8
    return point, known


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(6, 60),
    width=st.integers(4, 30),
    n_classes=st.integers(2, 5),
    exponent=st.floats(-4, 4),
    scale=st.floats(-9, 1),
    off_balance=st.booleans(),
    weighted=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_it_is_never_smaller_than_the_true_gap(
    n, width, n_classes, exponent, scale, off_balance, weighted, seed
):
    case = make_case(n, width, n_classes, seed=seed)
    chance = np.random.default_rng(seed)
    weight = chance.uniform(0.1, 3, n) if weighted else None
    problem = prepare(case.x, case.y, n_classes, weight=weight)
    strength = 10.0**-exponent
    best, known = optimum(problem, strength)
    size = 10.0**scale * float(best[:-1].norm() + 1e-3) / best.numel() ** 0.5
    away = torch.as_tensor(chance.normal(size=tuple(best.shape))) * size
    if not off_balance:
        away[-1] = 0
    found = certify(problem, best + away, strength)
    assert found.bound <= known.value
    assert found.gap >= (found.value - known.value) / known.value


@pytest.mark.parametrize("strength", [10.0, 0.1, 1e-3])
def test_it_is_the_bound_of_strong_convexity_where_the_intercept_is_best(strength):
    case = make_case(100, 6, 3)
    problem = prepare(case.x, case.y, 3)
    point, _ = optimum(problem, strength)
    point[:-1] *= 1.01
    for _ in range(20):  # the best intercept for these weights
        known = certify(problem, point, strength)
        held = known.exact.coupling + float(problem.counts.sum()) / 9
        point[-1] -= torch.linalg.solve(held, known.exact.balance)
    known = certify(problem, point, strength)
    slope = float(known.gradient[:-1].square().sum()) / (2 * strength)
    assert known.value - known.bound == pytest.approx(slope, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("kind", ["", "unbalanced", "duplicated", "constant"])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-7])
def test_what_is_claimed_at_the_end_holds(kind, tol, dtype):
    case = make_case(200, 8, 4, kind)
    x = case.x.astype(dtype)
    problem = prepare(x, case.y, 4)
    for strength in (1e3, 1.0, 1e-3, 1e-5):
        _, known = optimum(problem, strength)
        found = solve(problem, [strength], tol)[0]
        assert found.converged
        assert (found.value - known.value) / known.value <= found.gap <= tol


def test_a_point_of_no_use_has_no_gap_to_speak_of():
    case = make_case(40, 4, 2)
    problem = prepare(case.x, case.y, 2)
    far = torch.full((5, 2), 50.0, dtype=torch.float64)
    far[:, 0] = -50
    assert certify(problem, far, 1e-3).gap == float("inf")
