"""How many steps so many minutes give."""

from __future__ import annotations

import types

import pytest

from cliplab.training import pace


class Clock:
    """Steps take what they are told; nothing else takes time."""

    def __init__(self, seconds):
        self.now, self.seconds, self.taken = 0.0, list(seconds), []

    def perf_counter(self):
        return self.now

    def take(self, step):
        self.taken.append(step)
        self.now += self.seconds.pop(0)


@pytest.fixture
def at(monkeypatch):
    def make(*seconds):
        clock = Clock(seconds)
        fake = types.SimpleNamespace(
            perf_counter=clock.perf_counter,
            strftime=lambda *_: "12:00",
            localtime=lambda _: None,
            time=lambda: 0.0,
        )
        monkeypatch.setattr(pace, "time", fake)
        return clock

    return make


def test_the_first_step_does_not_count(at):
    clock = at(9.0, 2.0, 2.0, 2.0)
    assert pace.steps_in(1.0, clock.take, seconds=14.0) == 30
    assert clock.taken == [0, 1, 2, 3]


def test_one_slow_step_does_not_count_either(at):
    clock = at(1.0, 1.0, 50.0, 1.0)
    assert pace.steps_in(2.0, clock.take, seconds=53.0) == 120


def test_three_steps_at_least_are_timed_and_one_is_taken(at, capsys):
    clock = at(100.0, 100.0, 100.0)
    assert pace.steps_in(0.1, clock.take, seconds=1.0) == 1
    assert len(clock.taken) == 3
    assert "100.00 s a step: 1 steps in 0.1 minutes, done about 12:00" in capsys.readouterr().err
