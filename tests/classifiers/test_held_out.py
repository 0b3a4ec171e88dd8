"""Unseen pictures for temperatures: never among those fitted on, the settings as chosen."""

from __future__ import annotations

import pytest

from cliplab.classifiers import linear_probe
from cliplab.classifiers.family import classifier, classifier_names
from cliplab.classifiers.held_out import held_out


@pytest.mark.parametrize("name", classifier_names())
def test_a_fifth_of_the_training_pictures_is_told_of(problem, monkeypatch, name):
    given = problem()
    fitted = classifier(name).fit(given)
    seen = []
    real = classifier(name).fit
    monkeypatch.setattr(
        classifier(name), "fit", lambda problem: seen.append(problem) or real(problem)
    )
    found = held_out(name, fitted, given)
    assert found.how == "24 training pictures held out"
    assert len(found.predictions.ids) == 24
    for alone in seen:
        assert not set(alone.train.ids) & set(found.predictions.ids)
        assert alone.validation is None
    assert len(seen) == (name != "zero_shot")


@pytest.mark.parametrize("name", ["linear_probe", "knn", "ridge", "mixed"])
def test_nothing_is_chosen_again(problem, monkeypatch, name):
    given = problem()
    fitted = classifier(name).fit(given)
    real, again = classifier(name).fit, []
    monkeypatch.setattr(classifier(name), "fit", lambda p: again.append(real(p)) or again[-1])
    held_out(name, fitted, given)
    assert list(again[0].trace) == [] or name == "mixed"
    for key in {"C", "k", "penalty", "weights"} & set(fitted.settings):
        assert again[0].settings[key] == fitted.settings[key]


def test_a_validation_split_is_used(problem, clouds):
    given = problem(validation=clouds(seed=5, n=6))
    found = held_out("linear_probe", linear_probe.fit(given), given)
    assert found.how == "validation split"
    assert set(found.predictions.ids) == set(given.validation.ids)


def test_without_pictures_to_spare_there_are_none(problem, clouds):
    alone = problem(train=clouds(n=1))
    found = held_out("linear_probe", linear_probe.fit(alone), alone)
    assert found.predictions is None
    assert "too few" in found.how
    text = problem(train=None)
    found = held_out("zero_shot", classifier("zero_shot").fit(text), text)
    assert found == (None, "no training pictures were read")
