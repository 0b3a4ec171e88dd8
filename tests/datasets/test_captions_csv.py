"""`captions.csv`: several captions a picture, with or without classes beside it."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.datasets.captions_csv import read_captions_csv
from cliplab.datasets.family import open_dataset
from cliplab.datasets.splits import fixed_split
from cliplab.nouns import CAPTIONS_ALONE
from cliplab.protocol import EvaluateConfig, open_subject
from cliplab.runtime.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """A folder to fill."""
    place = tmp_path / "pictures"
    place.mkdir()
    return place


def fill(folder, text, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "captions.csv").write_text(text, encoding="utf-8")
    return folder


def test_several_captions_a_picture_in_the_order_of_lines(folder):
    text = 'picture,caption\n2.png,a dog\n1.png,a cat\n2.png,"a dog, asleep"\n'
    dataset, task = open_dataset(fill(folder, text, "1.png", "2.png"))
    assert list(dataset.ids) == ["1.png", "2.png"]
    assert dataset.captions == [("a cat",), ("a dog", "a dog, asleep")]
    assert (task, dataset.task()) == ("captions", CAPTIONS_ALONE)
    assert list(dataset.labels["captions"]) == [-1, -1]
    assert len(dataset.rows("captions")) == 0
    assert dataset.location == folder


@pytest.mark.parametrize(
    "header", ["image,caption", "path,text", "Picture;Caption", "file\tcaption"]
)
def test_columns_by_their_usual_names_and_separators(folder, header):
    separator = next(sign for sign in ",;\t" if sign in header)
    fill(folder, f"\ufeff{header}\né.png{separator}un été\n", "e\u0301.png")
    table = read_captions_csv(folder / "captions.csv", ["e\u0301.png"])
    assert table.captions == {"e\u0301.png": ["un été"]}
    assert table.splits is None


def test_a_split_may_stand_on_any_line_of_a_picture(folder):
    text = "picture,caption,split\n1.png,a,\n2.png,b,val\n1.png,c,train\n3.png,d,\n"
    table = read_captions_csv(fill(folder, text, "1.png", "2.png", "3.png") / "captions.csv", [])
    assert table.splits == {"1.png": "train", "2.png": "validation", "3.png": ""}
    dataset = open_dataset(folder).dataset
    assert list(dataset.splits["captions"]) == ["train", "test", ""]  # validation stands in
    assert dataset.split_origin == "given"


def test_without_splits_the_fixed_one_is_made_over_all_pictures(folder):
    names = [f"{i}.png" for i in range(20)]
    lines = "".join(f"{name},caption {name}\n" for name in names)
    dataset = open_dataset(fill(folder, "picture,caption\n" + lines, *names)).dataset
    expected = fixed_split(dataset.ids, np.zeros(20, dtype=np.int64))
    assert list(dataset.splits["captions"]) == list(expected)
    assert dataset.split_origin == "fixed"


def test_split_folders_without_classes_are_splits(folder):
    names = ("train/1.png", "train/2.png", "test/3.png")
    text = "picture,caption\n" + "".join(f"{name},x {name}\n" for name in names)
    dataset = open_dataset(fill(folder, text, *names)).dataset
    assert dict(zip(dataset.ids, dataset.splits["captions"], strict=True)) == {
        "test/3.png": "test",
        "train/1.png": "train",
        "train/2.png": "train",
    }


def test_pictures_without_a_caption_are_passed_over_where_there_are_no_classes(folder, capsys):
    text = "picture,caption\nimages/1.png,a\nimages/2.png,b\n"
    names = [f"images/{i}.png" for i in (1, 2, 3)]
    assert len(open_dataset(fill(folder, text, *names)).dataset) == 2
    said = capsys.readouterr().err
    assert "passed over 1 picture not in captions.csv: images/3.png" in said


def test_beside_class_folders_captions_are_added(folder, capsys):
    text = "picture,caption,split\na/1.png,one,train\na/1.png,uno,\nb/2.png,two,test\nc.png,x,\n"
    dataset, task = open_dataset(fill(folder, text, "a/1.png", "b/2.png", "b/3.png", "c.png"))
    assert task == "label"
    assert dataset.task().class_names == ("a", "b")
    assert dataset.captions == [("one", "uno"), ("two",), ()]
    assert list(dataset.splits["label"]) == ["train", "test", ""]
    said = capsys.readouterr().err
    assert "1 picture of captions.csv without a class: c.png" in said
    assert "suffix" not in said


def test_beside_a_labels_csv_captions_of_both_are_kept(folder):
    fill(folder, "picture,caption,split\n1.png,second,test\n", "1.png", "2.png")
    (folder / "labels.csv").write_text("path,label,caption\n1.png,a,first\n2.png,b,\n")
    dataset = open_dataset(folder).dataset
    assert dataset.captions == [("first", "second"), ()]
    (folder / "labels.csv").write_text("path,label,split\n1.png,a,train\n2.png,b,test\n")
    dataset = open_dataset(folder).dataset  # the splits of labels.csv come first
    assert list(dataset.splits["label"]) == ["train", "test"]
    assert dataset.captions == [("second",), ()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column picture: .*found an empty file"),
        ("caption\nx\n", "has no column picture: its first line must be picture,caption"),
        ("picture,label\n1.png,x\n", "has no column caption"),
        ("picture,caption,caption\n", "names a column twice"),
        ("picture,caption\n", "has no caption: only a header"),
        ("picture,caption\n1.png\n", "line 2: 1 fields, expected 2"),
        ("picture,caption\n1.png,\n", "line 2: no caption for '1.png'"),
        ("picture,caption\n,x\n", "line 2: no path"),
        ("picture,caption\n../1.png,x\n", r"line 2: '../1.png' leads out of the folder"),
        ("picture,caption\n9.png,x\n", "line 2: there is no file '9.png'"),
        ("picture,caption,split\n1.png,x,tset\n", "line 2: split 'tset'; expected train"),
        (
            "picture,caption,split\n1.png,x,train\n1.png,y,test\n",
            "line 3: '1.png' is test here, train above",
        ),
    ],
)
def test_every_fault_is_named_with_its_line(folder, text, message):
    with pytest.raises(DataError, match=message):
        open_dataset(fill(folder, text, "1.png"))


def test_all_faults_are_told_at_once(folder):
    with pytest.raises(DataError) as error:
        open_dataset(fill(folder, "picture,caption\n1.png,\n2.png,x\n", "1.png"))
    assert "line 2" in str(error.value)
    assert "line 3" in str(error.value)


def test_what_has_no_classes_cannot_be_told_apart(folder):
    fill(folder, "picture,caption\n1.png,a\n2.png,b\n", "1.png", "2.png")
    for config in (EvaluateConfig(), EvaluateConfig(classes=folder / "captions.csv")):
        with pytest.raises(DataError, match=r"has captions and no classes, .*:retrieval"):
            open_subject(str(folder), config)
