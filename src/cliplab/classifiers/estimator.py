"""`LinearProbe`: multinomial logistic regression, as an estimator of scikit-learn's contract."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

_WORTH_THREADS = 20_000_000  # multiplications a pass over the data, from which threads help


class LinearProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on frozen features, CLIP's linear probe.

    Minimises, over weights W (F, C) and a free intercept b (C,),

        sum over pictures of cross-entropy(softmax(x W + b)) + |W|² / (2 C)

    which is scikit-learn's `LogisticRegression(C=C)`; CLIP's paper (Radford et al. 2021, appendix
    A.3) writes λ = 1 / C. Two classes are solved as scikit-learn solves them, by one weight vector.

    Parameters
    ----------
    C : float, default=0.316
        Inverse of the strength of the L2 penalty; the value of CLIP's README.
    max_iter : int, default=1000
        Iterations of L-BFGS at most, as in the paper.
    tol : float, default=1e-4
        Stop when the largest entry of the gradient of the mean loss is below.
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray (C,)
    coef_ : ndarray (C, F), or (1, F) for two classes
    intercept_ : ndarray (C,), or (1,) for two classes
    n_iter_ : int
    converged_ : bool
        False where `max_iter` ended it; no warning is given.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> LinearProbe(C=0.1).fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.9
    True
    """

    def __init__(
        self,
        C: float = 0.316,  # noqa: N803 - scikit-learn's name
        *,
        max_iter: int = 1000,
        tol: float = 1e-4,
        class_weight: Any = None,
    ) -> None:
        self.C = C
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearProbe:  # noqa: N803
        """Fit weights and intercept.

        Parameters
        ----------
        X : array (N, F)
            Features, float32 or float64.
        y : array (N,)
            Labels of at least two classes.
        sample_weight : array (N,), optional
            How much each picture counts.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])  # noqa: N806
        if not (np.isreal(self.C) and 0 < self.C < np.inf):
            raise ValueError(f"C is {self.C!r}; it must be a positive number.")
        solver = LogisticRegression(
            C=self.C, max_iter=self.max_iter, tol=self.tol, class_weight=self.class_weight
        )
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        # Features share a large mean; taking it off is exact, since the intercept is free.
        mean = _mean(X, sample_weight)
        with warnings.catch_warnings(), threadpool_limits(_blas_threads(X, y)):
            warnings.simplefilter("ignore", ConvergenceWarning)
            # few pictures of many classes are labels all the same
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            solver.fit(X - mean, y, sample_weight=sample_weight)
        self.classes_ = solver.classes_
        self.coef_, self.intercept_ = solver.coef_, solver.intercept_ - solver.coef_ @ mean
        self.n_iter_ = int(np.max(solver.n_iter_))
        self.converged_ = self.n_iter_ < self.max_iter
        return self

    def decision_function(self, X: Any) -> np.ndarray:  # noqa: N803
        """Logits (N, C); for two classes (N,), of the second against the first."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])  # noqa: N806
        logits: np.ndarray = X @ self.coef_.T + self.intercept_
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def predict_log_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Log-probabilities (N, C), columns in the order of `classes_`."""
        from scipy.special import log_softmax

        logits = self.decision_function(X)
        if logits.ndim == 1:
            logits = np.stack([np.zeros_like(logits), logits], axis=1)
        found: np.ndarray = log_softmax(logits, axis=1)
        return found

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Probabilities (N, C); rows add up to 1."""
        probabilities: np.ndarray = np.exp(self.predict_log_proba(X))
        return probabilities

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Labels (N,)."""
        logits = self.decision_function(X)
        place = (logits > 0).astype(int) if logits.ndim == 1 else logits.argmax(axis=1)
        labels: np.ndarray = self.classes_[place]
        return labels


def _blas_threads(X: np.ndarray, y: np.ndarray) -> int | None:  # noqa: N803
    """One thread for a small problem, where waiting for each other costs more than it brings."""
    return 1 if X.size * len(np.unique(y)) < _WORTH_THREADS else None


def _mean(X: np.ndarray, sample_weight: Any) -> np.ndarray:  # noqa: N803
    """(F,) mean of the pictures as often as they count, so that weights equal repetitions."""
    if sample_weight is None or np.sum(sample_weight) == 0:
        return np.asarray(X.mean(axis=0))
    return np.asarray(np.average(X, axis=0, weights=sample_weight), dtype=X.dtype)
