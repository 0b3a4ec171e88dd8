from __future__ import annotations

import io

import pytest

from cliplab.runtime.progress import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("unit", "count", "shown"),
    [("bytes", "2.0/4.0 MB", "MB/s"), ("pictures", "2000000/4000000", "pictures/s")],
)
def test_count_and_rate_are_shown_on_a_terminal(monkeypatch, unit, count, shown):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with progress("Fetching a.zip", 4_000_000, unit=unit) as advance:
        for _ in range(20):
            advance(100_000)
    said = terminal.getvalue()
    assert "Fetching a.zip" in said
    assert count in said
    assert shown in said


def test_nothing_is_shown_elsewhere(capsys):
    with progress("Fetching a.zip", 10, unit="bytes") as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")
