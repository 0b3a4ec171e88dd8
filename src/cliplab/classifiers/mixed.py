"""Zero-shot and linear probe mixed: the captions' knowledge for the labels that are missing.

With z the log-probabilities of zero-shot and of a linear probe, the mixture is

    log p = log softmax(a z_zero_shot + b z_probe)

whose ends a = 0 and b = 0 are the two themselves, class for class. It is the linear classifier with
a text term of LP++ (Huang et al. 2024, "LP++: A Surprisingly Strong Linear Probe for Few-Shot
CLIP"), with one text weight for all classes, and averages in the space of logits as WiSE-FT does in
that of weights (Wortsman et al. 2022, section 3), which for linear classifiers is the same.

The weights are means over a grid under their posterior, given training pictures that the probe was
not fitted on (in folds where labels are few): a mean instead of the best weights, since a few dozen
pictures leave many as good. Three quarters of the prior say that captions know nothing (a = 0), so
that a chance likeness is not taken for knowledge. Probes in folds learned from fewer pictures than
the one that is kept, by which b is raised.

With one picture a class the probe cannot be tried at all: nothing tells how far pictures of a class
lie apart. Then a comes from zero-shot alone, which learned from none of the pictures, and b is 1
where the odds that captions know nothing are even or better, the square of those odds where they
are worse. So zero-shot leads where it is better than chance, as in CLIP's paper, where it equals a
probe of four shots (Radford et al. 2021, figure 6). Captions that are better than chance and yet
worse than a probe of one shot are the case in which this errs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.classifiers import linear_probe, zero_shot
from cliplab.classifiers.family import Problem, take, training_part
from cliplab.classifiers.few_labels import ChosenProbe, choose_probe
from cliplab.classifiers.trials import FOLDS
from cliplab.nouns import Embeddings, Predictions

NEEDS = frozenset({"text", "train"})
TEXT_WEIGHTS = (0.0, *(10.0 ** (step / 4) for step in range(-8, 6)))  # a
PROBE_WEIGHTS = (0.0, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 6.5, 10.0)  # b
IGNORANCE = 3.0  # odds beforehand that captions know nothing, against all a > 0 together
AT_MOST = 5000  # pictures that the weights are found on
LEAST = 1e-6  # of b, so that the probe settles what zero-shot leaves equal


class Weights(NamedTuple):
    """What the log-probabilities are multiplied by."""

    zero_shot: float
    linear_probe: float


@dataclass(frozen=True, slots=True)
class Mixed:
    """Two classifiers and their weights."""

    text: zero_shot.ZeroShot
    probe: linear_probe.FittedProbe
    weights: Weights
    class_names: tuple[str, ...]  # C names
    settings: Mapping[str, Any]
    trace: Sequence[Mapping[str, Any]] = ()

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-softmax of the weighted sum of both classifiers' log-probabilities."""
        from scipy.special import log_softmax

        a, b = self.weights
        both = self.text.predict(embeddings).scores * np.float64(a)
        both += self.probe.predict(embeddings).scores * np.float64(b)
        scores = log_softmax(both, axis=1).astype(np.float32)
        return Predictions(embeddings.ids, embeddings.labels, scores, self.class_names)

    def save(self, folder: Path) -> None:
        """Write nothing: weights and C are in the record, the captions' vectors in the store."""


def fit(problem: Problem) -> Mixed:
    """Fit the probe on all training and validation pictures, and weigh it against the captions."""
    train = training_part(problem)
    text = zero_shot.fit(problem)
    chosen = choose_probe(problem, train)
    probe = linear_probe.fit(replace(problem, config=replace(problem.config, c=chosen.c)))
    if problem.config.weights is not None:
        weights, how = Weights(*problem.config.weights), "given"
    else:
        weights, how = _weigh(text, chosen, train, problem.seed)
    settings = {
        "weights": weights._asdict(),
        "weights_chosen": how,
        "C": chosen.c,
        "C_chosen": chosen.how,
        "features": probe.settings["features"],
        "normalize": problem.config.normalize,
        "n_train": len(train) + (0 if problem.validation is None else len(problem.validation)),
    }
    return Mixed(text, probe, weights, problem.class_names, settings, chosen.trace)


def _weigh(
    text: zero_shot.ZeroShot, chosen: ChosenProbe, train: Embeddings, seed: int
) -> tuple[Weights, str]:
    if chosen.scores is None:
        said = text.predict(train).scores.astype(np.float64)
        return weights_of_one_shot(said, train.labels), "by zero-shot on the training pictures"
    held, scores = chosen.tried.held(), chosen.scores
    if len(held) > AT_MOST:
        rows = np.random.default_rng(seed).permutation(len(held))[:AT_MOST]
        held, scores = take(held, rows), scores[rows]
    found = posterior_weights(text.predict(held).scores, scores, held.labels)
    if chosen.tried.few:
        shots = np.bincount(held.labels).max()
        folds = min(FOLDS, shots)
        found = found._replace(linear_probe=found.linear_probe * folds / (folds - 1))
    return found, chosen.tried.how


def posterior_weights(text: np.ndarray, probe: np.ndarray, labels: np.ndarray) -> Weights:
    """Mean of the weights over the grid, given what both say of pictures that neither learned from.

    Parameters
    ----------
    text, probe
        (n, C) log-probabilities.
    labels
        (n,) int64.
    """
    likelihood = np.array(
        [
            [_log_likelihood(a * text + b * probe, labels) for b in PROBE_WEIGHTS]
            for a in TEXT_WEIGHTS
        ]
    )
    shares = np.exp(likelihood - likelihood.max())
    shares[0] *= IGNORANCE * (len(TEXT_WEIGHTS) - 1)
    shares /= shares.sum()
    a = float(shares.sum(axis=1) @ TEXT_WEIGHTS)
    b = float(shares.sum(axis=0) @ PROBE_WEIGHTS)
    return Weights(a, max(b, LEAST))


def weights_of_one_shot(text: np.ndarray, labels: np.ndarray) -> Weights:
    """Weights where no probe could be tried: see the head of this file.

    Parameters
    ----------
    text
        (n, C) log-probabilities of zero-shot on the training pictures.
    labels
        (n,) int64.
    """
    likelihood = np.array([_log_likelihood(a * text, labels) for a in TEXT_WEIGHTS])
    shares = np.exp(likelihood - likelihood.max())
    shares[0] *= len(TEXT_WEIGHTS) - 1  # even odds beforehand
    odds = float(shares[0] / shares[1:].sum())
    return Weights(float(shares @ TEXT_WEIGHTS / shares.sum()), max(min(1.0, odds**2), LEAST))


def _log_likelihood(logits: np.ndarray, labels: np.ndarray) -> float:
    from scipy.special import logsumexp

    own = logits[np.arange(len(labels)), labels]
    return float((own - logsumexp(logits, axis=1)).sum())
