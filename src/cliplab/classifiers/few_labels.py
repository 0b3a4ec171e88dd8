"""The probe's C where labels are few: on a grid in the features' own scale, by cross-validation.

A fifth held out of four pictures a class tells next to nothing, and a grid over twelve decades is
mostly idle. So, with fewer than 25 pictures a class, C is one of six multiples of 1 / spread, the
spread being the mean squared distance of the features from their mean; each is fitted in four folds
of the very pictures that may be learned from (raised there, since a fold has fewer of them), and
the most accurate out of fold is taken (of equals the one of lower loss). One picture a class leaves
nothing to try it on: C is 100 / spread. No picture beyond the draw is looked at, where published
few-shot results often tuned on a validation set larger than the shots (Silva-Rodríguez et al. 2024,
"A Closer Look at the Few-Shot Adaptation of Large Vision-Language Models").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from cliplab.classifiers import linear_probe
from cliplab.classifiers.estimator import LinearProbe
from cliplab.classifiers.family import Problem, inputs
from cliplab.classifiers.trials import Trial, Trials, choose, spread, trials
from cliplab.nouns import Embeddings

RELATIVE_CS = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)  # over the features' spread
RELATIVE_C_WITHOUT_SEARCH = 100.0


class ChosenProbe(NamedTuple):
    """A C, and what probes with it say of training pictures that they were not fitted on."""

    c: float
    how: str
    trace: Sequence[Mapping[str, Any]]
    tried: Trials
    scores: np.ndarray | None  # (n, C) log-probabilities of `tried.held()`; None: none set aside


def choose_probe(problem: Problem, train: Embeddings) -> ChosenProbe:
    """Choose C: as `linear_probe` does where there are pictures enough, else in folds."""
    tried = trials(problem, train)
    if not tried.few:
        probe = linear_probe.fit(problem)
        c, how = probe.settings["C"], probe.settings["C_chosen"]
        part = tried.parts[0]
        return ChosenProbe(c, how, probe.trace, tried, _refitted(problem, part, c))
    if not tried.parts:
        given = problem.config.c
        c = given or RELATIVE_C_WITHOUT_SEARCH / spread(inputs(train, problem.config))
        return ChosenProbe(c, "given" if given else tried.how, [], tried, None)
    unit = spread(inputs(train, problem.config))
    given = problem.config.c
    grid = [relative / unit for relative in RELATIVE_CS] if given is None else [given]
    found = choose(tried, "C", grid, lambda part: _said(problem, part))
    how = tried.how if given is None else "given"
    return ChosenProbe(found.setting, how, found.trace, tried, found.scores)


def settled(problem: Problem, names: Collection[str]) -> Problem:
    """Give the problem with the C chosen that its probes would share, so that it is chosen once.

    With pictures enough, or a C that is given, or no probe among the classifiers, it is as it was.
    """
    train = problem.train
    if not {"linear_probe", "mixed"} & set(names) or train is None or problem.config.c is not None:
        return problem
    if not trials(problem, train).few:
        return problem
    c = choose_probe(problem, train).c
    return replace(problem, config=replace(problem.config, c=c))


def _refitted(problem: Problem, part: Trial, c: float) -> np.ndarray:
    """Log-probabilities of the pictures set aside, by a probe with that C on the others."""
    alone = replace(problem, train=part.kept, validation=None, config=replace(problem.config, c=c))
    return linear_probe.fit(alone).predict(part.held).scores


def _said(problem: Problem, part: Trial) -> Callable[[float], np.ndarray]:
    """C → log-probabilities of the pictures set aside; -inf where a class has no picture at all."""
    kept, held = (inputs(side, problem.config) for side in part)
    whole = len(kept) + len(held)  # C weighs the sum of the losses: of fewer, it must be more

    def scores(c: float) -> np.ndarray:
        probe = LinearProbe(C=c * whole / len(kept)).fit(kept, part.kept.labels)
        found = np.full((len(held), len(problem.class_names)), -np.inf)
        found[:, probe.classes_] = probe.predict_log_proba(held)
        return found

    return scores
