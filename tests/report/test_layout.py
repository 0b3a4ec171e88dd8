from __future__ import annotations

import io

import pytest

from cliplab.nouns import Measure
from cliplab.report.layout import lay_out, percent, print_tables, rate, render, with_interval

LONG = "a class whose name is far longer than any terminal is wide " * 3


def test_percent_and_rate():
    assert [percent(v) for v in (0.0, 0.97249, 1.0, None)] == ["0.0", "97.2", "100.0", "–"]
    assert [rate(v) for v in (None, 1234.56)] == ["–", "1,234.6"]


@pytest.mark.parametrize(
    ("measure", "signed", "shown"),
    [
        (Measure(0.972, 0.951, 0.984), False, "97.2 [95.1, 98.4]"),
        ({"value": 0.972, "low": 0.951, "high": 0.984}, False, "97.2 [95.1, 98.4]"),
        (Measure(-0.013, -0.02, 0.006), True, "-1.3 [-2.0, +0.6]"),
        (Measure(-0.0001, -0.02, 0.0001), True, "0.0 [-2.0, 0.0]"),
        (Measure(0.5), False, "50.0"),
        (Measure(None), False, "–"),
        (None, False, "–"),
    ],
)
def test_with_interval(measure, signed, shown):
    assert with_interval(measure, signed=signed) == shown


@pytest.mark.parametrize("name", ["[red]x", "[/]", "[link=x]y[/link]", "\\[b]", ":smile:"])
def test_names_print_as_they_are(name):
    assert name in render(lay_out([name], [], [[name]])).splitlines()[2]


def test_control_characters_are_written_out():
    text = render(lay_out(["class"], ["n"], [["a\x1b[2Jb\nc\td", "1"]]))
    assert "a\\x1b[2Jb\\nc\\td" in text
    assert "\x1b" not in text


def test_a_pipe_gets_every_character_on_one_line_and_no_colour():
    numbers = [f"{i}00.0 [99.9, 100.0]" for i in range(8)]
    text = render(lay_out(["class"], [str(i) for i in range(8)], [[LONG, *numbers]]))
    (line,) = (line for line in text.splitlines() if "99.9" in line)
    assert LONG.strip() in line
    assert all(number in line for number in numbers)
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [20, 60, 200])
def test_a_terminal_folds_names_and_keeps_numbers_whole(width):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    numbers = ["97.2 [95.1, 98.4]", "12.5 [10.0, 15.0]"]
    stream = Terminal()
    table = lay_out(["class"], ["zero-shot", "probe"], [[LONG, *numbers], ["x", "–", "–"]])
    print_tables(table, file=stream, width=width)
    text = stream.getvalue()
    assert all(number in text for number in numbers)
    assert "…" not in text


def test_an_empty_table_has_its_titles():
    assert "class" in render(lay_out(["class"], ["n"], []))
