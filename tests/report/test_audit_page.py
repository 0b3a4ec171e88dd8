"""The page of an audit: findings by kind, with their pictures."""

from __future__ import annotations

from typing import NamedTuple

from tests.pages.made_runs import make_data

from cliplab.report.audit_page import SHOWN, write_audit_page


class Finding(NamedTuple):
    path: str
    kind: str
    given: str = ""
    suggested: str = ""
    score: float | None = None
    other_path: str = ""
    reason: str = "why <i>"


def page(tmp_path, *findings: Finding) -> str:
    data = make_data(["cat", "dog"], 80)
    about = {
        "dataset": "/x/made", "task": "label", "encoder": "toy", "n": 80, "n_labelled": 80,
        "threshold": 0.95, "probe_accuracy": 0.875, "counts": {}, "n_across_splits": 1,
        "notes": ("look <twice>",), "findings": findings,
    }  # fmt: skip
    write_audit_page(tmp_path / "review.html", data, about)
    return (tmp_path / "review.html").read_text(encoding="utf-8")


def test_each_finding_has_its_picture_and_reason(tmp_path):
    ids = make_data(["cat", "dog"], 80).ids.tolist()
    text = page(
        tmp_path,
        Finding(ids[0], "label", "cat", "dog"),
        Finding(ids[1], "duplicate", "dog", "", 0.99, ids[2]),
        Finding("gone.jpg", "unreadable", reason="truncated"),
        Finding("", "small class", "<owl>"),
    )
    assert text.count("data-picture=") == 3
    assert "why &lt;i&gt;" in text
    assert "look &lt;twice&gt;" in text
    assert "<td><bdi>&lt;owl&gt;</bdi></td>" in text
    assert "truncated" in text
    assert "the probe says 87.5 % of the labels" in text
    assert "<b>1</b> have their two in different splits" in text


def test_the_first_of_many_are_shown_and_it_says_so(tmp_path):
    ids = make_data(["cat", "dog"], 80).ids.tolist()
    text = page(tmp_path, *(Finding(id_, "odd", "cat") for id_ in ids))
    assert text.count("data-picture=") == SHOWN
    assert f"The first {SHOWN} are shown; the list to review has all." in text
    assert "Odd pictures <small>80</small>" in text
