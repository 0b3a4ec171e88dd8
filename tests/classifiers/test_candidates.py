from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cliplab.classifiers.candidates import fit
from cliplab.classifiers.family import classifier, classifier_names, take
from cliplab.metrics.scores import score
from cliplab.runtime.errors import DataError

LEARNERS = [name for name in classifier_names() if "train" in classifier(name).NEEDS]


def without(embeddings, *labels):
    return take(embeddings, np.flatnonzero(~np.isin(embeddings.labels, labels)))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_class_without_training_pictures_is_no_candidate(name, problem, clouds):
    given = problem(train=without(clouds(seed=1), 1), may_lack_training=True)
    fitted = fit(name, given)
    test = clouds(seed=2)
    found = fitted.predict(test)
    assert found.class_names == given.class_names
    assert found.scores.shape == (len(test), 4)
    assert np.isneginf(found.scores[:, 1]).all()
    rest = np.exp(found.scores[:, [0, 2, 3]].astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(rest, 1, atol=1e-5)
    assert fitted.settings["untrained_classes"] == ["bee"]
    scores = score(found)
    assert [row.n for row in scores.per_class] == [30, 30, 30, 30]  # its pictures stay counted
    assert [row.correct > 25 for row in scores.per_class] == [True, False, True, True]
    assert scores.per_class[1].accuracy == 0
    assert scores.metrics["top1"].value <= 0.75


@pytest.mark.parametrize("name", LEARNERS)
def test_the_others_are_told_apart_as_if_it_were_not_there(name, problem, clouds):
    train, test = without(clouds(seed=1), 1), clouds(seed=2)
    fitted = fit(name, problem(train=train, may_lack_training=True))
    names = ("apple", "cup", "dog")
    new = np.array([0, -1, 1, 2])
    alone = replace(train, labels=new[train.labels], class_names=names)
    vectors = problem().class_vectors[[0, 2, 3]]
    reference = fit(name, problem(train=alone, class_names=names, class_vectors=vectors))
    np.testing.assert_array_equal(
        fitted.predict(test).scores[:, [0, 2, 3]], reference.predict(test).scores
    )
    assert len(fitted.trace) == len(reference.trace)


def test_two_classes_are_enough_and_validation_counts(problem, clouds):
    train = without(clouds(seed=1), 0, 1)
    fitted = fit("linear_probe", problem(train=train, may_lack_training=True))
    assert fitted.settings["untrained_classes"] == ["apple", "bee"]
    validation = without(clouds(seed=3), 1, 2, 3)
    given = problem(train=train, validation=validation, may_lack_training=True)
    assert fit("linear_probe", given).settings["untrained_classes"] == ["bee"]
    with pytest.raises(DataError, match="1 of 4 classes have training pictures"):
        fit("linear_probe", problem(train=without(train, 2), may_lack_training=True))


def test_what_must_not_be_missing_is_an_error_and_what_is_whole_is_as_before(problem, clouds):
    with pytest.raises(DataError, match=r"1 of 4 classes have no training picture .*'bee'"):
        fit("linear_probe", problem(train=without(clouds(seed=1), 1)))
    whole = fit("linear_probe", problem(may_lack_training=True))
    assert "untrained_classes" not in whole.settings
    zero_shot = fit("zero_shot", problem(train=None, may_lack_training=True))
    assert np.isfinite(zero_shot.predict(clouds(seed=2)).scores).all()


def test_the_probe_is_saved_over_the_classes_that_it_knows(problem, clouds, tmp_path):
    from cliplab.classifiers import linear_probe

    fitted = fit("linear_probe", problem(train=without(clouds(seed=1), 1), may_lack_training=True))
    fitted.save(tmp_path)
    loaded = linear_probe.load(tmp_path)
    assert loaded.class_names == ("apple", "cup", "dog")
    test = clouds(seed=2)
    known = fitted.predict(test).scores[:, [0, 2, 3]]
    np.testing.assert_array_equal(loaded.predict(test).scores, known)
