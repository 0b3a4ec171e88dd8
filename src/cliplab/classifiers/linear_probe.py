"""Linear probe: logistic regression on the frozen encoder's features, C chosen on validation.

The grid and the search are those of CLIP's paper (Radford et al. 2021, appendix A.3): λ = 1 / C
from 1e-6 to 1e6 in eight steps a decade, seven starts two decades apart, then halving around the
peak; of equal accuracies the one of lower loss. The objective is scikit-learn's, whose C weighs the
*sum* of the losses.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.classifiers.estimator import LinearProbe
from cliplab.classifiers.family import (
    ProbeConfig,
    Problem,
    inputs,
    join,
    reads_features,
    take,
    training_part,
)
from cliplab.classifiers.selection import halving_search, stratified_holdout
from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import progress
from cliplab.runtime.storage import write_bytes

NEEDS = frozenset({"train"})
FILE = "linear_probe.safetensors"
STRONGEST, STEPS_A_DECADE, DECADES = 6, 8, 12  # λ = 1e6 down to 1e-6
STARTS = tuple(range(0, DECADES * STEPS_A_DECADE + 1, 2 * STEPS_A_DECADE))
SPANS = (8, 4, 2, 1)
SEARCH_TOL, FINAL_TOL = 1e-4, 1e-6  # of the gradient: scikit-learn's own stops early at weak C
HELD_OUT = 0.2  # of each class of the training pictures, where there is no validation split
C_WITHOUT_SEARCH = 0.316  # where too few pictures are left to choose on: CLIP's README's value


@dataclass(frozen=True, slots=True)
class FittedProbe:
    """A probe over all classes of a task."""

    weights: np.ndarray  # (C, F) float64
    intercept: np.ndarray  # (C,) float64
    class_names: tuple[str, ...]  # C names
    config: ProbeConfig
    settings: Mapping[str, Any]
    trace: Sequence[Mapping[str, Any]] = ()

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-probabilities of the classes."""
        from scipy.special import log_softmax

        read = inputs(embeddings, self.config)
        if read.shape[1] != self.weights.shape[1]:
            raise DataError(
                f"The probe reads {self.weights.shape[1]} features, these pictures have "
                f"{read.shape[1]}: it was fitted with another encoder."
            )
        logits = read.astype(np.float64) @ self.weights.T + self.intercept
        scores = log_softmax(logits, axis=1).astype(np.float32)
        return Predictions(embeddings.ids, embeddings.labels, scores, self.class_names)

    def save(self, folder: Path) -> None:
        """Write `linear_probe.safetensors`; `load` reads it."""
        import json

        from safetensors.numpy import save

        about = {
            "format_version": 1,
            "class_names": list(self.class_names),
            "features": self.config.features,
            "normalize": self.config.normalize,
            "settings": dict(self.settings),
        }
        tensors = {"weights": self.weights, "intercept": self.intercept}
        # safetensors writes memory as it lies: scikit-learn's columns-first would come back mixed
        tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        metadata = {"cliplab": json.dumps(about, ensure_ascii=False)}
        write_bytes(folder / FILE, save(tensors, metadata=metadata))


def load(folder: Path) -> FittedProbe:
    """Read the probe that a run saved.

    Raises
    ------
    DataError
        The run has none, or it is damaged.
    """
    import json

    from safetensors import SafetensorError, safe_open

    from cliplab.runtime.errors import FormatTooNew

    path = folder / FILE
    if not path.is_file():
        raise DataError(
            f"{folder} holds no fitted probe ({FILE}). Run `cliplab evaluate DATASET` with "
            "--classifier linear_probe, and name that run."
        )
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads(file.metadata()["cliplab"])
            weights, intercept = file.get_tensor("weights"), file.get_tensor("intercept")
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}); evaluate again to fit it anew.") from error
    if about["format_version"] > 1:
        raise FormatTooNew(path, about["format_version"], 1)
    config = ProbeConfig(features=about["features"], normalize=about["normalize"])
    names = tuple(about["class_names"])
    return FittedProbe(weights, intercept, names, config, about["settings"])


def fit(problem: Problem) -> FittedProbe:
    """Choose C on validation pictures, then fit on all of the training and validation pictures."""
    train = training_part(problem)
    everything = join(train, problem.validation)
    trace: list[dict[str, Any]] = []
    c, chosen = problem.config.c, "given"
    if c is None:
        c, chosen = _choose(problem, train, trace)
    probe, seconds = _fitted(everything, c, problem.config, FINAL_TOL)
    weights, intercept = _over_all_classes(probe)
    settings = {
        "C": c,
        "lambda": 1 / c,
        "C_chosen": chosen,
        "features": "pre" if reads_features(train, problem.config) else "post",
        "normalize": problem.config.normalize,
        "n_train": len(everything),
        "iterations": probe.n_iter_,
        "converged": probe.converged_,
        "tol": FINAL_TOL,
        "seconds": round(seconds, 3),
        "solver": "scikit-learn L-BFGS",
    }
    return FittedProbe(weights, intercept, problem.class_names, problem.config, settings, trace)


def _choose(problem: Problem, train: Embeddings, trace: list[dict[str, Any]]) -> tuple[float, str]:
    """C by the search on the validation split, or on a held-out part of the training pictures."""
    held_out = problem.validation
    how = "validation split"
    if held_out is None or not len(held_out):
        kept, held = stratified_holdout(train.labels, HELD_OUT, problem.seed)
        if not len(held) or len(np.unique(train.labels[kept])) < 2:
            return C_WITHOUT_SEARCH, "too few training pictures to choose on"
        train, held_out = take(train, kept), take(train, held)
        how = f"{len(held)} training pictures held out"
    if len(np.unique(train.labels)) < 2:
        return C_WITHOUT_SEARCH, "too few training pictures to choose on"
    truth, read = held_out.labels, inputs(held_out, problem.config)
    with progress("choosing C", len(STARTS) + 2 * len(SPANS), unit="fits") as advance:

        def quality(position: int) -> tuple[float, float]:
            c = c_at(position)
            probe, seconds = _fitted(train, c, problem.config, SEARCH_TOL)
            found = float((probe.predict(read) == truth).mean())
            loss = _mean_loss(probe, read, truth)
            trace.append(
                {
                    "lambda": 1 / c,
                    "C": c,
                    "accuracy": found,
                    "loss": loss,
                    "iterations": probe.n_iter_,
                    "converged": probe.converged_,
                    "seconds": round(seconds, 3),
                }
            )
            advance(1)
            return found, -loss  # many C are equally right on few pictures: the surer one

        best = halving_search(quality, DECADES * STEPS_A_DECADE + 1, STARTS, SPANS)
    return c_at(best), how


def _mean_loss(probe: LinearProbe, read: np.ndarray, truth: np.ndarray) -> float:
    """Mean cross-entropy on pictures whose classes the probe may not all know."""
    scores = probe.predict_log_proba(read)
    place = np.searchsorted(probe.classes_, truth).clip(max=len(probe.classes_) - 1)
    known = probe.classes_[place] == truth
    own = scores[np.arange(len(truth)), place]
    return float(-own[known].mean()) if known.any() else float("inf")


def c_at(position: int) -> float:
    """C at a position of the grid: 1e-6 (the strongest penalty) at 0, 1e6 at 96."""
    return float(10.0 ** (position / STEPS_A_DECADE - STRONGEST))


def _fitted(
    train: Embeddings, c: float, config: ProbeConfig, tol: float
) -> tuple[LinearProbe, float]:
    started = time.perf_counter()
    probe = LinearProbe(C=c, tol=tol).fit(inputs(train, config), train.labels)
    return probe, time.perf_counter() - started


def _over_all_classes(probe: LinearProbe) -> tuple[np.ndarray, np.ndarray]:
    """Weights (C, F) and intercept (C,) whose softmax is the probe's, two classes included."""
    weights = np.asarray(probe.coef_, dtype=np.float64)
    intercept = np.asarray(probe.intercept_, dtype=np.float64)
    if len(weights) == 1:  # of the second class against the first
        halves = np.array([-0.5, 0.5])
        return halves[:, None] * weights, halves * intercept
    return weights, intercept
