"""The page of a run in a real browser: it works, it asks nobody, it shows what the record says."""

from __future__ import annotations

import numpy as np
import pytest
from tests.pages.made_runs import colour_of, make_data, make_run

from cliplab.nouns import Skipped
from cliplab.report.gallery import choose
from cliplab.report.page import write_page

NAMES = ["cat", "dog", "owl", "fox", "<b>bat</b>"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of 200 pictures, and its page."""
    folder = tmp_path_factory.mktemp("page") / "run"
    data = make_data(NAMES, 200)
    skipped = [Skipped("cat/broken.jpg", "truncated: 12 of 400 bytes")]
    run = make_run(folder, data, skill=1.5, skipped=skipped, few_shot=True)
    return run, data, write_page([folder], dataset=data).path


def test_it_opens_in_silence_and_asks_nobody(open_page, made):
    opened = open_page(made[2])
    opened.draw_all()
    assert opened.said == []
    assert opened.outside == []
    drawn = opened.page.evaluate(
        "[...document.querySelectorAll('.chart')].map((box) => !!box.querySelector('svg.main-svg'))"
    )
    assert len(drawn) == 7  # side by side, matrix, map, two of sureness, few shots, search
    assert all(drawn)


def test_headline_numbers_are_those_of_the_record(open_page, made):
    run, _data, path = made
    opened = open_page(path)
    measures = [result["metrics"]["top1"] for result in run.record["results"]]
    assert opened.texts(".tile .big") == [f"{100 * m['value']:.1f}%" for m in measures]
    ends = [f"top-1, 95 %: {100 * m['low']:.1f} to {100 * m['high']:.1f}" for m in measures]
    assert opened.texts(".tile .ends") == ends


def test_the_filter_filters_and_the_sort_sorts(open_page, made):
    run, _data, path = made
    opened = open_page(path)
    names = "table.classes tbody th bdi"
    assert opened.texts(names) == NAMES
    opened.page.fill(".filter", "O")
    assert opened.texts(names) == ["dog", "owl", "fox"]
    assert opened.texts(".shown") == ["3 of 5 classes"]
    opened.page.fill(".filter", "")
    rows = run.record["results"][1]["per_class"]
    opened.page.click("table.classes [data-sort='1']")
    shares = {row["name"]: row["accuracy"] for row in rows}
    assert opened.texts(names) == sorted(NAMES, key=lambda name: shares[name])
    opened.page.click("table.classes [data-sort='1']")
    found = [shares[name] for name in opened.texts(names)]
    assert found == sorted(found, reverse=True)
    order = opened.page.get_attribute("table.classes th:nth-child(4)", "aria-sort")
    assert order == "descending"


def shown(opened) -> list[str]:
    return opened.page.evaluate("[...document.querySelectorAll('.card')].map((c) => c.dataset.id)")


def test_the_gallery_shows_what_the_predictions_say(open_page, made):
    run, _data, path = made
    opened = open_page(path)
    opened.page.evaluate("document.querySelector('.gallery').scrollIntoView()")
    opened.until("document.querySelectorAll('.card').length > 0")
    told = run.predictions["linear_probe"]
    opened.page.select_option(".gallery .classifier", "1")
    choice = choose(told)
    assert shown(opened) == [str(told.ids[row]) for row in choice.mistakes]
    first = choice.mistakes[0]
    said, label = int(told.predicted[first]), int(told.labels[first])
    card = opened.texts(".card")[0]
    assert f"{100 * np.exp(told.scores[first, said]):.1f} %" in card
    assert card.startswith(f"given{100 * np.exp(told.scores[first, label]):.1f} %{NAMES[label]}")
    opened.page.click("[data-view='hits']")
    assert shown(opened) == [str(told.ids[row]) for row in choice.hits]
    opened.page.click("[data-view='class']")
    opened.page.select_option(".gallery .class", "2")
    rows = choice.class_mistakes[2] + choice.class_hits[2]
    assert shown(opened) == [str(told.ids[row]) for row in rows]
    opened.page.click("[data-view='pair']")
    pair, rows = next(iter(choice.pairs.items()))
    opened.page.select_option(".gallery .pair", f"{pair[0]},{pair[1]}")
    assert shown(opened) == [str(told.ids[row]) for row in rows]


def test_each_card_has_the_picture_of_its_id(open_page, made):
    _run, data, path = made
    opened = open_page(path)
    opened.page.evaluate("document.querySelector('.gallery').scrollIntoView()")
    opened.until("document.querySelectorAll('.card img').length > 5")
    opened.until("[...document.querySelectorAll('.card img')].every((i) => i.naturalWidth > 0)")
    pixels = opened.page.evaluate("""[...document.querySelectorAll('.card')].map((card) => {
        const canvas = document.createElement('canvas').getContext('2d');
        canvas.drawImage(card.querySelector('img'), 0, 0);
        return [card.dataset.id, ...canvas.getImageData(20, 20, 1, 1).data.slice(0, 3)];
    })""")
    row_of = {str(id_): row for row, id_ in enumerate(data.ids)}
    for id_, *colour in pixels:
        assert np.abs(np.array(colour) - colour_of(row_of[id_])).max() < 12, id_


def test_a_pair_of_the_list_leads_to_its_pictures(open_page, made):
    run, _data, path = made
    opened = open_page(path)
    opened.page.click(".of-classifier:not([hidden]) .to-pair >> nth=0")
    opened.until("document.querySelectorAll('.card').length > 0")
    pair, rows = next(iter(choose(run.predictions["zero_shot"]).pairs.items()))
    assert shown(opened) == [str(run.predictions["zero_shot"].ids[row]) for row in rows]
    assert opened.page.input_value(".gallery .pair") == f"{pair[0]},{pair[1]}"


def test_a_class_of_the_table_leads_to_its_pictures(open_page, made):
    opened = open_page(made[2])
    opened.page.click("table.classes tbody tr:nth-child(4) .to-pictures")
    opened.until("document.querySelectorAll('.card').length > 0")
    assert opened.page.input_value(".gallery .class") == "3"


def test_the_map_shows_the_picture_under_the_pointer(open_page, made):
    opened = open_page(made[2])
    opened.draw_all()
    opened.page.evaluate("document.querySelector('.points').scrollIntoView({block: 'center'})")
    opened.page.hover(".points .scatterlayer .point >> nth=0", force=True)
    opened.until("!document.getElementById('tip').hidden")
    assert "given" in opened.texts("#tip")[0]
    assert opened.page.evaluate("document.querySelector('#tip img').naturalWidth") > 0


def test_the_matrix_counts_what_the_record_counts(open_page, made):
    run, _data, path = made
    opened = open_page(path)
    opened.draw_all()
    counts = opened.page.evaluate("document.querySelector('.matrix').counts")
    found = [[i, j, n] for i, row in enumerate(counts) for j, n in enumerate(row) if n]
    assert found == run.record["results"][0]["confusion"]
    opened.page.select_option(".confusion .classifier", "1")
    opened.page.evaluate("new Promise((done) => setTimeout(done, 200))")
    counts = opened.page.evaluate("document.querySelector('.matrix').counts")
    assert sum(map(sum, counts)) == 200


def test_every_chart_has_its_data_as_a_table_and_words_for_it(open_page, made):
    opened = open_page(made[2])
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    opened.until("[...document.querySelectorAll('.lazy')].every((d) => d.querySelector('table'))")
    boxes = opened.page.evaluate("""[...document.querySelectorAll('.chart-box')].map((box) => [
        box.querySelector('.chart').getAttribute('aria-label').length,
        box.querySelectorAll('details td').length])""")
    assert len(boxes) == 7
    assert all(words > 10 and cells > 4 for words, cells in boxes)


def test_it_says_what_could_not_be_read(open_page, made):
    opened = open_page(made[2])
    assert "cat/broken.jpg" in opened.texts("section:last-child table")[0]
    assert "truncated: 12 of 400 bytes" in opened.texts("section:last-child table")[0]


def test_light_and_dark_can_be_chosen(open_page, made):
    opened = open_page(made[2], color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = opened.page.evaluate(paper)
    opened.page.click("#theme")
    assert opened.texts("#theme") == ["Theme: light"]
    assert opened.page.evaluate(paper) == "rgb(255, 255, 255)" != dark
    opened.page.click("#theme")
    assert opened.page.evaluate(paper) == dark


def test_all_of_it_is_printed(open_page, made, tmp_path):
    opened = open_page(made[2])
    opened.until("page.charts.load().then(Boolean)")
    opened.page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 30_000
    assert opened.said == []
