"""Files of drawings as one data set: classes, keys, splits, options, one look."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cliplab.datasets.drawings import (
    DrawingOptions,
    class_names,
    class_of,
    kinds_of,
    read_drawings,
)
from cliplab.datasets.splits import hashed_split
from cliplab.nouns import Card
from cliplab.runtime.errors import DataError, UsageError


def drawing(key: str, word: str, step: int = 40, *, recognized=True, times=False) -> str:
    stroke = [[0, 255, step], [0, step, 255]] + ([[0, 9, 20]] if times else [])
    return json.dumps({"word": word, "key_id": key, "recognized": recognized, "drawing": [stroke]})


def strokes(folder, *words: str, n: int = 6, **more):
    paths = []
    for word in words:
        path = folder / f"{word}.ndjson"
        lines = [drawing(f"{len(word)}{i}", word, 10 * i, **more) for i in range(n)]
        path.write_text("\n".join(lines))
        paths.append(path)
    return paths


def bitmaps(folder, *words: str, n: int = 6, side: int = 28):
    paths = []
    for word in words:
        values = np.random.default_rng(len(word)).integers(0, 256, (n, side * side), dtype=np.uint8)
        np.save(folder / f"{word}.npy", values)
        paths.append(folder / f"{word}.npy")
    return paths


def read(paths, **options):
    return read_drawings(paths, name="d", options=DrawingOptions(**options), card=Card("A card."))


def test_the_345_classes_are_those_of_the_collection(shared_data):
    listed = (shared_data / "quickdraw" / "categories.txt").read_text().splitlines()
    assert list(class_names()) == listed
    assert len(set(class_names())) == 345


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "cat"),
        ("full_numpy_bitmap_cat", "cat"),
        ("full_simplified_The Great Wall of China", "The Great Wall of China"),
        ("full_raw_t-shirt", "t-shirt"),
        ("aircraft_carrier", "aircraft carrier"),
        ("THE_MONA_LISA", "The Mona Lisa"),
        ("my_own_class", "my_own_class"),
    ],
)
def test_a_file_is_called_after_its_class(name, expected):
    assert class_of(name) == expected


def test_classes_stand_in_the_collections_order_and_others_behind(tmp_path):
    paths = strokes(tmp_path, "zigzag", "The Eiffel Tower", "my thing", "tent", "a thing")
    found = read(paths)
    assert found.task().class_names == ("tent", "The Eiffel Tower", "zigzag", "a thing", "my thing")
    assert list(found.labels["label"]) == sorted(found.labels["label"])


def test_ids_and_splits_are_those_of_keys(tmp_path):
    found = read(strokes(tmp_path, "cat", "apple"))
    assert list(found.ids[:2]) == ["apple/50.png", "apple/51.png"]
    keys = [f"{n}{i}" for n in (5, 3) for i in range(6)]
    assert list(found.splits["label"]) == list(hashed_split(keys))
    assert found.split_origin == "hashed"
    assert set(found.digests) == {""}
    bits = read(bitmaps(tmp_path, "cat", "apple", n=30))
    assert list(bits.ids[29:31]) == ["apple/29.png", "cat/0.png"]
    assert list(bits.splits["label"]) == list(hashed_split(id_[:-4] for id_ in bits.ids))


def test_a_drawing_keeps_its_split_however_many_are_taken(tmp_path):
    paths = bitmaps(tmp_path, "cat", "dog", n=40)
    every, some = read(paths), read(paths, per_class=15)
    whole = dict(zip(every.ids, every.splits["label"], strict=True))
    assert len(some) == 30
    assert all(whole[i] == s for i, s in zip(some.ids, some.splits["label"], strict=True))
    rows = [list(every.ids).index(id_) for id_ in some.ids]
    assert np.array_equal(some.source.pixels(range(30)), every.source.pixels(rows))


def test_one_look_for_all_readers(tmp_path):
    found = [read(bitmaps(tmp_path, "cat", "dog")), read(strokes(tmp_path, "cat", "dog"), size=28)]
    light = [
        read(bitmaps(tmp_path, "cat", "dog"), look="light"),
        read(strokes(tmp_path, "cat", "dog"), size=28, look="light"),
    ]
    stored = np.load(tmp_path / "cat.npy").reshape(-1, 28, 28)
    assert np.array_equal(light[0].source.pixels([2])[0], stored[2])
    for dark, other in zip(found, light, strict=True):
        assert np.array_equal(dark.source.pixels(range(12)), 255 - other.source.pixels(range(12)))
    assert np.median(found[1].source.pixels(range(12))) == 255  # the paper is white


def test_strokes_are_drawn_at_the_size_asked_for_and_bitmaps_stay(tmp_path):
    paths = strokes(tmp_path, "cat", "dog")
    assert read(paths).source.side == (64, 64)
    assert read(paths, size=100).source.pixels([0]).shape == (1, 100, 100)
    assert read(bitmaps(tmp_path, "cat", "dog"), size=28).source.side == (28, 28)
    with pytest.raises(UsageError, match=r"--size 64: the bitmaps are 28x28 .* quickdraw/strokes"):
        read(bitmaps(tmp_path, "cat", "dog"), size=64)


def test_drawings_that_were_not_recognised_are_left_out_and_counted(tmp_path, capsys):
    paths = strokes(tmp_path, "cat", "dog")
    with paths[0].open("a") as stream:
        stream.write("\n" + drawing("77", "cat", recognized=False))
    assert len(read(paths)) == 12
    assert "1 drawings that the game did not recognise are left out" in capsys.readouterr().err
    assert "cat/77.png" in read(paths, all_drawings=True).ids


def test_kinds_are_told_by_what_the_files_hold(tmp_path):
    simplified = strokes(tmp_path, "cat")
    raw = strokes(tmp_path, "dog", times=True)
    arrays = bitmaps(tmp_path, "ant")
    found = kinds_of([*simplified, *raw, *arrays, tmp_path / "notes.txt"])
    assert found == {"strokes": simplified, "raw": raw, "bitmaps": arrays}


def test_what_cannot_be_one_data_set_is_refused(tmp_path):
    (tmp_path / "more").mkdir()
    cat = bitmaps(tmp_path, "cat", "dog")
    again = bitmaps(tmp_path / "more", "cat")
    with pytest.raises(DataError, match=r"1 classes are there twice, such as 'cat': .*more/cat"):
        read([*cat, *again])
    with pytest.raises(DataError, match=r"several sizes: 28x28 \(2 classes\), 16x16 \(1 classes\)"):
        read([*cat, *bitmaps(tmp_path / "more", "ant", side=16)])
    with pytest.raises(DataError, match="one class alone"):
        read(cat[:1])


def test_a_class_without_drawings_is_left_out_and_said(tmp_path, capsys):
    found = read([*bitmaps(tmp_path, "cat", "dog"), *bitmaps(tmp_path, "ant", n=0)])
    assert found.task().class_names == ("cat", "dog")
    assert "Classes without a drawing are left out: ant" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 7}, "--size 7"),
        ({"size": 2000}, "--size 2000"),
        ({"per_class": 0}, "--per-class 0"),
        ({"look": "blue"}, "--look blue"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UsageError, match=message):
        DrawingOptions(**options)


def test_the_whole_list_of_real_strokes(shared_data):
    folder = shared_data / "quickdraw" / "strokes_simplified"
    found = read(sorted(folder.glob("*.ndjson")), all_drawings=True)
    assert len(found) == 3450
    assert found.task().class_names == class_names()
    assert (np.bincount(found.labels["label"]) == 10).all()
    share = {s: len(found.rows("label", s)) / 3450 for s in ("train", "validation", "test")}
    assert share["train"] == pytest.approx(0.8, abs=0.03)
    assert share["test"] == pytest.approx(0.1, abs=0.02)
