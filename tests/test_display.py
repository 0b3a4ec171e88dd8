"""The nouns in a notebook: what they say, and that names from data stay text."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from cliplab.datasets.family import open_dataset
from cliplab.display import LONGEST_NAME, bar_html, name_html
from cliplab.nouns import Card, Dataset, Embeddings, Predictions, Record, Skipped, Task

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp;",
    "</td></table><h1>x</h1>",
    "\u202eedoc\u202c \x1b[31m\x00",
    "שלום",
    "x" * 300,
    "\ud800",
]
ALLOWED = {
    *("div", "p", "b", "bdi", "span", "table", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary"),
}


class Read(HTMLParser):
    """Tags, attributes and text of a page; fails on a tag that nobody of ours writes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.titles = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= {"style", "title", "aria-hidden"}
        assert all("url(" not in value for name, value in attrs if name == "style")
        self.titles += [value for name, value in attrs if name == "title"]
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def _text(noun) -> str:
    html = noun._repr_html_()
    html.encode()  # no lone surrogate is left
    return "".join(Read(html).text)


def _dataset(names) -> Dataset:
    n = len(names)
    column = np.array(["train"] * (n - 1) + ["test"], dtype=object)
    return Dataset(
        name=names[0],
        tasks={names[0]: Task(names[0], tuple(names))},
        ids=np.array(names, dtype=object),
        labels={names[0]: np.arange(n)},
        splits={names[0]: column},
        digests=np.array(["0" * 64] * n, dtype=object),
        source=None,
        card=Card(licence=names[1]),
        split_origin="fixed",
    )


def _record(names, retrieval=None) -> Record:
    measure = {"value": 0.5, "low": 0.25, "high": 0.75}
    unscored = {"value": None, "low": None, "high": None}
    per_class = [
        {"name": n, "n": 4, "correct": 2, "accuracy": 0.5, "low": 0.2, "high": 0.8, "few": True}
        for n in names
    ]
    per_class[-1] |= {"n": 0, "accuracy": None, "low": None, "high": None}
    results = [
        {
            "classifier": {"name": names[0], "settings": {}},
            "metrics": {"top1": measure, "top5": unscored, "mean_per_class": measure},
            "per_class": per_class,
        }
    ]
    data = {
        "run": names[1],
        "dataset": {"name": names[2], "task": names[3], "split": "test", "n": 8, "n_total": 1234},
        "encoder": {"name": names[4]},
        "results": [] if retrieval else results,
        "skipped": [{"id": names[0], "reason": names[1], "split": "test"}],
        "warnings": [names[1]],
    }
    return Record(data | ({"retrieval": retrieval} if retrieval else {}))


def test_a_record_is_a_table_with_bars():
    record = _record(["a", "b", "c", "d", "e"])
    text = _text(record)
    assert "8 pictures of 1,234" in text
    assert "50.0 [25.0, 75.0]" in text
    assert "–" in text  # not scored is not zero
    assert "width:50.0%" in record._repr_html_()


def test_a_record_of_retrieval_shows_what_was_found():
    shown = {"metrics": {"mAP": {"value": 0.375, "low": 0.3, "high": 0.4}}}
    text = _text(_record(["a", "b", "c", "d", "e"], retrieval=shown))
    assert "mAP37.5 [30.0, 40.0]" in text


def test_a_record_of_another_kind_shows_its_plain_entries():
    text = _text(Record({"kind": "tokenizer", "seed": 3, "deep": {"no": 1}}))
    assert text == "recordkindtokenizerseed3"


def test_a_record_of_a_tokenizer_shows_what_was_measured():
    measures = {"l1": {"value": 0.03125, "low": 0.03, "high": 0.0325}, "more": 2}
    unscored = {"psnr": {"value": None, "low": None, "high": None}}
    distances = {"reconstruction": measures, "<b>": unscored}
    text = _text(Record({"kind": "tokenizer", "distances": distances}))
    assert "distances · reconstruction · l10.031250.03 to 0.0325" in text
    assert "distances · <b> · psnr––" in text


def test_many_classes_are_cut_and_counted():
    text = _text(_record([f"class {n}" for n in range(450)]))
    assert "class 399" in text
    assert "class 400" not in text
    assert "and 50 more" in text


def test_a_data_set_says_its_tasks_splits_and_licence():
    text = _text(_dataset(["ants", "bees", "cats", "dogs"]))
    assert "ants: 4 pictures" in text
    assert "ants, bees, cats, …43–1" in text
    assert "licence: bees" in text


def test_embeddings_say_what_they_are():
    embeddings = Embeddings(
        ids=np.array(["a", "b"], dtype=object),
        vectors=np.zeros((2, 16), np.float32),
        features=None,
        labels=np.zeros(2, np.int64),
        class_names=("x",),
        identity={"name": "toy", "precision": "fp32", "architecture": {"digest": "0"}},
        skipped=(Skipped("c", "broken"),),
    )
    text = _text(embeddings)
    assert "pictures2joint space16 wide, raw" in text
    assert "no such layer" in text
    assert "nametoyprecisionfp32" in text
    assert "could not be read1" in text


def _predictions(names) -> Predictions:
    scores = np.log(np.full((len(names), len(names)), 0.1, np.float32))
    scores[:, 0] = np.log(0.9)
    scores[-1, 0] = np.log(0.95)
    ids = np.array([f"{n}.png" for n in names], dtype=object)
    return Predictions(ids, np.arange(len(names)), scores, tuple(names))


def test_predictions_count_the_right_and_list_the_surest_mistakes():
    text = _text(_predictions(["ant", "bee", "cat"]))
    assert "1 of 3 right (33.3 %), 3 classes" in text
    assert text.endswith("cat.pngcatant95.0bee.pngbeeant90.0")


def test_predictions_of_nothing_show_nothing_wrong():
    none = np.zeros(0, np.int64)
    found = Predictions(none.astype(object), none, np.zeros((0, 2), np.float32), ("a", "b"))
    assert _text(found) == "0 of 0 right, 2 classes"


@pytest.mark.parametrize("make", [_dataset, _record, _predictions])
def test_hostile_names_stay_text(make):
    text = _text(make(HOSTILE))
    assert "<script>alert(1)</script>" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_long_name_is_cut_and_whole_in_its_tooltip():
    long = "a&" * 150
    read = Read(name_html(long))
    assert len("".join(read.text)) == LONGEST_NAME
    assert read.titles == [long]


def test_a_bar_without_a_value_is_nothing_and_an_interval_stays_inside():
    assert bar_html(None) == ""
    assert "left:0.0%;width:100.0%" in bar_html(0.5, -0.5, 1.5)


def test_a_data_set_says_what_it_is_in_a_line():
    digits = open_dataset("digits").dataset
    assert repr(digits) == "Dataset('digits', 1,797 pictures; classes: digit (10))"
