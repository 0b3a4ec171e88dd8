"""Files of strokes: what is a drawing, what is passed over, what is listed, and lazy reading."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from cliplab.datasets.shards import SizedSource
from cliplab.datasets.strokes import (
    BadDrawing,
    StrokePictures,
    first_drawing_is_raw,
    index_strokes,
    strokes_of,
)
from cliplab.nouns import PixelSource
from cliplab.runtime.errors import DataError

SQUARE = [[[0, 255, 255, 0, 0], [0, 0, 255, 255, 0]]]


def line(key="1", drawing=SQUARE, *, recognized=True, word="cat", **more) -> bytes:
    value = {"word": word, "recognized": recognized, "key_id": key, "drawing": drawing}
    return json.dumps(value | more).encode()


@pytest.fixture
def write(tmp_path):
    """A function that writes lines as `cat.ndjson` and gives its path."""

    def write_lines(*lines: bytes):
        path = tmp_path / "cat.ndjson"
        path.write_bytes(b"\n".join(lines) + b"\n")
        return path

    return write_lines


def index(path, **options):
    return index_strokes(path, **{"recognized_only": True} | options)


def source(*indexes, size=28, is_dark=True):
    counts = [len(one.keys) for one in indexes]
    return StrokePictures(indexes, np.cumsum([0, *counts]), size, is_dark)


def test_drawings_are_found_where_they_lie(write):
    path = write(line("7"), b"", line("5", recognized=False), "é".encode(), line("6"))
    path.write_bytes(path.read_bytes().replace("é".encode() + b"\n", b""))
    found = index(path)
    assert (found.word, found.keys, found.n_unrecognized) == ("cat", ["7", "6"], 1)
    content = path.read_bytes()
    for key, at, length in zip(found.keys, found.offsets, found.lengths, strict=True):
        assert json.loads(content[at : at + length])["key_id"] == key
    assert index(path, recognized_only=False).keys == ["7", "5", "6"]


def test_a_limit_stops_at_so_many_and_does_not_read_on(write, capsys):
    path = write(line("1"), line("2", recognized=False), line("3"), b"{broken")
    assert index(path, limit=2).keys == ["1", "3"]
    assert capsys.readouterr().err == ""
    assert index(path, limit=9).keys == ["1", "3"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b'{"word": "cat", "key_id": "9", "drawing": [[[0, 1', "is cut short"),
        (b'{"word": "cat",, }', "is no JSON"),
        (b"[1, 2]", "holds list, expected an object"),
        (line(key=""), "has no key_id"),
        (line(key="../9"), "has no key_id"),
        (line(word=""), "has no word"),
        (line(word="dog"), "is a drawing of 'dog' among 'cat'"),
        (line("1"), "has the key 1 of an earlier line"),
        (b"\xff\xfe", "is "),
        (b"[" * 100_000, "is cut short"),
    ],
)
def test_lines_that_are_no_drawings_are_passed_over_and_said(write, capsys, bad, reason):
    path = write(line("1"), bad, line("2"))
    assert index(path).keys == ["1", "2"]
    assert f"{path}: passed over 1 line: line 2 {reason}" in capsys.readouterr().err


def test_many_bad_lines_are_counted(write, capsys):
    index(write(line("1"), *[b"{"] * 5))
    assert "passed over 5 lines: line 2 is cut short; line 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("drawing", "reason"),
    [
        ([], "the drawing has no strokes"),
        (None, "the drawing has no strokes"),
        ([[[], []]], "the strokes have no points"),
        ([[[1, 2], [1]]], "stroke 1 has 2 xs and 1 ys"),
        ([SQUARE[0], [[1, 2]]], "stroke 2 is not a list of xs and one of ys"),
        ([{"x": 1}], "stroke 1 is not a list of xs and one of ys"),
        ([["ab", "cd"]], "stroke 1 is not a list of xs and one of ys"),
        ([[[1, "2"], [1, 2]]], "stroke 1 has coordinates that are no numbers"),
        ([[[1, True], [1, 2]]], "stroke 1 has coordinates that are no numbers"),
        ([[[1, float("nan")], [1, 2]]], "stroke 1 has coordinates that are no numbers"),
        ([[[1, 10**400], [1, 2]]], "stroke 1 has coordinates that are no numbers"),
    ],
)
def test_drawings_that_cannot_be_drawn_are_listed_with_the_reason(write, drawing, reason):
    found = index(write(line("1"), line("2", drawing), line("3")))
    assert found.keys == ["1", "2", "3"]
    assert found.unreadable == {1: reason}
    pictures = source(found)
    assert list(pictures.sizes(np.array([2, 1, 0])) > 0) == [True, False, True]
    reads = list(pictures.open([0, 1, 2]))
    with pytest.raises(OSError, match=reason):
        reads[1]()
    assert reads[0]() == reads[2]()
    with pytest.raises(OSError, match=reason):
        pictures.pixels([1])


def test_strokes_without_points_among_others_are_nothing(write):
    assert len(strokes_of(line("1", [[[], []], *SQUARE]))) == 1


def test_a_file_without_a_drawing_is_refused(write, tmp_path):
    with pytest.raises(DataError, match=r"holds no drawing\. .*First fault: line 1 is cut short"):
        index(write(b"<html>"))
    with pytest.raises(DataError, match="no drawing that was recognised"):
        index(write(line("1", recognized=False)))
    with pytest.raises(DataError, match="cannot be read"):
        index(tmp_path / "none.ndjson")


def test_raw_drawings_are_brought_to_the_frame_of_the_simplified():
    raw = [[[100.5, 610.5], [300.0, 300.0], [0, 5]], [[100.5], [402.0], [9]]]
    strokes = strokes_of(line("1", raw))
    assert np.allclose(strokes[0], [[0, 255], [0, 0]])
    assert np.allclose(strokes[1], [[0], [51]])
    assert np.array_equal(strokes_of(line("1", [[[7], [3], [0]]]))[0], [[0], [0]])  # a dot
    outside = strokes_of(line("1", [[[0, 510], [0, 0]]]))
    assert np.array_equal(outside[0], [[0, 255], [0, 0]])
    with pytest.raises(BadDrawing, match="no strokes"):
        strokes_of(line("1", []))


def test_raw_is_told_by_the_times(write):
    raw = [[[0, 5], [0, 5], [0, 9]]]
    assert first_drawing_is_raw(write(b"{", line("1", []), line("2", raw)))
    assert index(write(line("1", []), line("2", raw))).is_raw
    assert not first_drawing_is_raw(write(line("1"), line("2", raw)))
    assert not first_drawing_is_raw(write(b"{"))


def test_pictures_come_in_any_order_and_of_several_files(tmp_path):
    indexes = []
    for word in ("cat", "dog"):
        path = tmp_path / f"{word}.ndjson"
        drawings = [[[[0, 255], [0, 25 * i]]] for i in range(4)]
        lines = [line(str(i), d, word=word) for i, d in enumerate(drawings)]
        path.write_bytes(b"\n".join(lines))
        indexes.append(index(path))
    pictures = source(*indexes, size=20)
    assert isinstance(pictures, SizedSource)
    assert isinstance(pictures, PixelSource)
    rows = [7, 0, 3, 3, 5]
    contents = [read() for read in reversed(list(pictures.open(rows)))][::-1]
    decoded = np.array([np.asarray(Image.open(io.BytesIO(c))) for c in contents])
    assert np.array_equal(decoded, pictures.pixels(rows))
    assert np.array_equal(decoded, pictures.pixels(np.array(rows)))
    assert list(pictures.sizes(np.array(rows))) == [len(c) for c in contents]
    assert contents[0] == contents[2]  # the same drawing of the other class
    assert len(set(contents)) == 3
    assert (decoded[:, 0, 0] == 255).all()
    light = source(*indexes, size=20, is_dark=False).pixels(rows)
    assert np.array_equal(light, 255 - decoded)


def test_a_file_that_goes_away_is_an_unreadable_picture(write):
    path = write(line("1"))
    pictures = source(index(path))
    path.unlink()
    (read,) = pictures.open([0])
    with pytest.raises(OSError, match=r"cat\.ndjson"):
        read()


def test_real_files_are_read_whole(shared_data, capsys):
    folder = shared_data / "quickdraw"
    simplified = sorted((folder / "strokes_simplified").glob("*.ndjson"))
    assert len(simplified) == 345
    found = [index(path, recognized_only=False) for path in simplified]
    assert sum(len(one.keys) for one in found) == 3450
    assert [one.word for one in found] == [path.stem for path in simplified]
    assert not any(one.unreadable or one.is_raw for one in found)
    raw = [index(path) for path in sorted((folder / "strokes_raw").glob("*.ndjson"))]
    assert len(raw) == 12
    assert all(one.is_raw and not one.unreadable for one in raw)
    assert capsys.readouterr().err == ""
    pixels = source(*raw, size=64).pixels(range(0, 120, 10))
    assert 0.02 < (255 - pixels).mean() / 255 < 0.3
