from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cliplab.runtime.errors import UsageError
from cliplab.runtime.patience import Patience, retry_after


def test_waits_double_up_to_the_longest():
    patience = Patience(first_wait=1, longest_wait=10, jitter=lambda: 1.0)
    assert [patience.wait(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_jitter_takes_up_to_half():
    least, most = (Patience(jitter=lambda j=j: j).wait(3) for j in (0.0, 1.0))
    assert (least, most) == (2.0, 4.0)


def test_a_server_may_ask_for_more_but_not_for_a_day():
    patience = Patience(jitter=lambda: 1.0)
    assert patience.wait(1, asked=30) == 30
    assert patience.wait(1, asked=86_400) == 3600


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    now = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)
    assert retry_after(value, now) == seconds


def test_no_patience_at_all_is_refused():
    with pytest.raises(UsageError, match="one attempt or more"):
        Patience(attempts=0)
