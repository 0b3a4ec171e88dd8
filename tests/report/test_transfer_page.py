"""The page of a transfer: its matrix, read from the folder of its cells."""

from __future__ import annotations

import json

import pytest
from tests.pages.made_runs import make_data, make_run

from cliplab.report.page import write_report
from cliplab.report.transfer_page import PLAN, read_transfer, write_transfer_page
from cliplab.runtime.errors import DataError

DOMAINS = ["photo", "<b>sketch"]


@pytest.fixture
def folder(tmp_path):
    data = make_data(["cat", "dog"], 20)
    cells = []
    for train in (*DOMAINS, None):
        for test in DOMAINS:
            name = f"{DOMAINS.index(train) if train else 'zero-shot'}-to-{DOMAINS.index(test)}"
            seed = len(cells)
            kind = "linear_probe" if train else "zero_shot"
            make_run(tmp_path / "t" / name, data, classifiers=(kind,), seed=seed, skill=1.0)
            cells.append([train, test, name])
    plan = {"format_version": 1, "key": "k", "domains": DOMAINS, "cells": cells}
    (tmp_path / "t" / PLAN).write_text(json.dumps(plan))
    return tmp_path / "t"


def test_the_matrix_is_that_of_the_cells(folder):
    domains, cells = read_transfer(folder)
    assert domains == DOMAINS
    text = write_transfer_page(folder).read_text(encoding="utf-8")
    for cell in cells:
        assert f"{100 * cell.top1['value']:.1f} [" in text
    assert "<b>sketch" not in text
    assert "&lt;b&gt;sketch" in text


def test_it_is_found_by_its_folder(folder, tmp_path):
    assert write_report(["t"], root=tmp_path).path == folder / "report.html"


def test_one_that_did_not_finish_says_what_to_do(folder):
    import shutil

    shutil.rmtree(folder / "1-to-0")
    with pytest.raises(DataError, match=r"lacks 1 cells, such as 1-to-0\. Run the same"):
        write_transfer_page(folder)
    (folder / PLAN).write_text(json.dumps({"format_version": 1, "domains": DOMAINS}))
    with pytest.raises(DataError, match="does not name its cells"):
        write_transfer_page(folder)
