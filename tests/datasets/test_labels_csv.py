"""`labels.csv`: what it may say, and each fault with its line."""

from __future__ import annotations

import pytest

from cliplab.datasets.labels_csv import read_labels_csv
from cliplab.runtime.errors import DataError

FILES = ["a/1.png", "a/2.png", "b/3.png", "e\u0301.png"]


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "labels.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_labels_csv(path, FILES)

    return read


def test_paths_and_labels(read):
    table = read("path,label\na/1.png,cat\n./b/3.png, dog \n\n")
    assert table == (["a/1.png", "b/3.png"], {"label": ["cat", "dog"]}, None, None)


def test_splits_captions_and_further_tasks(read):
    table = read(
        "Path,Label,label:Mood,split,caption,other\n"
        'a/1.png,cat,happy,TRAIN,"a cat, asleep",x\n'
        "a/2.png,dog,,val,,x\n"
        "b/3.png,dog,sad,,,x\n"
    )
    assert table.labels == {"label": ["cat", "dog", "dog"], "Mood": ["happy", "", "sad"]}
    assert table.splits == ["train", "validation", ""]
    assert table.captions == ["a cat, asleep", "", ""]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_write(read, separator):
    text = "path,label\r\na/1.png,café\r\n".replace(",", separator)
    table = read(b"\xef\xbb\xbf" + text.encode())
    assert table.labels == {"label": ["café"]}
    assert table.files == ["a/1.png"]


def test_a_path_finds_its_file_however_its_accents_are_spelled(read):
    assert read("path,label\n\u00e9.png,cat\n").files == ["e\u0301.png"]


def test_a_file_of_any_suffix_may_be_named(read, tmp_path):
    (tmp_path / "scan0001").write_bytes(b"")
    assert read("path,label\nscan0001,cat\n").files == ["scan0001"]


def test_every_fault_is_listed_with_its_line(read):
    with pytest.raises(DataError) as caught:
        read(
            "path,label,split\n"
            "a/1.png,cat,train\n"
            "a/1.png,cat,train\n"
            "a/2.png,,test\n"
            "b/3.png,cat,holdout\n"
            "../secret.png,cat,train\n"
            "/etc/passwd,cat,train\n"
            "gone.png,cat,train\n"
            "a/2.png,two, fields,too many\n"
            ",cat,train\n"
        )
    message = str(caught.value)
    for expected in (
        "labels.csv cannot be used. Correct these lines:",
        "line 3: 'a/1.png' again, after line 2",
        "line 4: no label for 'a/2.png'",
        "line 5: split 'holdout'; expected train, validation or test",
        "line 6: '../secret.png' leads out of the folder",
        "line 7: '/etc/passwd' leads out of the folder",
        "line 8: there is no file 'gone.png'",
        "line 9: 4 fields, expected 3",
        "line 10: no path",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na,b\n", r"no column path: .*path,label.* found file,label"),
        ("path,class\na,b\n", r"no column label: .* found path,class"),
        ("path,label:\na,b\n", r"no column label"),
        ("path,label,label\n", r"names a column twice"),
        ("path,label,label:label\n", r"names a column twice"),
        ("", r"no column path: .* found an empty file"),
        ("path,label\n", r"names no picture: only a header"),
        ("path,label\na,caf\xe9\n".encode("latin-1"), r"not UTF-8 \(byte 16\)\. Save it as CSV"),
        ("path,label\na," + "x" * 200_000 + "\n", r"line \d+: field larger than field limit"),
    ],
)
def test_a_file_that_is_no_such_table_is_told_so(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)
