"""What a reader's eye needs: no scrolling sideways on a phone, and text that stands out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.pages.made_runs import make_data, make_run

from cliplab.report.page import write_page

PHONE = {"width": 390, "height": 844}
CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Page of a run with all that a page can show, long names among it."""
    folder = tmp_path_factory.mktemp("looks") / "run"
    names = ["cat", "dog", "x" * 300, "a name of very many words " * 9, *map(str, range(40))]
    data = make_data(names, 440)
    classifiers = ("zero_shot", "linear_probe", "knn")
    make_run(folder, data, skill=1.0, few_shot=True, classifiers=classifiers, warnings=["w" * 200])
    return write_page([folder], dataset=data).path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(open_page, path, scheme):
    opened = open_page(path, color_scheme=scheme)
    opened.draw_all()
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    opened.page.evaluate(
        "document.querySelectorAll('[hidden]').forEach((e) => { e.hidden = false; })"
    )
    found = opened.page.evaluate(CONTRAST)
    assert len(found) > 25
    assert {key: ratio for key, ratio in found.items() if ratio < 4.5} == {}


def test_the_measure_of_contrast_sees_pale_text(open_page, path):
    opened = open_page(path)
    opened.page.evaluate("document.querySelector('.lede').style.color = '#aaa'")
    assert opened.page.evaluate(CONTRAST)["P.lede"] < 4.5


def test_a_phone_never_scrolls_sideways(open_page, path):
    opened = open_page(path, viewport=PHONE, is_mobile=True, has_touch=True)
    opened.draw_all()
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for view in ("mistakes", "class", "pair"):
        opened.page.evaluate(f"document.querySelector(\"[data-view='{view}']\").click()")
        widths = opened.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths == [390, 390]


def test_classes_are_bars_on_a_phone_too(open_page, path):
    opened = open_page(path, viewport=PHONE)
    boxes = opened.page.evaluate(
        "[...document.querySelectorAll('td.bar .track')].slice(0, 9).map((t) => t.clientWidth)"
    )
    assert min(boxes) > 100
