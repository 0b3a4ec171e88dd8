"""Names and pictures that mean harm: they are shown as text, and nothing of theirs runs."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image, PngImagePlugin
from tests.pages.made_runs import Coloured, make_data, make_run

from cliplab.nouns import Skipped
from cliplab.report.page import write_page

RUN = "window.hacked=1"
NAMES = [
    f"<script>{RUN}</script>",
    f'"><img src=x onerror="{RUN}">',
    f"</script><script>{RUN}</script>",
    f"<!--<script>{RUN}",
    f"</title></style></textarea><svg onload={RUN}>",
    f"'); {RUN}; ('",
    f"{{{{ 7 * 7 }}}} {{% set x = 1 %}} ${{{RUN}}} %{{x}}",
    f'<a href="javascript:{RUN}">link</a><b>bold</b><br>&lt;i&gt;',
    "قطة جميلة",
    "\u202egpj.exe\u202c end",
    "line\u2028separator\u2029 and \x07 bell",
    "n" * 300,
]
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RUN}"><script>{RUN}</script></svg>'


def jpeg_with_notes() -> bytes:
    """A readable picture whose comment, EXIF and trailing bytes are markup."""
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = f"<script>{RUN}</script>"
    picture = Image.new("RGB", (80, 60), (200, 10, 10))
    picture.save(stream, "JPEG", exif=exif, comment=SVG.encode())
    return stream.getvalue() + SVG.encode()


def png_with_notes() -> bytes:
    stream, notes = io.BytesIO(), PngImagePlugin.PngInfo()
    notes.add_text("Comment", SVG)
    Image.new("RGB", (20, 20), (10, 10, 200)).save(stream, "PNG", pnginfo=notes)
    return stream.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Page of a run in which everything that may come from others is hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    pictures = {0: SVG.encode(), 1: jpeg_with_notes(), 2: png_with_notes()}
    ids = [f"{i}/{NAMES[i % len(NAMES)]}.jpg" for i in range(96)]
    data = make_data(NAMES, 96, ids, Coloured(pictures))
    evil = NAMES[2]
    make_run(
        folder, data, skill=0.5, encoder=evil, template=f"a {{}} {NAMES[1]}", few_shot=True,
        skipped=[Skipped(NAMES[0], NAMES[1])], warnings=[NAMES[0]], name=NAMES[1], licence=evil,
    )  # fmt: skip
    return write_page([folder], dataset=data).path


@pytest.mark.parametrize("guarded", [True, False], ids=["with its policy", "without"])
def test_nothing_runs(open_page, path, guarded):
    opened = open_page(path, bypass_csp=not guarded)
    opened.draw_all()
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for view in ("mistakes", "hits", "class", "pair"):
        opened.page.evaluate(f"document.querySelector(\"[data-view='{view}']\").click()")
    for place in range(4):
        opened.page.evaluate(
            "(i) => { const s = document.querySelector('.highlight'); s.value = String(i);"
            " s.dispatchEvent(new Event('change')); }", place,
        )  # fmt: skip
    opened.page.evaluate("document.querySelector('.points').scrollIntoView({block: 'center'})")
    opened.page.evaluate("new Promise((done) => setTimeout(done, 300))")
    opened.page.hover(".points .scatterlayer .point >> nth=0", force=True)
    opened.page.hover(".matrix .heatmaplayer", force=True)
    assert opened.page.evaluate("window.hacked") is None
    assert opened.said == []
    assert opened.outside == []


def test_names_are_shown_as_they_are(open_page, path):
    opened = open_page(path)
    shown = opened.page.evaluate(
        "[...document.querySelectorAll('table.classes tbody th bdi')].map((b) => b.textContent)"
    )
    assert shown == NAMES
    assert opened.texts(".note.warning") == [NAMES[0]]
    count = "(selector) => document.querySelectorAll(selector).length"
    assert opened.page.evaluate(count, "script") <= 5
    assert opened.page.evaluate(count, "img:not([src^='data:'])") == 0
    assert opened.page.evaluate(count, "a[href]:not([href^='#'])") == 0


def test_labels_of_charts_are_text(open_page, path):
    opened = open_page(path)
    opened.draw_all()
    ticks = opened.texts(".matrix .ytick text")
    assert "<script>window.hack…" in ticks
    assert opened.page.evaluate("document.querySelectorAll('.chart svg a').length") == 0
    assert not [text for text in ticks if text.startswith(("link", "bold"))]


def test_pictures_are_pixels_alone(path):
    text = path.read_text(encoding="utf-8")
    addresses = re.findall(r"data:image/(\w+);base64,([A-Za-z0-9+/=]+)", text)
    assert len(addresses) > 20
    for kind, encoded in addresses:
        data = base64.b64decode(encoded)
        assert kind in ("png", "webp", "jpeg")
        assert b"hacked" not in data
        assert b"svg" not in data
        assert Image.open(io.BytesIO(data)).size[0] > 0
