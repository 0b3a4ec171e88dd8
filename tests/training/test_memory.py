"""Amounts of memory, and the plan that fits."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.runtime.errors import UsageError
from cliplab.training import memory
from cliplab.training.memory import (
    Cost,
    Plan,
    TooLittleMemory,
    choose_plan,
    forget_peak,
    free_memory,
    parse_bytes,
    peak_resident_memory,
    resident_memory,
)

MIB = 1 << 20
SAVING = [(), ("groups",), ("groups", "rows")]


def _peak(micro, techniques):
    """10 MiB of gradients; a picture takes 100, 50 or 20 MiB."""
    return 10 * MIB + micro * {0: 100, 1: 50, 2: 20}[len(techniques)] * MIB


COST = Cost(base=500 * MIB, parameters=10 * MIB, optimizer=20 * MIB, average=10 * MIB, peak=_peak)
FIXED = 550 * MIB + memory.KERNELS  # base, parameters, gradients, optimiser, average


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GiB", 2 << 30), ("2 gb", 2 << 30), ("1.5G", 3 << 29), ("64k", 64 << 10), ("123", 123)],
)
def test_amounts_are_read(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1G", "0", "2GiBs", "1e9"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(UsageError, match="such as 2GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("mib_a_picture_room", "expected"),
    [
        (8 * 100, Plan(8)),
        (100, Plan(1)),
        (99, Plan(1, ("groups",))),
        (49, Plan(2, ("groups", "rows"))),
        (20, Plan(1, ("groups", "rows"))),
    ],
)
def test_the_cheapest_plan_that_fits_is_taken(mib_a_picture_room, expected):
    budget = FIXED + int(mib_a_picture_room * MIB * memory.WORK_SPACE) + 1
    plan, estimate = choose_plan(COST, budget, 8, SAVING)
    assert plan == expected
    assert estimate.total <= budget


def test_too_little_says_what_would_do():
    with pytest.raises(TooLittleMemory, match=r"one picture at a time takes 636.*--memory 0\.7GiB"):
        choose_plan(COST, 560 * MIB, 8, SAVING)


def test_a_plan_survives_json():
    plan = Plan(3, ("groups",))
    assert Plan.read(plan.as_json()) == plan


def test_the_peak_is_seen_and_forgotten():
    before = resident_memory()
    block = np.ones(64 * MIB, dtype=np.uint8)
    assert resident_memory() > before + 48 * MIB
    del block
    assert peak_resident_memory() > before + 48 * MIB
    forget_peak()
    assert peak_resident_memory() < before + 48 * MIB


def test_the_group_s_limit_is_honoured(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert memory._left_in_group(tmp_path) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left_in_group(tmp_path) is None
    monkeypatch.setattr(memory, "_left_in_group", lambda: 1000)
    assert free_memory("cpu") <= 900 + resident_memory() + 8 * MIB
