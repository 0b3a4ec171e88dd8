"""A folder of pictures: its layouts, its splits, and what is said when it cannot be used."""

from __future__ import annotations

import csv
import hashlib
import os

import numpy as np
import pytest

from cliplab.datasets import folder
from cliplab.datasets.folder import open_folder
from cliplab.datasets.splits import fixed_split
from cliplab.runtime.errors import DataError, StorageError, UsageError


@pytest.fixture
def fill(tmp_path):
    """A function that puts files with contents of their own into a folder and gives it."""

    def fill(*names, text=None):
        root = tmp_path / "photos"
        root.mkdir(exist_ok=True)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(name.encode())
        if text is not None:
            (root / "labels.csv").write_text(text, encoding="utf-8")
        return root

    return fill


@pytest.fixture
def opened(home):
    def opened(root):
        return open_folder(root, name="photos/", home=home)

    return opened


def labelled(dataset, task="label"):
    names = dataset.tasks[task].class_names
    return {
        id_: names[label] if label >= 0 else None
        for id_, label in zip(dataset.ids, dataset.labels[task], strict=True)
    }


def split(dataset, task="label"):
    return dict(zip(dataset.ids, dataset.splits[task], strict=True))


def test_class_folders_with_pictures_at_any_depth(fill, opened):
    dataset = opened(fill("sea_horse/1.jpg", "sea_horse/wild/2.png", "cat/1.jpg", "cat/2.jpg"))
    assert labelled(dataset) == {
        "cat/1.jpg": "cat",
        "cat/2.jpg": "cat",
        "sea_horse/1.jpg": "sea horse",
        "sea_horse/wild/2.png": "sea horse",
    }
    assert dataset.name == "photos/"
    assert dataset.split_origin == "fixed"
    expected = fixed_split(dataset.ids, dataset.labels["label"])
    assert (dataset.splits["label"] == expected).all()


def test_pictures_are_read_where_they_lie_and_digested(fill, opened):
    dataset = opened(fill("cat/1.jpg", "dog/1.jpg"))
    contents = [read() for read in dataset.source.open([1, 0, 1])]
    assert contents == [b"dog/1.jpg", b"cat/1.jpg", b"dog/1.jpg"]
    assert dataset.digests[1] == hashlib.sha256(b"dog/1.jpg").hexdigest()


def test_classes_are_numbered_by_folder_name_and_numbers_by_value(fill, opened):
    assert opened(fill("b/1.jpg", "B/1.jpg", "a/1.jpg")).task().class_names == ("B", "a", "b")


def test_numbers_are_ordered_by_value(fill, opened):
    assert opened(fill("10/1.jpg", "9/1.jpg", "0/1.jpg")).task().class_names == ("0", "9", "10")


def test_split_folders_with_classes_over_all_of_them(fill, opened):
    dataset = opened(fill("Train/cat/1.jpg", "Train/dog/2.jpg", "val/cat/3.jpg", "TEST/emu/4.jpg"))
    assert dataset.task().class_names == ("cat", "dog", "emu")
    assert split(dataset) == {
        "TEST/emu/4.jpg": "test",
        "Train/cat/1.jpg": "train",
        "Train/dog/2.jpg": "train",
        "val/cat/3.jpg": "validation",
    }
    assert dataset.split_origin == "given"


def test_without_a_test_folder_validation_stands_in(fill, opened):
    dataset = opened(fill("train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg"))
    assert split(dataset)["valid/cat/3.jpg"] == "test"
    assert dataset.split_origin == "given"


def test_training_pictures_alone_are_divided(fill, opened):
    dataset = opened(fill(*(f"train/{c}/{i}.jpg" for c in "ab" for i in range(5))))
    assert sorted(split(dataset).values()) == ["test"] * 2 + ["train"] * 8
    assert dataset.split_origin == "fixed"


def test_a_test_folder_alone_is_all_test(fill, opened):
    dataset = opened(fill("test/cat/1.jpg", "test/dog/1.jpg"))
    assert set(split(dataset).values()) == {"test"}
    assert dataset.task().class_names == ("cat", "dog")


def test_a_class_may_be_called_as_a_split_is(fill, opened):
    dataset = opened(fill("train/1.jpg", "car/1.jpg"))
    assert dataset.task().class_names == ("car", "train")


def test_what_is_passed_over_is_counted_once_on_stderr(fill, opened, capsys):
    root = fill("cat/1.jpg", "dog/1.jpg", "cat/a.txt", "b.json", "c.md", "d.md", "top.jpg")
    (root / "drawings.json").write_text("{}")  # what `cliplab draw` leaves is no surprise
    (root / "emu").mkdir()
    for _ in range(2):
        assert len(opened(root)) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{root}: passed over 1 picture beside the class folders: top.jpg",
        f"{root}: passed over 4 files without a picture's suffix: b.json, c.md, cat/a.txt "
        "and 1 more",
        f"{root}: passed over 1 folder without pictures: emu",
    ]


def test_domains_that_are_taken_for_classes_are_named(fill, opened, capsys):
    root = fill("photo/cat/1.jpg", "photo/dog/1.jpg", "sketch/cat/1.jpg", "sketch/dog/2.jpg")
    assert opened(root).task().class_names == ("photo", "sketch")
    assert capsys.readouterr().err.splitlines() == [
        f"{root}: photo, sketch are taken for the classes, and each has the folders cat, dog. If "
        f"these are the classes, name {root / 'photo'}, or do all of them with `cliplab transfer "
        f"{root}`."
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("cat/a/1.jpg", "cat/b/1.jpg", "dog/a/1.jpg"),
        ("cat/a/1.jpg", "cat/b/1.jpg", "cat/1.jpg", "dog/a/1.jpg", "dog/b/1.jpg", "dog/1.jpg"),
        ("cat/1.jpg", "dog/1.jpg"),
        ("cat/a/1.jpg", "dog/a/1.jpg"),
        ("train/cat/a/1.jpg", "train/cat/b/1.jpg", "train/dog/a/1.jpg", "train/dog/b/1.jpg"),
    ],
)
def test_folders_within_classes_are_no_domains(fill, opened, capsys, names):
    opened(fill(*names))
    assert capsys.readouterr().err == ""


def test_labels_csv_says_all(fill, opened):
    dataset = opened(
        fill(
            "1.png", "x/2.png", "3.png", "extra/4.png",
            text="path,label,split,caption,label:mood\n"
            "3.png,sea_horse,test,three,calm\n"
            "1.png,cat,train,one,\n"
            "x/2.png,cat,,,wild\n",
        )
    )  # fmt: skip
    assert labelled(dataset) == {"1.png": "cat", "3.png": "sea horse", "x/2.png": "cat"}
    assert labelled(dataset, "mood") == {"1.png": None, "3.png": "calm", "x/2.png": "wild"}
    assert split(dataset) == {"1.png": "train", "3.png": "test", "x/2.png": ""}
    assert split(dataset, "mood") == {"1.png": "", "3.png": "test", "x/2.png": ""}
    assert dataset.captions == [("one",), ("three",), ()]
    assert [read() for read in dataset.source.open([0, 2])] == [b"1.png", b"x/2.png"]


def test_labels_csv_tells_which_pictures_it_leaves_out(fill, opened, capsys):
    names = ("1.png", "2.png", "3.png")
    text = "path,label,split\n1.png,a,test\n2.png,b,\n"
    root = fill(*names, text=text)
    opened(root)
    assert capsys.readouterr().err.splitlines() == [
        f"{root}: passed over 1 picture not in labels.csv: 3.png",
        f"{root}: passed over 1 picture without a split in labels.csv: 2.png",
    ]


def test_labels_csv_without_splits_takes_the_fixed_one(fill, opened):
    names = [f"{i}.png" for i in range(10)]
    text = "path,label\n" + "".join(f"{name},{i % 2}\n" for i, name in enumerate(names))
    dataset = opened(fill(*names, text=text))
    assert dataset.split_origin == "fixed"
    assert list(dataset.splits["label"]).count("test") == 2


def test_one_label_with_captions_is_enough_to_train_on(fill, opened):
    text = "path,label,caption\n1.png,a,one\n2.png,a,two\n"
    assert opened(fill("1.png", "2.png", text=text)).captions == [("one",), ("two",)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"holds no pictures \(nor any other file\)\. Put the pictures into one folder"),
        (("a/1.txt", "b.pdf"), r"no pictures \(other files: a/1.txt, b.pdf\).*labels.csv"),
        (("1.jpg", "2.jpg"), r"pictures directly in it but no class folders\. Put"),
        (("train/1.jpg", "test/2.jpg"), r"directly in test, train but no class folders"),
        (("cats/1.jpg", "cats/2.jpg"), r"one class alone \('cats'\).*at least two.*labels.csv"),
        (("in/cats/1.jpg", "in/dogs/2.jpg"), r"one class alone.*did you mean .*photos/in\?"),
        (("train/a/1.jpg", "test/a/1.jpg", "more/a/1.jpg"), r"test, train are names of splits, "),
        (("val/a/1.jpg", "dev/b/1.jpg"), r"dev, val mean the same split twice"),
    ],
)
def test_folders_that_cannot_be_used_say_what_to_do(fill, opened, names, message):
    with pytest.raises(DataError, match=message):
        opened(fill(*names))


def test_a_corrupt_labels_csv_lists_its_lines(fill, opened):
    with pytest.raises(DataError, match=r"Correct these lines:\n  - line 2: no label for '1.png'"):
        opened(fill("1.png", text="path,label\n1.png,\n"))


def test_a_missing_folder_and_a_file_are_wrong_calls(fill, opened, tmp_path):
    with pytest.raises(UsageError, match=r"no folder .*nowhere") as missing:
        opened(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"is a file; a data set is a folder.*cliplab classify"):
        opened(fill("cat/1.jpg") / "cat" / "1.jpg")
    assert missing.value.exit_code == 2


def test_a_folder_that_may_not_be_looked_into(fill, opened, monkeypatch):
    root = fill("cat/1.jpg", "dog/1.jpg")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match=r"may not be looked into\. Give yourself permission"):
        opened(root)


def test_a_read_only_home_names_the_way_out(fill, tmp_path):
    (tmp_path / "home-file").write_bytes(b"")
    with pytest.raises(StorageError, match="--home"):
        open_folder(fill("a/1.jpg", "b/1.jpg"), name="x", home=tmp_path / "home-file")


def test_a_picture_that_cannot_be_read_is_there_and_raises_when_read(fill, opened):
    root = fill("cat/1.jpg", "dog/1.jpg")
    (root / "cat" / "gone.jpg").symlink_to("nowhere.jpg")
    dataset = opened(root)
    row = list(dataset.ids).index("cat/gone.jpg")
    assert dataset.digests[row] == ""
    read = next(dataset.source.open([row]))
    with pytest.raises(FileNotFoundError):
        read()


def test_nothing_is_written_into_the_folder_and_an_unchanged_one_is_not_hashed_again(
    fill, opened, monkeypatch
):
    root = fill("cat/1.jpg", "dog/1.jpg")
    before = sorted(str(path) for path in root.rglob("*"))
    first = opened(root)
    assert sorted(str(path) for path in root.rglob("*")) == before
    monkeypatch.setattr(folder, "_digest", lambda _path: pytest.fail("hashed again"))
    assert opened(root).content_digest() == first.content_digest()


def test_changing_a_picture_changes_the_content(fill, opened):
    root = fill("cat/1.jpg", "dog/1.jpg")
    first = opened(root).content_digest()
    (root / "cat/1.jpg").write_bytes(b"another")
    assert opened(root).content_digest() != first


def test_names_in_any_form_of_unicode_or_none(fill, opened):
    root = fill("e\u0301te\u0301/1.jpg", "dog/1.jpg")
    try:
        (root / os.fsdecode(b"dog/\xff.jpg")).write_bytes(b"bytes")
    except OSError:
        pytest.skip("this file system takes Unicode names alone")
    dataset = opened(root)
    assert list(dataset.ids) == ["dog/1.jpg", r"dog/\xff.jpg", "\u00e9t\u00e9/1.jpg"]
    assert dataset.task().class_names == ("dog", "\u00e9t\u00e9")
    assert [read() for read in dataset.source.open([1])] == [b"bytes"]
    assert len(dataset.content_digest()) == 64


def test_every_odd_picture_of_the_manifest_is_there(shared_data, opened):
    dataset = opened(shared_data / "odd_images")
    with (shared_data / "odd_images" / "manifest.tsv").open(encoding="utf-8") as stream:
        listed = [row["path"] for row in csv.DictReader(stream, delimiter="\t")]
    assert sorted(listed) == sorted(dataset.ids)
    names = ("exif orientation", "imageio", "imagers", "pillow", "sharp")
    assert dataset.task().class_names == names


@pytest.mark.slow
def test_twenty_thousand_pictures_open_again_in_a_second(tmp_path, home):
    import time

    for c in range(20):
        (tmp_path / f"p/{c}").mkdir(parents=True)
        for i in range(1000):
            (tmp_path / f"p/{c}/{i}.jpg").write_bytes(b"%d" % i)
    first = open_folder(tmp_path / "p", name="p", home=home)
    start = time.process_time()
    again = open_folder(tmp_path / "p", name="p", home=home)
    assert time.process_time() - start < 1.5
    assert np.array_equal(first.digests, again.digests)
