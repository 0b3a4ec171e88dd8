"""Linear probe: logistic regression on the frozen encoder's features, C chosen on validation.

The protocols are those of `protocols.py`; the default's grid and search are those of CLIP's paper
(Radford et al. 2021, appendix A.3). The objective is scikit-learn's, whose C weighs the *sum* of
the losses; each fit is proven to be near its optimum.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cliplab.classifiers.family import (
    ProbeConfig,
    Problem,
    inputs,
    reads_features,
    take,
    training_part,
)
from cliplab.classifiers.protocols import HELD_OUT, ProbeProtocol, probe_protocol
from cliplab.classifiers.selection import stratified_holdout
from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import locked, make_folder, write_bytes

if TYPE_CHECKING:
    from cliplab.classifiers.search import Chosen

NEEDS = frozenset({"train"})
FILE = "linear_probe.safetensors"
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
    recipe = probe_protocol(problem.config.protocol)
    with ExitStack() as until_fitted:
        chosen: Chosen | float = problem.config.c or C_WITHOUT_SEARCH
        how = "given"
        if problem.config.c is None:
            chosen, how = _choose(problem, train, recipe, until_fitted)
        return _fitted(problem, train, recipe, chosen, how)


def _fitted(
    problem: Problem, train: Embeddings, recipe: ProbeProtocol, chosen: Chosen | float, how: str
) -> FittedProbe:
    """Fit on everything at the C that was chosen, beginning at the probe of the search."""
    from cliplab.classifiers.estimator import few_threads_if_small, penalty, solver_device
    from cliplab.classifiers.solver.prepared import prepare
    from cliplab.classifiers.solver.solve import solve

    parts = [train] if problem.validation is None else [train, problem.validation]
    classes, labels = np.unique(np.concatenate([p.labels for p in parts]), return_inverse=True)
    c, trace, start = (chosen, [], None) if isinstance(chosen, float) else chosen[:3]
    if not isinstance(chosen, float) and len(chosen.classes) != len(classes):
        start = None  # validation pictures bring classes of their own
    read, begun = [inputs(part, problem.config) for part in parts], time.perf_counter()
    with few_threads_if_small(sum(part.size for part in read) * len(classes)):
        ready = prepare(read, labels, len(classes), device=solver_device(problem.device))
        strengths = [penalty(c, len(classes))]
        found = solve(ready, strengths, recipe.final_gap, starts=[start])[0]
    settings = {
        "C": c,
        "lambda": 1 / c,
        "C_chosen": how,
        "protocol": problem.config.protocol,
        "protocol_source": recipe.source,
        "features": "pre" if reads_features(train, problem.config) else "post",
        "normalize": problem.config.normalize,
        "n_train": len(labels),
        "iterations": found.steps,
        "evaluations": found.evaluations,
        "converged": found.converged,
        "tol": recipe.final_gap,
        "gap": min(found.gap, 1e300),
        "seconds": round(time.perf_counter() - begun, 3),
        "solver": "L-BFGS in the eigenbasis, to a proven gap",
    }
    weights = np.ascontiguousarray(found.weights.T)
    return FittedProbe(
        weights, found.intercept, problem.class_names, problem.config, settings, trace
    )


def _choose(
    problem: Problem, train: Embeddings, recipe: ProbeProtocol, until_fitted: ExitStack
) -> tuple[Chosen | float, str]:
    """C by the search on the validation split, or on a held-out part of the training pictures."""
    from cliplab.classifiers.search import Split, digest_of, search

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
    seen = Split(inputs(train, problem.config), train.labels)
    judging = Split(inputs(held_out, problem.config), held_out.labels)
    gap, folder = recipe.search_gap, None
    if problem.work is not None:
        folder = problem.work / digest_of(seen, judging, gap, problem.device)
        until_fitted.enter_context(_kept_until_fitted(folder))
    return search(seen, judging, gap, device=problem.device, folder=folder), how


@contextmanager
def _kept_until_fitted(folder: Path) -> Iterator[None]:
    """Hold the folder of a search; remove it when the probe is fitted, keep it when that fails."""
    with locked(folder):
        make_folder(folder)
        yield
        shutil.rmtree(folder, ignore_errors=True)  # a rest of it costs a search, no result
        with suppress(OSError):
            folder.with_name(folder.name + ".lock").unlink()
