"""Half cosines over a share of the run."""

from __future__ import annotations

import pytest

from cliplab.runtime.errors import UsageError
from cliplab.training.schedules import Cosine


def test_it_begins_and_ends_where_it_says_and_stays():
    schedule = Cosine(1.0, 1 / 16, 0.15)
    assert schedule.at(0, 1000) == 1.0
    assert schedule.at(75, 1000) == pytest.approx((1 + 1 / 16) / 2)
    assert [schedule.at(step, 1000) for step in (150, 600, 999)] == [1 / 16] * 3


def test_it_is_the_same_share_of_every_run():
    schedule = Cosine(0.0, 6.6, 0.5)
    assert schedule.at(10, 100) == pytest.approx(schedule.at(1000, 10_000))


def test_a_share_that_cannot_be_is_refused():
    with pytest.raises(UsageError, match="share in"):
        Cosine(1.0, 0.0, 0.0)
