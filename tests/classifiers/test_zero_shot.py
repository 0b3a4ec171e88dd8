"""Zero-shot gives what plain PyTorch gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from cliplab.classifiers import zero_shot
from cliplab.runtime.errors import DataError, UsageError


def test_scores_are_the_log_softmax_of_scaled_cosines(problem, clouds):
    test = clouds(seed=3)
    given = problem(logit_scale=37.5, logit_bias=-2.0)
    images = torch.nn.functional.normalize(torch.tensor(test.vectors), dim=-1)
    logits = 37.5 * images @ torch.tensor(given.class_vectors).T - 2.0
    found = zero_shot.fit(given).predict(test)
    assert np.abs(found.scores - logits.log_softmax(dim=-1).numpy()).max() < 1e-4
    top = logits.topk(2, dim=-1).values
    sure = ((top[:, 0] - top[:, 1]) > 1e-5).numpy()
    assert (found.predicted == logits.argmax(dim=-1).numpy())[sure].all()
    assert (found.predicted == test.labels).mean() > 0.9


def test_the_length_of_a_vector_does_not_matter(problem, clouds):
    test = clouds(seed=3)
    longer = dataclasses.replace(test, vectors=test.vectors * 100)
    fitted = zero_shot.fit(problem())
    assert np.abs(fitted.predict(test).scores - fitted.predict(longer).scores).max() < 1e-3


def test_a_vector_that_is_not_finite_is_named(problem, clouds):
    test = clouds(seed=3)
    test.vectors[5, 0] = np.inf
    with pytest.raises(DataError, match=r"3/5.*--precision fp32"):
        zero_shot.fit(problem()).predict(test)
    broken = problem().class_vectors.copy()
    broken[2] = np.nan
    with pytest.raises(DataError, match="cup"):
        zero_shot.fit(problem(class_vectors=broken))


def test_it_wants_captions(problem):
    with pytest.raises(UsageError, match="captions"):
        zero_shot.fit(problem(class_vectors=None))
