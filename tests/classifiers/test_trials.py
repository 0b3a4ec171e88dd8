"""What settings are tried on: never the pictures that were fitted on, every class always kept."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.classifiers.trials import choose, dealt, spread, trials


def ids(embeddings) -> set[str]:
    return set(embeddings.ids)


def test_a_validation_split_is_tried_on(problem, clouds):
    given = problem(validation=clouds(seed=5, n=3))
    found = trials(given, given.train)
    assert found.how == "validation split"
    assert [ids(part.held) for part in found.parts] == [ids(given.validation)]


def test_many_pictures_are_held_out_once(problem, clouds):
    given = problem(train=clouds(n=25))
    found = trials(given, given.train)
    assert found.how == "20 training pictures held out"
    assert not found.few
    assert len(found.parts) == 1


@pytest.mark.parametrize("n", [2, 3, 4, 9, 24])
def test_of_few_each_is_set_aside_once_and_every_class_is_kept(problem, clouds, n):
    given = problem(train=clouds(n=n))
    found = trials(given, given.train)
    assert found.few
    assert len(found.parts) == min(n, 4)
    assert len(found.held()) == len(given.train)
    assert ids(found.held()) == ids(given.train)
    for part in found.parts:
        assert not ids(part.kept) & ids(part.held)
        assert set(part.kept.labels) == {0, 1, 2, 3}
        counts = np.bincount(part.held.labels, minlength=4)
        assert counts.max() - counts.min() == 0


def test_the_only_picture_of_a_class_is_never_lent(problem, clouds):
    given = problem(train=clouds(labels=[0, 1, 2, 2, 3, 3]))
    found = trials(given, given.train)
    assert set(found.held().labels) == {2, 3}
    alone = problem(train=clouds(n=1))
    assert trials(alone, alone.train).parts == ()


def test_dealing_is_fixed_by_its_seed():
    labels = np.repeat(np.arange(3), 8)
    assert (dealt(labels, 4, 1) == dealt(labels, 4, 1)).all()
    assert (dealt(labels, 4, 1) != dealt(labels, 4, 2)).any()


def test_the_most_accurate_wins_and_of_equals_the_surer(problem, clouds):
    given = problem(train=clouds(n=4))
    tried = trials(given, given.train)

    def said(part):
        truth = np.eye(4)[part.held.labels]
        return lambda setting: truth * setting

    found = choose(tried, "x", (-1.0, 1.0, 3.0, 2.0), said)
    assert found.setting == 3.0
    assert [row["accuracy"] for row in found.trace] == [0.0, 1.0, 1.0, 1.0]
    assert found.scores.shape == (16, 4)


def test_spread_by_hand():
    assert spread(np.array([[0.0, 0.0], [2.0, 0.0]], dtype=np.float32)) == 1.0
    assert spread(np.ones((3, 2), dtype=np.float32)) == 1.0
