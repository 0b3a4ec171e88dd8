"""Extraction that is killed at random moments, and two at once, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("processes.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def files(home):
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A home, what two processes at once told of filling it, and what they said.

    Nobody disturbs the first of the two, and the second finds all done.
    """
    home = tmp_path_factory.mktemp("undisturbed")
    return home, *run("two", home)


def test_two_at_once_share_the_work_and_say_who_waits(undisturbed):
    _, told, said = undisturbed
    assert told == {"encoded": [0, 88], "statuses": [0, 0]}
    assert said.startswith("Waiting for another cliplab")
    assert said.count("\n") == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_ten_times_it_ends_in_the_same_bytes(undisturbed, tmp_path, seed):
    told, _ = run("kills", tmp_path, seed)
    assert told["status"] == 0
    assert told["killed"] >= 3, "the kills came too late to matter"
    assert told["parts"] == sorted(told["parts"])
    assert told["parts"][-1] > 0, "nothing was kept from a kill to the next run"
    assert told["encoded_last"] == 88 - readable_in(told["parts"][-1])
    assert files(tmp_path) == files(undisturbed[0])


def readable_in(parts):
    """Pictures that could be read in the first parts: 23 for testing (row 4 is bad), 67 others."""
    sizes = [7, 8, 7, 8, 8, 8, 7, 8, 8, 8, 8, 3]
    return sum(sizes[:parts])
