"""What a classifier says of pictures that it was not fitted on and that are not scored.

Temperatures are fitted on it: the validation pictures, or a fifth of the training pictures where
the data set has no validation split. A classifier that learns is fitted once more without them, its
settings as they were chosen, and forgotten; what is scored is the one fitted on everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from cliplab.classifiers.candidates import fit
from cliplab.classifiers.family import Fitted, ProbeConfig, Problem, classifier, take
from cliplab.classifiers.selection import stratified_holdout
from cliplab.classifiers.trials import HELD_OUT, Trial
from cliplab.nouns import Predictions


class Unseen(NamedTuple):
    """Predictions of unseen pictures, or why there are none."""

    predictions: Predictions | None
    how: str


def held_out(name: str, fitted: Fitted, problem: Problem) -> Unseen:
    """Give what the classifier `name` says of unseen pictures.

    Parameters
    ----------
    name, fitted
        A classifier, fitted to the problem.
    problem
        Without training pictures, or with one a class, there are none to set aside.
    """
    train, validation = problem.train, problem.validation
    if train is None or not len(train):
        return Unseen(None, "no training pictures were read")
    if validation is not None and len(validation):
        part, how = Trial(train, validation), "validation split"
    else:
        kept, held = stratified_holdout(train.labels, HELD_OUT, problem.seed)
        if not len(held):
            return Unseen(None, "too few training pictures to set some aside")
        part = Trial(take(train, kept), take(train, held))
        how = f"{len(held)} training pictures held out"
    if "train" in classifier(name).NEEDS:
        config = _as_chosen(problem.config, fitted.settings)
        alone = replace(problem, train=part.kept, validation=None, config=config)
        fitted = fit(name, alone)
    return Unseen(fitted.predict(part.held), how)


def _as_chosen(config: ProbeConfig, settings: Mapping[str, Any]) -> ProbeConfig:
    """Give the configuration with every setting as it was chosen."""
    weights = settings.get("weights")
    return replace(
        config,
        c=settings.get("C", config.c),
        k=settings.get("k", config.k),
        penalty=settings.get("penalty", config.penalty),
        weights=tuple(weights.values()) if weights else config.weights,
    )
