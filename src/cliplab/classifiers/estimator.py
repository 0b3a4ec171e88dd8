"""`LinearProbe`: multinomial logistic regression, as an estimator of scikit-learn's contract."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from cliplab.runtime.devices import choose_device

_NEVER = 1e4  # how far below the others the logit of a class lies that is never meant
_WORTH_THREADS = 20_000_000  # multiplications a pass over the data, from which threads help


class LinearProbe(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on frozen features, CLIP's linear probe.

    Minimises, over weights W (F, C) and a free intercept b (C,),

        sum over pictures of cross-entropy(softmax(x W + b)) + |W|² / (2 C)

    which is scikit-learn's `LogisticRegression(C=C)`; CLIP's paper (Radford et al. 2021, appendix
    A.3) writes λ = 1 / C. Two classes are solved as scikit-learn solves them, by one weight vector.
    It stops when the objective is *proven* to be within `tol` of the optimum's, relatively; a small
    gradient, scikit-learn's rule, says little where C is large. float32 features are worked on in
    float32, and in float64 where that cannot show the gap; the proof is always in float64.

    Parameters
    ----------
    C : float, default=0.316
        Inverse of the strength of the L2 penalty; the value of CLIP's README.
    tol : float, default=1e-6
        Relative gap to the optimum at which to stop. 1e-4 is enough to compare accuracies. From
        1e-6 down it goes on to a thousandth of it where that takes no more than as many steps
        again, since probabilities are off by about the root of the gap.
    max_iter : int, default=1000
        Steps at most, as in the paper.
    class_weight : dict, "balanced" or None, default=None
        As in scikit-learn.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", or "auto": CUDA where there is one. Apple's GPU has no float64 and
        is not used.

    Attributes
    ----------
    classes_ : ndarray (C,)
    coef_ : ndarray (C, F) float64, or (1, F) for two classes
    intercept_ : ndarray (C,) float64, or (1,) for two classes
    gap_ : float
        (objective - optimum) / optimum is at most this, rounding included.
    converged_ : bool
        Whether `gap_` is at most `tol`; no warning is given where it is not.
    n_iter_ : int
    n_evaluations_ : int
        Passes over the features.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = LinearProbe(C=0.1).fit(X[:1500], y[:1500])
    >>> probe.score(X[1500:], y[1500:]) > 0.9 and probe.gap_ <= 1e-6
    True
    """

    def __init__(
        self,
        C: float = 0.316,  # noqa: N803 - scikit-learn's name
        *,
        tol: float = 1e-6,
        max_iter: int = 1000,
        class_weight: Any = None,
        device: str = "auto",
    ) -> None:
        self.C = C
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.device = device

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearProbe:  # noqa: N803
        """Fit weights and intercept.

        Parameters
        ----------
        X : array (N, F)
            Features, float32 or float64, finite.
        y : array (N,)
            Labels of at least two classes.
        sample_weight : array (N,), optional
            How much each picture counts, 0 or above.

        Raises
        ------
        ValueError
            A C, `tol` or `max_iter` that cannot be, features that are not finite, one class alone.
        """
        from cliplab.classifiers.solver.prepared import prepare
        from cliplab.classifiers.solver.solve import solve

        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])  # noqa: N806
        self._check_settings()
        with warnings.catch_warnings():
            # few pictures of many classes are labels all the same
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        weight = self._weights(X, labels, sample_weight)
        counted, kept, labels = _counted(X, labels, weight, self.classes_)
        binary = len(kept) == 2
        with few_threads_if_small(X.size * len(kept)):
            problem = prepare(
                X if weight is None else X[counted],
                labels,
                len(kept),
                weight=None if weight is None else weight[counted],
                device=solver_device(self.device),
            )
            strength = penalty(self.C, len(self.classes_))
            found = solve(problem, [strength], self.tol, max_iter=self.max_iter)[0]
        self._take(found.weights.T, found.intercept, kept, binary)
        self.n_iter_, self.n_evaluations_ = max(found.steps, 1), found.evaluations
        self.gap_, self.converged_ = found.gap, found.converged
        return self

    def _check_settings(self) -> None:
        if not (np.isreal(self.C) and 0 < self.C < np.inf):
            raise ValueError(f"C is {self.C!r}; it must be a positive number, such as 0.316.")
        if not (np.isreal(self.tol) and 0 < self.tol < np.inf):
            raise ValueError(
                f"tol is {self.tol!r}; it must be a positive number, such as 1e-6: the relative "
                "gap to the optimum at which to stop."
            )
        if not (np.isreal(self.max_iter) and self.max_iter >= 1):
            raise ValueError(f"max_iter is {self.max_iter!r}; it must be 1 or more, such as 1000.")

    def _weights(self, X: np.ndarray, labels: np.ndarray, given: Any) -> np.ndarray | None:  # noqa: N803
        """(N,) float64 of pictures and classes together; None: all 1."""
        if given is None and self.class_weight is None:
            return None
        weight: np.ndarray = _check_sample_weight(
            given, X, dtype=np.float64, ensure_non_negative=True
        ).copy()
        if self.class_weight is not None:
            places = np.arange(len(self.classes_))
            names = self.classes_
            balanced = isinstance(self.class_weight, str)
            classes, y = (places, labels) if balanced else (names, names[labels])
            arguments = {"classes": classes, "y": y}
            if balanced and given is not None:
                arguments["sample_weight"] = weight.copy()
            weight *= compute_class_weight(self.class_weight, **arguments)[labels]
        return weight

    def _take(
        self, weights: np.ndarray, intercept: np.ndarray, kept: np.ndarray, binary: bool
    ) -> None:
        """Keep what was found in scikit-learn's shapes."""
        if binary and len(self.classes_) == 2:
            self.coef_ = weights[1:] - weights[:1]
            self.intercept_ = intercept[1:] - intercept[:1]
            return
        # A class of which no picture counts has no probability; its intercept stands for -inf.
        self.coef_ = np.zeros((len(self.classes_), weights.shape[1]))
        self.intercept_ = np.full(len(self.classes_), intercept.min() - _NEVER)
        self.coef_[kept], self.intercept_[kept] = weights, intercept

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


def _counted(
    X: np.ndarray,  # noqa: N803
    labels: np.ndarray,
    weight: np.ndarray | None,
    classes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that count, the classes that they have, and their labels among these."""
    counted = np.arange(len(X)) if weight is None else np.flatnonzero(weight > 0)
    kept, among = np.unique(labels[counted], return_inverse=True)
    if len(kept) < 2:
        only = ", ".join(repr(classes[k]) for k in kept.tolist()) or "none"
        raise ValueError(
            f"The pictures that count are of one class alone ({only}); a probe tells classes "
            "apart. Add pictures of at least one other class."
        )
    return counted, kept, among


def penalty(c: float, n_classes: int) -> float:
    """λ of the solver, which has a weight vector a class.

    scikit-learn has one vector w for two classes; it is -w/2 and w/2, of half the squared length.
    """
    return (2 if n_classes == 2 else 1) / c


def solver_device(name: str) -> str:
    """Device that the solver uses: the one chosen, but the CPU for one without float64."""
    device = choose_device(name)
    return "cpu" if device.startswith("mps") else device


@contextmanager
def few_threads_if_small(multiplications: int) -> Iterator[None]:
    """One thread for a small problem, where waiting for each other costs more than it brings."""
    import torch

    before = torch.get_num_threads()
    if multiplications < _WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
