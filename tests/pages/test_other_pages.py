"""Several runs, a transfer, an audit and drawings in a real browser, at a desk and on a phone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.pages.made_runs import make_data, make_run
from tests.report.test_audit_page import Finding

from cliplab.report.audit_page import write_audit_page
from cliplab.report.page import write_page
from cliplab.report.transfer_page import PLAN, write_transfer_page

pytestmark = pytest.mark.slow
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
NAMES = ["cat", "dog", "<i>owl"]


def side_by_side(folder: Path) -> Path:
    data = make_data(NAMES, 60)
    for i, name in enumerate("ab"):
        make_run(folder / name, data, skill=1.0 + i, encoder=f"<b>encoder {name}", seed=i)
    return write_page([folder / "a", folder / "b"], folder / "x.html", dataset=data).path


def transfer(folder: Path) -> Path:
    data, cells = make_data(NAMES, 60), []
    for train in ("photo", "<u>sketch", None):
        for test in ("photo", "<u>sketch"):
            kind = "linear_probe" if train else "zero_shot"
            make_run(
                folder / str(len(cells)), data, classifiers=(kind,), seed=len(cells), skill=1.0
            )
            cells.append([train, test, str(len(cells))])
    plan = {"format_version": 1, "domains": ["photo", "<u>sketch"], "cells": cells}
    (folder / PLAN).write_text(json.dumps(plan))
    return write_transfer_page(folder)


def audit(folder: Path) -> Path:
    data = make_data(NAMES, 20)
    ids = data.ids.tolist()
    findings = (
        Finding(ids[0], "label", "cat", "dog"),
        Finding(ids[1], "duplicate", "dog", "", 1.0, ids[2]),
        Finding("gone.jpg", "unreadable"),
    )
    about = {
        "dataset": "made", "task": "label", "encoder": "toy", "n": 20, "n_labelled": 20,
        "threshold": 0.95, "probe_accuracy": None, "counts": {}, "n_across_splits": 0,
        "notes": ("note",), "findings": findings,
    }  # fmt: skip
    write_audit_page(folder / "review.html", data, about)
    return folder / "review.html"


@pytest.fixture(
    scope="module", params=[side_by_side, transfer, audit], ids=lambda make: make.__name__
)
def path(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp(request.param.__name__))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_in_silence_and_can_be_read(open_page, path, scheme):
    opened = open_page(path, color_scheme=scheme)
    opened.draw_all()
    opened.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    opened.page.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert opened.said == []
    assert opened.outside == []
    found = opened.page.evaluate(CONTRAST)
    assert {key: ratio for key, ratio in found.items() if ratio < 4.5} == {}


def test_a_phone_never_scrolls_sideways(open_page, path):
    opened = open_page(path, viewport={"width": 390, "height": 844}, is_mobile=True)
    opened.draw_all()
    widths = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths == [390, 390]


def test_each_run_has_a_tab(open_page, tmp_path):
    opened = open_page(side_by_side(tmp_path))
    shown = "[...document.querySelectorAll('.run')].map((run) => !run.hidden)"
    assert opened.page.evaluate(shown) == [True, False]
    opened.page.click("#tab-r1")
    assert opened.page.evaluate(shown) == [False, True]
    opened.page.keyboard.press("ArrowRight")
    assert opened.page.evaluate(shown) == [True, False]
    opened.page.click("#tab-r1")
    opened.page.click("#r1 table.classes tbody tr:nth-child(2) .to-pictures")
    opened.until("document.querySelectorAll('#r1 .card img').length > 0")


def test_the_audit_shows_both_of_a_pair(open_page, tmp_path):
    opened = open_page(audit(tmp_path))
    opened.page.evaluate("document.querySelector('#duplicate').scrollIntoView()")
    opened.until("document.querySelectorAll('#duplicate .pair-card img').length === 2")
