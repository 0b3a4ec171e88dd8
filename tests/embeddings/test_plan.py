"""The layout of parts, and what is copied."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import cliplab.embeddings.plan as plan_module
from cliplab.embeddings.plan import lay_out, read_plan, with_sources, write_plan
from cliplab.embeddings.tables import DamagedFile, write_table
from cliplab.runtime.errors import FormatTooNew


def test_parts_hold_one_split_each_in_the_data_sets_order(make_dataset, small_parts):
    dataset = make_dataset(50)
    plan = lay_out(dataset)
    assert sorted(plan.rows) == list(range(50))
    sizes = [plan.size(part) for part in range(plan.n_parts)]
    assert sizes == [8, 5, 8, 8, 8, 8, 5]  # 13 for testing, 37 for training
    for part in range(plan.n_parts):
        rows = plan.rows[plan.members(part)]
        assert len(set(dataset.splits["label"][rows])) == 1
        assert list(rows) == sorted(rows)


def test_groups_are_by_the_splits_of_all_tasks(make_dataset):
    dataset = make_dataset(12, tasks=("style", "genre"))
    genre = np.array(["test"] * 6 + [""] * 6, dtype=object)
    dataset = dataclasses.replace(dataset, splits={**dataset.splits, "genre": genre})
    plan = lay_out(dataset)
    groups = [
        {(dataset.splits["style"][r], genre[r]) for r in plan.rows[plan.members(part)]}
        for part in range(plan.n_parts)
    ]
    assert groups == [{("test", "")}, {("test", "test")}, {("train", "")}, {("train", "test")}]


def test_only_parts_with_wanted_rows_are_named(make_dataset, small_parts):
    dataset = make_dataset(50)
    plan = lay_out(dataset)
    assert plan.parts_with(dataset.rows("label", "test")) == [0, 1]
    assert plan.parts_with(np.array([49])) == [6]


def test_no_part_exceeds_the_stated_size(make_dataset):
    dataset = make_dataset(4)
    assert plan_module.PART == 2048
    many = dataclasses.replace(
        dataset,
        ids=np.arange(5000).astype(str).astype(object),
        splits={"label": np.full(5000, "test", dtype=object)},
    )
    plan = lay_out(many)
    assert [plan.size(part) for part in range(plan.n_parts)] == [2048, 2048, 904]


def test_sources_are_found_by_content_the_first_file_first(make_dataset):
    dataset = make_dataset(6)
    digests = list(dataset.digests)
    files = [("one", [digests[4], "else"]), ("two", [digests[4], digests[1]])]
    plan = with_sources(lay_out(dataset), dataset, iter(files))
    by_row = dict(zip(plan.rows, plan.sources, strict=True))
    assert by_row == {0: None, 1: "two", 2: None, 3: None, 4: "one", 5: None}


def test_a_picture_without_digest_is_never_copied(make_dataset):
    dataset = dataclasses.replace(make_dataset(2), digests=np.array(["", ""], dtype=object))
    plan = with_sources(lay_out(dataset), dataset, iter([("one", ["", "x"])]))
    assert list(plan.sources) == [None, None]


def test_plan_is_read_back_as_written(make_dataset, small_parts, tmp_path):
    dataset = make_dataset(20)
    plan = with_sources(lay_out(dataset), dataset, iter([("one", dataset.digests[:3])]))
    write_plan(tmp_path / "plan.parquet", plan, dataset)
    again = read_plan(tmp_path / "plan.parquet", dataset)
    for name in ("rows", "parts", "sources"):
        np.testing.assert_array_equal(getattr(again, name), getattr(plan, name))


def test_foreign_and_newer_plans_are_refused(make_dataset, tmp_path):
    path = tmp_path / "plan.parquet"
    write_plan(path, lay_out(make_dataset(20)), make_dataset(20))
    with pytest.raises(DamagedFile, match="plan of other pictures"):
        read_plan(path, make_dataset(21))
    write_table(path, {"row": [0]}, 2)
    with pytest.raises(FormatTooNew):
        read_plan(path, make_dataset(20))
