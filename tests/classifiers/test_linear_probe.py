"""The probe: scikit-learn's optimum, C chosen without the test pictures, saved as it was fitted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from cliplab.classifiers import linear_probe
from cliplab.classifiers.estimator import LinearProbe
from cliplab.classifiers.family import ProbeConfig, join, take
from cliplab.runtime.errors import DataError, FormatTooNew, UsageError


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_the_estimator_obeys_scikit_learns_contract():
    results = check_estimator(LinearProbe(), on_skip=None)
    assert len(results) > 40
    assert not [r["check_name"] for r in results if r["status"] == "failed"]


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("c", [1e-3, 0.316, 10.0])
def test_probabilities_are_those_of_scikit_learns_optimum(n_classes, c):
    chance = np.random.default_rng(0)
    labels = np.arange(200) % n_classes
    x = chance.normal(size=(200, 10)) + labels[:, None] * 0.3 + 5.0
    expected = LogisticRegression(C=c, tol=1e-9, max_iter=20_000).fit(x, labels).predict_proba(x)
    found = LinearProbe(C=c, tol=1e-8).fit(x, labels)
    assert np.abs(found.predict_proba(x) - expected).max() < 1e-5
    assert found.converged_


def test_weights_count_pictures():
    chance = np.random.default_rng(1)
    x, y = chance.normal(size=(40, 3)), np.arange(40) % 2
    twice = LinearProbe(tol=1e-9).fit(np.concatenate([x, x[:10]]), np.concatenate([y, y[:10]]))
    weighted = LinearProbe(tol=1e-9).fit(x, y, sample_weight=np.r_[np.full(10, 2.0), np.ones(30)])
    assert np.abs(twice.predict_proba(x) - weighted.predict_proba(x)).max() < 1e-4


def test_one_picture_of_each_of_many_classes_is_fitted_in_silence():
    x = np.random.default_rng(0).normal(size=(30, 5))
    assert LinearProbe(C=100.0).fit(x, np.arange(30)).score(x, np.arange(30)) > 0.9


def test_c_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="positive"):
        LinearProbe(C=0).fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(UsageError, match="positive"):
        ProbeConfig(c=float("nan"))


def test_the_search_has_fifteen_fits_and_its_best_is_taken(problem):
    fitted = linear_probe.fit(problem())
    assert len(fitted.trace) <= 15
    best = max(fitted.trace, key=lambda entry: (entry["accuracy"], -entry["loss"]))
    assert fitted.settings["C"] == best["C"]
    assert fitted.settings["n_train"] == 120
    assert "24 training pictures held out" in fitted.settings["C_chosen"]


def test_a_validation_split_is_chosen_on_then_trained_on(problem, clouds):
    own = clouds(seed=5, n=6)
    fitted = linear_probe.fit(problem(validation=own))
    assert fitted.settings["C_chosen"] == "validation split"
    assert fitted.settings["n_train"] == 120 + 24
    wrong = take(own, np.arange(len(own)))
    shuffled = type(wrong)(
        wrong.ids, wrong.vectors, wrong.features, (wrong.labels + 1) % 4, wrong.class_names, {}
    )
    other = linear_probe.fit(problem(validation=shuffled))
    assert max(e["accuracy"] for e in other.trace) < 0.5  # it is really scored on it


def test_a_validation_split_of_which_nothing_can_be_read_is_none(problem, clouds):
    fitted = linear_probe.fit(problem(validation=take(clouds(), np.arange(0))))
    assert "24 training pictures held out" in fitted.settings["C_chosen"]
    assert fitted.settings["n_train"] == 120


def test_two_classes_are_those_of_the_estimator(problem, clouds):
    train = clouds(labels=[0, 0, 1] * 20, noise=3.0)
    given = problem(train=train, class_names=("apple", "bee"), config=ProbeConfig(c=0.1))
    expected = LinearProbe(C=0.1, tol=linear_probe.FINAL_TOL).fit(train.features, train.labels)
    found = np.exp(linear_probe.fit(given).predict(train).scores)
    assert np.abs(found - expected.predict_proba(train.features)).max() < 1e-4


def test_c_is_that_of_the_chosen_probe_fitted_on_everything(problem, clouds):
    train, own = clouds(seed=1, noise=3.0), clouds(seed=5, n=6, noise=3.0)
    fitted = linear_probe.fit(problem(train=train, validation=own))
    whole = join(train, own)
    again = LinearProbe(C=fitted.settings["C"], tol=linear_probe.FINAL_TOL)
    expected = again.fit(whole.features, whole.labels).predict_proba(own.features)
    assert np.abs(np.exp(fitted.predict(own).scores) - expected).max() < 1e-4


def test_a_given_c_is_used_without_a_search(problem):
    fitted = linear_probe.fit(problem(config=ProbeConfig(c=0.5)))
    assert fitted.settings["C"] == 0.5
    assert list(fitted.trace) == []


def test_features_before_or_after_the_projection(problem, clouds):
    assert linear_probe.fit(problem()).weights.shape == (4, 20)
    post = linear_probe.fit(problem(config=ProbeConfig(features="post")))
    assert post.weights.shape == (4, 12)
    unit = linear_probe.fit(problem(config=ProbeConfig(normalize=True)))
    test = clouds(seed=9)
    scaled = type(test)(
        test.ids, test.vectors, test.features * 10, test.labels, test.class_names, test.identity
    )
    assert np.allclose(unit.predict(test).scores, unit.predict(scaled).scores, atol=1e-4)


@pytest.mark.parametrize("labels", [None, [0, 1] * 30])
def test_what_is_saved_is_what_was_fitted(problem, clouds, tmp_path, labels):
    names = ("apple", "bee") if labels else ("apple", "bee", "cup", "dog")
    train = clouds(seed=1, labels=labels)
    fitted = linear_probe.fit(problem(train=train, class_names=names, class_vectors=None))
    fitted.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["linear_probe.safetensors"]
    loaded = linear_probe.load(tmp_path)
    assert (loaded.predict(train).scores == fitted.predict(train).scores).all()
    assert loaded.class_names == names
    json.dumps(dict(fitted.settings), allow_nan=False)


def test_faults_of_a_saved_probe_are_told(tmp_path, problem, monkeypatch):
    with pytest.raises(DataError, match="--classifier linear_probe"):
        linear_probe.load(tmp_path)
    linear_probe.fit(problem()).save(tmp_path)
    path = tmp_path / linear_probe.FILE
    content = path.read_bytes()
    path.write_bytes(content[:100])
    with pytest.raises(DataError, match="damaged"):
        linear_probe.load(tmp_path)
    newer = content.replace(b'\\"format_version\\": 1', b'\\"format_version\\": 9')
    assert newer != content
    path.write_bytes(newer)
    with pytest.raises(FormatTooNew):
        linear_probe.load(tmp_path)


def test_a_class_without_training_pictures_is_named(problem, clouds):
    with pytest.raises(DataError, match=r"'dog'.*--classifier zero_shot"):
        linear_probe.fit(problem(train=clouds(labels=[0, 1, 2] * 5)))


def test_no_training_pictures_at_all(problem):
    with pytest.raises(DataError, match="no training pictures"):
        linear_probe.fit(problem(train=None))


def test_one_picture_a_class_is_fitted_without_a_search(problem, clouds):
    fitted = linear_probe.fit(problem(train=clouds(n=1)))
    assert fitted.settings["C"] == linear_probe.C_WITHOUT_SEARCH
    assert "too few" in fitted.settings["C_chosen"]


def test_a_vector_that_is_not_finite_is_named(problem, clouds):
    train = clouds(seed=1)
    train.features[3, 2] = np.nan
    with pytest.raises(DataError, match=r"1/3.*--precision fp32"):
        linear_probe.fit(problem(train=train))


def test_another_encoders_pictures_are_refused(problem, clouds):
    fitted = linear_probe.fit(problem())
    test = clouds(n=2)
    narrow = type(test)(
        test.ids, test.vectors, test.features[:, :5], test.labels, test.class_names, {}
    )
    with pytest.raises(DataError, match="another encoder"):
        fitted.predict(narrow)


def test_joined_pictures_keep_their_order(clouds):
    a, b = clouds(n=1, seed=1), clouds(n=2, seed=2)
    both = join(a, b)
    assert list(both.ids) == [*a.ids, *b.ids]
    assert (both.features == np.concatenate([a.features, b.features])).all()
    assert join(a, None) is a
