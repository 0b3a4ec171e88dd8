"""The page of drawings: numbers beside real ones, grids by class, nearest training pictures."""

from __future__ import annotations

import json
import re

import pytest
from tests.cli.conftest import make_photos

from cliplab.datasets.family import open_dataset
from cliplab.report.drawings_page import number, write_drawings_page
from cliplab.report.page import write_report

NAMES = ("red", "green", "blue")


def measure(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def scores(value: float) -> dict:
    rated = {"drawn": measure(value), "real": measure(0.9), "ratio": measure(value / 0.9)}
    names = ("top1", "top5", "taught", "frechet", "kernel", "precision", "recall", "density")
    names += ("coverage", "diversity", "near_pixels", "near_features")
    return {"n": 4, "n_matched": 4, **dict.fromkeys(names, rated)}


@pytest.fixture
def run(tmp_path):
    """A run over two folders of pictures; its numbers are made up."""
    sides = [
        open_dataset(make_photos(tmp_path / name, n, seed=n)).dataset
        for name, n in (("drawn", 4), ("real", 10))
    ]
    blocks = [
        {"name": d.name, "location": str(d.location), "digest": d.content_digest()} for d in sides
    ]
    record = {
        "schema_version": 1, "kind": "drawings", "run": "x", "created": "2026-11-25T12:00:00.000Z",
        "identity": "a" * 64,
        "drawings": {**blocks[0], "drawer": {"prior": {"weights": "b"}}, "n": 12,
                     "losses": [4.5, 3.25]},
        "dataset": {**blocks[1], "task": "label", "n_train": 24, "n_held_out": 6},
        "recognizer": {"name": "judge", "identity": {}},
        "overall": scores(0.5), "shuffled": {"top1": measure(0.3), "top5": measure(0.4)},
        "copies": {
            "nearer_pixels": measure(0.1), "nearer_features": measure(0.1),
            "identical": {"drawn": measure(0.2), "real": measure(0.2)},
            "through_tokenizer": {
                kind: {"drawn": measure(0.21), "real": measure(0.22), "ratio": measure(0.95)}
                for kind in ("pixels", "features")
            },
            "curve": {"shares": [0.0, 0.5, 1.0],
                      "pixels": {"drawn": [0.02, 0.1, 0.3], "real": [0.05, 0.125, 0.3]},
                      "features": {"drawn": [1.0, 2.0, 3.0], "real": [1.5, 2.5, 3.5]}},
            "pairs": [{"drawing": "red/00.png", "training": "blue/03.png", "pixels": 0.125,
                       "features": 3.5}],
        },
        "per_class": [{"name": name, **scores(0.2 + 0.1 * i)} for i, name in enumerate(NAMES)],
        "left_out": ["<owl>"], "skipped": [{"id": "x.png", "reason": "cut short"}],
        "skipped_count": 1, "config": {}, "timings": {"judging": 2.0}, "machine": {"cores": 2},
        "versions": {"python": "3.11"}, "seed": 0,
    }  # fmt: skip
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    return tmp_path / "run"


def test_drawings_stand_beside_real_pictures(run):
    text = write_drawings_page(run).read_text(encoding="utf-8")
    pictures = json.loads(re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)[1])
    grids = re.findall(r'data-name="(\w+)">(.*?)<div class="query|data-name', text, re.DOTALL)
    assert [name for name, _ in grids if name][:2] == ["red", "green"]
    n_held_out = 6  # two of ten of each class
    assert len(pictures) == 12 + n_held_out + 1  # and the training picture of the pair
    assert "12.5 % of a grey apart, 3.5 in features" in text
    assert "&lt;owl&gt;" in text
    assert "x.png</bdi>: cut short" in text
    assert "50.0 [40.0, 60.0]" in text
    assert "the same, pixels %, real ones through the tokenizer" in text
    assert "95.0 [85.0, 105.0]" in text


def charts_of(page):
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found[1])["charts"]


def test_curves_of_training_and_of_the_nearest_pictures(run):
    page = write_drawings_page(run)
    charts = charts_of(page)
    assert charts["losses"]["data"][0]["y"] == [4.5, 3.25]
    drawn, real = charts["near-pixels"]["data"]
    assert drawn["x"] == [2.0, 10.0, 30.0]
    assert real["y"] == [0, 50, 100]
    assert charts["near-features"]["data"][1]["x"] == [1.5, 2.5, 3.5]
    text = page.read_text(encoding="utf-8")
    assert "Half of the drawings lie within 10.0 of a training picture in pixels" in text
    assert "fell from 4.50 to 3.25" in text


def test_a_record_without_curves_has_its_page_all_the_same(run):
    record = json.loads((run / "record.json").read_text())
    del (
        record["copies"]["curve"],
        record["copies"]["through_tokenizer"],
        record["drawings"]["losses"],
    )
    (run / "record.json").write_text(json.dumps(record))
    assert list(charts_of(write_drawings_page(run))) == ["shares"]


def test_report_finds_it_by_name(run, tmp_path):
    assert write_report(["run"], root=tmp_path).path == run / "report.html"


def test_without_pictures_it_says_so(run, tmp_path):
    import shutil

    shutil.rmtree(tmp_path / "drawn")
    text = write_drawings_page(run).read_text(encoding="utf-8")
    assert "The drawings are not shown: Unknown data set" in text
    assert "The real pictures are not shown" not in text


@pytest.mark.parametrize(
    ("given", "shown"),
    [(None, "–"), ({"value": None, "low": None, "high": None}, "–"),
     ({"value": 12.34, "low": None, "high": None}, "12.3"), (measure(2.0), "2 [1.9, 2.1]")],
)  # fmt: skip
def test_numbers_that_are_no_shares(given, shown):
    assert number(given) == shown
