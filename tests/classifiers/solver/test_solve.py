"""The optimum is scikit-learn's over many shapes, as near as is claimed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cliplab.classifiers.estimator import LinearProbe
from cliplab.classifiers.solver.prepared import prepare
from cliplab.classifiers.solver.solve import Start, solve

from .conftest import Case, make_case, objective, reference

SHAPES = {
    "binary": (200, 10, 2),
    "few-shot": (60, 100, 5),
    "unbalanced": (300, 8, 3, "unbalanced"),
    "duplicated": (300, 12, 6, "duplicated"),
    "constant": (300, 12, 6, "constant"),
}
MANY = {"60 classes": (1500, 40, 60, "unbalanced"), "345 classes": (1200, 32, 345)}
SMALL_GRID = [(name, c) for name in SHAPES for c in (1e-6, 1e-3, 0.316, 30.0, 1e3)]
LARGE_GRID = [(name, 1e6) for name in SHAPES] + [
    (name, c) for name in MANY for c in (1e-6, 1e-3, 0.316, 30.0, 1e3, 1e6)
]


def check_against_scikit_learn(arguments: tuple, c: float, dtype: np.dtype) -> None:
    case, expected = make_case(*arguments), reference(arguments, c)
    found = LinearProbe(C=c, tol=1e-6, device="cpu").fit(case.x.astype(dtype), case.y)
    assert found.converged_
    assert found.gap_ <= 1e-6
    assert found.coef_.shape == expected.coef_.shape
    best = objective(c, expected.coef_, expected.intercept_, case)
    ours = objective(c, found.coef_, found.intercept_, case)
    assert ours <= best * (1 + 1e-6)
    if ours < best * (1 - 1e-7):
        return  # scikit-learn's 3,000 iterations ended further from the optimum
    theirs, probabilities = expected.predict_proba(case.x), found.predict_proba(case.x)
    assert np.abs(probabilities - theirs).max() < 1e-4
    ranked = np.sort(theirs, axis=1)
    sure = ranked[:, -1] - ranked[:, -2] > 1e-5
    assert (probabilities.argmax(axis=1) == theirs.argmax(axis=1))[sure].all()


@pytest.mark.parametrize(("name", "c"), SMALL_GRID)
def test_the_optimum_is_scikit_learns(name, c, dtype):
    check_against_scikit_learn(SHAPES[name], c, dtype)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "c"), LARGE_GRID)
def test_the_optimum_is_scikit_learns_with_many_classes_and_weak_penalties(name, c, dtype):
    check_against_scikit_learn((SHAPES | MANY)[name], c, dtype)


def test_duplicated_features_share_their_weight():
    case = make_case(*SHAPES["duplicated"])
    found = LinearProbe(C=1.0).fit(case.x, case.y).coef_
    assert np.abs(found[:, 0] - found[:, 1]).max() < 1e-4
    assert np.abs(found[:, 2] - 3 * found[:, 0]).max() < 1e-3


def test_a_constant_feature_has_no_weight():
    case = make_case(*SHAPES["constant"])
    assert np.abs(LinearProbe(C=1.0).fit(case.x, case.y).coef_[:, 3]).max() < 1e-12


@pytest.mark.parametrize("given", ["balanced", {0: 1.0, 1: 3.0, 2: 0.5}])
def test_class_weights_are_scikit_learns(given):
    case = make_case(*SHAPES["unbalanced"])
    pictures = np.random.default_rng(1).uniform(0, 2, len(case.y))
    pictures[::7] = 0
    expected = LogisticRegression(C=3.0, class_weight=given, tol=1e-10, max_iter=3000)
    expected.fit(case.x, case.y, sample_weight=pictures)
    found = LinearProbe(C=3.0, class_weight=given).fit(case.x, case.y, sample_weight=pictures)
    theirs = expected.predict_proba(case.x)
    assert np.abs(found.predict_proba(case.x) - theirs).max() < 1e-4


def test_a_class_of_which_no_picture_counts_is_never_meant():
    case = make_case(90, 5, 3)
    found = LinearProbe(C=1.0).fit(case.x, case.y, sample_weight=(case.y != 1).astype(float))
    rest = case.y != 1
    two = LogisticRegression(C=2.0, tol=1e-10).fit(case.x[rest], case.y[rest])
    probabilities = found.predict_proba(case.x)
    assert probabilities[:, 1].max() == 0
    # a weight vector of each class costs half of what one for both does
    assert np.abs(probabilities[:, 2] - two.predict_proba(case.x)[:, 1]).max() < 1e-4


def test_several_problems_at_once_are_what_each_is_alone():
    case = make_case(*SHAPES["unbalanced"])
    problem = prepare(case.x.astype(np.float32), case.y, 3)
    strengths = [100.0, 1.0, 0.01, 1e-5]
    together = solve(problem, strengths, 1e-6)
    for strength, one in zip(strengths, together, strict=True):
        alone = solve(problem, [strength], 1e-6)[0]
        assert one.converged
        assert alone.value == pytest.approx(one.value, rel=1e-6)
        assert np.abs(alone.weights - one.weights).max() < 1e-3 * np.abs(alone.weights).max()


def test_a_start_near_the_optimum_saves_passes():
    case = make_case(400, 20, 10)
    problem = prepare(case.x, case.y, 10)
    first, last = solve(problem, [0.12, 0.08], 1e-8)
    start = Start((first.weights + last.weights) / 2, (first.intercept + last.intercept) / 2)
    cold, warm = solve(problem, [0.1], 1e-4)[0], solve(problem, [0.1], 1e-4, starts=[start])[0]
    assert warm.evaluations < cold.evaluations / 2
    assert warm.value == pytest.approx(cold.value, rel=2e-4)


def test_where_the_steps_run_out_it_says_so():
    case = make_case(*SHAPES["unbalanced"])
    found = LinearProbe(C=1e4, max_iter=2).fit(case.x, case.y)
    assert not found.converged_
    assert found.gap_ > 1e-6
    assert found.n_iter_ == 2


def test_the_same_twice_gives_the_same_bits(dtype):
    case = make_case(*SHAPES["unbalanced"])
    first, second = (LinearProbe(C=10.0).fit(case.x.astype(dtype), case.y) for _ in range(2))
    assert (first.coef_ == second.coef_).all()
    assert (first.intercept_ == second.intercept_).all()


def test_moving_and_turning_the_features_moves_nothing(dtype):
    case = make_case(200, 10, 4)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(10, 10)))[0]
    moved = Case(case.x @ turn + 2.5, case.y)
    found = [LinearProbe(C=10.0).fit(one.x.astype(dtype), one.y) for one in (case, moved)]
    first, second = (f.predict_proba(c.x) for f, c in zip(found, (case, moved), strict=True))
    assert np.abs(first - second).max() < 1e-4


@pytest.mark.parametrize("change", [{"tol": 0}, {"tol": np.nan}, {"max_iter": 0}, {"C": -1.0}])
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match=rf"{next(iter(change))} is .* such as"):
        LinearProbe(**change).fit(np.eye(4), [0, 1, 0, 1])


def test_bad_input_is_told():
    x, y = np.eye(4), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="NaN"):
        LinearProbe().fit(np.where(x == 1, np.nan, x), y)
    with pytest.raises(ValueError, match=r"one class alone.*Add pictures"):
        LinearProbe().fit(x, np.zeros(4))
    with pytest.raises(ValueError, match="one class alone"):
        LinearProbe().fit(x, y, sample_weight=[1, 0, 1, 0])
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        LinearProbe().fit(x, y, sample_weight=[1, -1, 1, 1])


@pytest.mark.parametrize("cuts", [(100,), (1, 299), (0, 150, 150, 300)])
def test_features_in_parts_are_solved_as_the_whole_is(cuts):
    case = make_case(300, 12, 6)
    x = case.x.astype(np.float32)
    whole = prepare(x, case.y, 6)
    parted = prepare(np.split(x, cuts), case.y, 6)
    assert len(parted.x) == 300
    assert all((parted.x[i : i + 7] == whole.x[i : i + 7]).all() for i in range(0, 300, 7))
    solutions = [solve(ready, [0.1, 10.0], 1e-6) for ready in (whole, parted)]
    for one, other in zip(*solutions, strict=True):
        assert (one.weights == other.weights).all()
        assert (one.intercept == other.intercept).all()
        assert one.gap == other.gap


def test_parts_of_few_pictures_are_solved_in_their_span():
    case = make_case(60, 100, 5)
    whole, parted = prepare(case.x, case.y, 5), prepare(np.split(case.x, [20]), case.y, 5)
    one, other = (solve(ready, [1.0], 1e-6)[0] for ready in (whole, parted))
    assert (one.weights == other.weights).all()


def test_rows_of_one_part_are_a_view():
    parts = np.split(np.arange(12.0).reshape(6, 2), [4])
    rows = prepare([*parts], np.array([0, 1, 0, 1, 0, 1]), 2).x
    rows[1:3][0] = 7.0
    assert parts[0][1].tolist() == [7.0, 7.0]
    assert rows[3:5].tolist() == [[6.0, 7.0], [8.0, 9.0]]
