"""The search: starts near its neighbours, whole rounds at once, and what a killed one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from cliplab.classifiers import linear_probe, search
from cliplab.classifiers.family import ProbeConfig, Problem
from cliplab.classifiers.protocols import c_at
from cliplab.classifiers.search import Split, digest_of, near_start
from cliplab.classifiers.solver.solve import Start
from cliplab.runtime.errors import UnknownName


def parts(clouds, noise=3.0):
    train, held = clouds(seed=1, noise=noise), clouds(seed=2, n=15, noise=noise)
    return Split(train.features, train.labels), Split(held.features, held.labels)


def without_seconds(trace):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in trace]


def test_a_start_lies_between_its_neighbours_or_beyond_them():
    known = {
        16: Start(np.full((2, 2), 1.0), np.zeros(2)),
        32: Start(np.full((2, 2), 3.0), np.ones(2)),
    }
    assert near_start(known, 24).weights == pytest.approx(2.0)
    assert near_start(known, 28).weights == pytest.approx(2.5)
    assert near_start(known, 48).weights == pytest.approx(5.0)
    assert near_start(known, 48).intercept == pytest.approx(2.0)
    assert near_start({16: known[16]}, 30) is known[16]
    assert near_start({}, 3) is None


def test_each_fit_tells_what_it_proved(clouds):
    chosen = search.search(*parts(clouds), 1e-4, device="cpu")
    assert 13 <= len(chosen.trace) <= 15
    for entry in chosen.trace:
        assert entry["converged"]
        assert 0 <= entry["gap"] <= 1e-4
        assert entry["evaluations"] >= entry["iterations"]
        assert entry["C"] * entry["lambda"] == pytest.approx(1)
    assert [entry["C"] for entry in chosen.trace[:7]] == [c_at(16 * k) for k in range(7)]


def test_the_fits_are_those_of_the_estimator(clouds):
    train, held = parts(clouds)
    for entry in search.search(train, held, 1e-6, device="cpu").trace:
        alone = linear_probe_of(train, entry["C"])
        assert alone.score(held.x, held.y) == pytest.approx(entry["accuracy"], abs=0.02)
        told = alone.predict_log_proba(held.x)[np.arange(len(held.y)), held.y]
        assert -told.mean() == pytest.approx(entry["loss"], rel=1e-2)


def linear_probe_of(train, c):
    from cliplab.classifiers.estimator import LinearProbe

    return LinearProbe(C=c, device="cpu").fit(train.x, train.y)


def test_neighbours_save_passes(monkeypatch):
    chance = np.random.default_rng(0)
    y = np.arange(1200) % 8
    x = (0.5 * chance.normal(size=(8, 40))[y] + chance.normal(size=(1200, 40))).astype(np.float32)
    train, held = Split(x[:900] / 6, y[:900]), Split(x[900:] / 6, y[900:])
    near = search.search(train, held, 1e-4, device="cpu")
    monkeypatch.setattr(search, "near_start", lambda _known, _position: None)
    cold = search.search(train, held, 1e-4, device="cpu")
    assert near.c == cold.c
    refined = [sum(entry["evaluations"] for entry in one.trace[7:]) for one in (near, cold)]
    assert refined[0] < 0.8 * refined[1]


@pytest.mark.parametrize("labels", [None, [0, 1] * 60])
def test_rounds_solved_together_choose_the_same(clouds, labels):
    train, held = (
        clouds(seed=seed, noise=3.0, labels=labels or list(range(4)) * 30) for seed in (1, 2)
    )
    given = [Split(one.features, one.labels) for one in (train, held)]
    apart, together = (
        search.search(*given, 1e-6, device="cpu", together=how) for how in (False, True)
    )
    assert apart.c == together.c
    for one, other in zip(apart.trace, together.trace, strict=True):
        assert one["C"] == other["C"]
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-2)


def test_coarse_and_fine_gaps_choose_alike(clouds):
    chosen = [search.search(*parts(clouds), gap, device="cpu") for gap in (1e-3, 1e-6)]
    best = [max(entry["accuracy"] for entry in one.trace) for one in chosen]
    assert best[0] == pytest.approx(best[1], abs=0.02)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("finished", [1, 5, 8, 13])
def test_a_search_that_was_cut_off_goes_on_at_the_same_bits(
    clouds, tmp_path, monkeypatch, finished, together
):
    given, settings = parts(clouds), {"device": "cpu", "together": together}
    whole = search.search(*given, 1e-4, **settings)

    class Cut(Exception):
        pass

    solved = []
    solve = search.solve

    def cut(problem, strengths, *rest, **more):
        if len(solved) + len(strengths) > finished:
            raise Cut
        solved.extend(strengths)
        return solve(problem, strengths, *rest, **more)

    monkeypatch.setattr(search, "solve", cut)
    folder = tmp_path / "search"
    with pytest.raises(Cut):
        search.search(*given, 1e-4, folder=folder, **settings)
    before = list(solved)
    monkeypatch.setattr(
        search, "solve", lambda p, s, *r, **m: (solved.extend(s), solve(p, s, *r, **m))[1]
    )
    resumed = search.search(*given, 1e-4, folder=folder, **settings)
    assert len(solved) == len(set(solved)) == len(whole.trace)
    assert solved[: len(before)] == before
    assert without_seconds(resumed.trace) == without_seconds(whole.trace)
    assert resumed.c == whole.c
    assert (resumed.start.weights == whole.start.weights).all()


def test_a_finished_probe_leaves_no_search_behind(problem, tmp_path):
    fitted = linear_probe.fit(problem(work=tmp_path, device="cpu"))
    again = linear_probe.fit(problem(device="cpu"))
    assert (fitted.weights == again.weights).all()
    assert list(tmp_path.iterdir()) == []


def test_other_pictures_labels_gaps_and_devices_are_another_search(clouds):
    train, held = parts(clouds)
    first = digest_of(train, held, 1e-3, "cpu")
    assert first == digest_of(train, held, 1e-3, "cpu")
    moved = Split(train.x + np.float32(1e-3), train.y)
    turned = Split(train.x, np.roll(train.y, 1))
    others = [(moved, held, 1e-3), (turned, held, 1e-3), (train, train, 1e-3), (train, held, 1e-4)]
    assert len({first, *(digest_of(*other, "cpu") for other in others)}) == 5


SCRIPT = """
import os, signal, sys
from pathlib import Path
import numpy as np
from cliplab.classifiers import linear_probe, search
from cliplab.classifiers.family import ProbeConfig, Problem
from cliplab.nouns import Embeddings

def make(n, seed):
    chance = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = (np.eye(3, 8)[y] * 2 + chance.normal(size=(n, 8))).astype(np.float32)
    ids = np.array([str(i) for i in range(n)], dtype=object)
    return Embeddings(ids, x, None, y, ("a", "b", "c"), {})

kill_after, solved, solve = int(sys.argv[2]), [], search.solve

def counted(problem, strengths, *rest, **more):
    if len(solved) == kill_after:
        os.kill(os.getpid(), signal.SIGKILL)
    solved.extend(strengths)
    return solve(problem, strengths, *rest, **more)

search.solve = counted
fitted = linear_probe.fit(Problem(class_names=("a", "b", "c"), train=make(90, 0),
    validation=make(60, 1), device="cpu", work=Path(sys.argv[1])))
print(len(solved), len(fitted.trace), fitted.weights.tobytes().hex())
"""


@pytest.mark.slow
def test_killed_outright_it_goes_on_where_it_was(tmp_path):
    def run(folder, kill_after):
        command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder), str(kill_after)]
        return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))

    whole = run(tmp_path / "one", -1)
    killed = run(tmp_path / "two", 6)
    assert killed.returncode == -signal.SIGKILL
    resumed = run(tmp_path / "two", -1)
    assert whole.returncode == resumed.returncode == 0, whole.stderr + resumed.stderr
    (all_fits, tried, weights), (rest, tried_too, weights_too) = (
        done.stdout.split() for done in (whole, resumed)
    )
    assert int(rest) == int(all_fits) - 6
    assert tried == tried_too
    assert weights == weights_too


def test_the_protocols(problem, clouds):
    readme = linear_probe.fit(problem(config=ProbeConfig(protocol="readme", c=0.316)))
    assert list(readme.trace) == []
    paper = linear_probe.fit(problem(config=ProbeConfig(protocol="paper")))
    assert {"gap", "evaluations", "seconds"} <= set(paper.trace[0])
    assert all(entry["gap"] <= 1e-4 for entry in paper.trace)
    assert "A.3" in paper.settings["protocol_source"]
    assert paper.settings["gap"] <= 1e-6
    fast = linear_probe.fit(problem())
    assert fast.settings["protocol"] == "fast"
    assert sum(e["evaluations"] for e in fast.trace) < sum(e["evaluations"] for e in paper.trace)
    with pytest.raises(UnknownName, match="Did you mean 'paper'"):
        linear_probe.fit(problem(config=ProbeConfig(protocol="papers")))


def test_classes_that_only_validation_pictures_have_are_fitted_in_the_end(clouds):
    given = Problem(
        class_names=("apple", "bee", "cup", "dog"),
        train=clouds(labels=[0, 1, 2] * 10),
        validation=clouds(labels=[0, 1, 2, 3] * 5, seed=4),
        device="cpu",
    )
    fitted = linear_probe.fit(given)
    assert max(entry["accuracy"] for entry in fitted.trace) <= 0.75
    test = clouds(labels=[3] * 8, seed=6)
    assert (fitted.predict(test).predicted == 3).mean() > 0.8
