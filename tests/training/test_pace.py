"""Steps in a time: what was timed, what the timing itself took, the least there is."""

from __future__ import annotations

import pytest

from cliplab.training import pace


class Clock:
    """Time that passes when a step is taken."""

    def __init__(self, first: float, others: list[float]) -> None:
        self.now, self.first, self.others, self.steps = 100.0, first, others, []

    def take(self, step: int) -> None:
        self.steps.append(step)
        self.now += self.first if step == 0 else self.others[step % len(self.others)]


@pytest.fixture
def clock(monkeypatch):
    def made(first, *others):
        clock = Clock(first, list(others))
        monkeypatch.setattr(pace.time, "perf_counter", lambda: clock.now)
        return clock

    return made


def test_the_first_step_does_not_count_and_the_timing_is_part_of_the_time(clock, capsys):
    slow_start = clock(10.0, 2.0)
    assert pace.steps_in(10, slow_start.take) == (600 - 10 - 20) / 2
    assert slow_start.steps == list(range(11))  # a twentieth of the time: 30 seconds
    assert "2.00 s a step: 285 steps in 10 minutes" in capsys.readouterr().err


def test_steps_that_had_to_wait_count_as_they_took(clock):
    busy = clock(1.0, 1.0, 1.0, 7.0)
    assert pace.steps_in(1, busy.take, seconds=8.0) == round((60 - 1 - 8) / 4)  # 1 and 7


def test_a_short_time_is_not_spent_on_timing(clock):
    fast = clock(0.25, 0.25)
    assert pace.steps_in(0.1, fast.take) == (6 - 1.25) / 0.25  # a fifth of 6 seconds
    slow = clock(30.0, 30.0)
    assert pace.steps_in(0.1, slow.take) == 1
    assert slow.steps == [0, 1, 2]


def test_a_long_time_is_timed_for_a_minute_at_most(clock):
    steady = clock(1.0, 1.0)
    pace.steps_in(600, steady.take)
    assert len(steady.steps) == 60
