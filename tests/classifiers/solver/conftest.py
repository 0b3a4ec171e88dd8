"""Problems of many shapes, and scikit-learn's answer to them."""

from __future__ import annotations

import functools
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression


class Case(NamedTuple):
    """Features on the unit sphere around a common mean, as CLIP's are."""

    x: np.ndarray  # (N, F) float64
    y: np.ndarray  # (N,) int64, every class there


def make_case(n: int, width: int, n_classes: int, kind: str = "", seed: int = 0) -> Case:
    chance = np.random.default_rng(seed)
    share = (1.0 + np.arange(n_classes)) ** (-1.2 if kind == "unbalanced" else 0.0)
    y = chance.choice(n_classes, n, p=share / share.sum())
    y[:n_classes] = np.arange(n_classes)
    x = 0.7 * chance.normal(size=(n_classes, width))[y] + chance.normal(size=(n, width)) + 2
    if kind == "duplicated":
        x[:, 1], x[:, 2] = x[:, 0], 3 * x[:, 0]
    if kind == "constant":
        x[:, 0], x[:, 3] = 5.0, 0.0
    return Case(x / np.linalg.norm(x, axis=1, keepdims=True), y)


def objective(c: float, weights: np.ndarray, intercept: np.ndarray, case: Case) -> float:
    """scikit-learn's objective of `coef_` and `intercept_`, two classes included."""
    logits = case.x @ weights.T + intercept
    if len(weights) == 1:
        logits = np.hstack([np.zeros_like(logits), logits])
    own = log_softmax(logits, axis=1)[np.arange(len(case.y)), case.y]
    return float(-c * own.sum() + 0.5 * np.square(weights).sum())


@functools.cache
def reference(arguments: tuple, c: float) -> LogisticRegression:
    """scikit-learn's answer with the gradient's entries at 1e-10."""
    case = make_case(*arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(C=c, tol=1e-10, max_iter=3000).fit(case.x, case.y)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return np.dtype(request.param)
