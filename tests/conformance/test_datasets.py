"""What every member of the family of data sets must do; a new member is one line in `MEMBERS`."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.miniatures import make_domainnet, make_oxford, make_wikiart

from cliplab.datasets import domainnet, oxford, wikiart
from cliplab.datasets.family import open_dataset
from cliplab.datasets.prepare import prepare
from cliplab.datasets.splits import fixed_split
from cliplab.nouns import Card, Dataset

CLASSES = ("cat", "dog", "sea_horse")


def _png(seed: int) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _fill(root: Path, pattern: str) -> Path:
    for i in range(24):
        part = ("train", "train", "val", "test")[i % 4]
        path = root / pattern.format(split=part, label=CLASSES[i % 3], i=i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_png(i))
    return root


def digits(_place: Path, _home: Path) -> str:
    return "digits"


def class_folders(place: Path, _home: Path) -> str:
    return str(_fill(place, "{label}/e\u0301/{i}.png"))


def split_folders(place: Path, _home: Path) -> str:
    return str(_fill(place, "{split}/{label}/{i}.png"))


def labels_csv(place: Path, _home: Path) -> str:
    _fill(place, "{i}.png")
    lines = [f"{i}.png,{CLASSES[i % 3]},{'ab'[i // 12]},picture {i}" for i in range(24)]
    text = "\n".join(["path,label,label:half,caption", *lines])
    (place / "labels.csv").write_text(text, encoding="utf-8")
    return str(place)


def prepared(place: Path, home: Path) -> str:
    dataset, _task = open_dataset(split_folders(place / "source", home), home=home)
    prepare(dataset, home=home, out=home / "datasets" / "mine")
    return "mine"


def saved_by_datasets(place: Path, _home: Path) -> str:
    import datasets

    names = datasets.ClassLabel(names=list(CLASSES))
    features = datasets.Features({"image": datasets.Image(), "label": names})
    rows = {
        "image": [{"bytes": _png(i), "path": f"{i}.png"} for i in range(24)],
        "label": [i % 3 for i in range(24)],
    }
    whole = datasets.Dataset.from_dict(rows, features=features)
    datasets.disable_progress_bars()
    parts = {"train": whole.select(range(16)), "test": whole.select(range(16, 24))}
    datasets.DatasetDict(parts).save_to_disk(str(place / "saved"))
    return str(place / "saved")


def joined(place: Path, home: Path) -> str:
    made = make_domainnet(place, labels=range(3))
    for part in domainnet.parts("domainnet"):
        files = {remote.name: made.folder / remote.name for remote in domainnet.remotes(part)}
        prepare(domainnet.read_archives(part, files), home=home)
    return "domainnet"


def buildings(place: Path, home: Path) -> str:
    made = make_oxford(place)
    files = {remote.name: made.folder / remote.name for remote in oxford.remotes()}
    prepare(oxford.read_archives("oxford", files), home=home)
    return "oxford"


def deduplicated(place: Path, home: Path) -> str:
    made = make_wikiart(place, whole=True)
    files = {remote.name: made.folder / remote.name for remote in wikiart.remotes("wikiart")}
    prepare(wikiart.read_archives("wikiart", files), home=home)
    return "wikiart/deduplicated"


def arrays_of_drawings(place: Path, _home: Path) -> str:
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 8, 8), dtype=np.uint8)
    np.savez_compressed(place / "drawings.npz", **dict(zip(CLASSES, noise, strict=True)))
    return str(place / "drawings.npz")


def strokes_of_drawings(place: Path, _home: Path) -> str:
    for label in CLASSES:
        drawings = [
            {"word": label, "key_id": f"{label}{i}", "drawing": [[[0, 9 * i], [255, i]]]}
            for i in range(28)
        ]
        text = "\n".join(map(json.dumps, drawings))
        (place / f"{label}.ndjson").write_text(text, encoding="utf-8")
    return str(place)


def webdataset(place: Path, _home: Path) -> str:
    (place / "classnames.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    for split, first in (("train", 0), ("test", 16)):
        (place / split).mkdir()
        with tarfile.open(place / split / "0.tar", "w") as tar:
            for i in range(first, first + 8):
                for suffix, content in (("cls", str(i % 3).encode()), ("png", _png(i))):
                    member = tarfile.TarInfo(f"s{i:07d}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return f"wds:{place}"


MEMBERS = (
    *(digits, class_folders, split_folders, labels_csv, prepared, saved_by_datasets),
    *(joined, buildings, deduplicated),
)
MEMBERS += (arrays_of_drawings, strokes_of_drawings, webdataset)


@pytest.fixture(scope="module", params=MEMBERS, ids=lambda member: member.__name__)
def member(request, tmp_path_factory) -> tuple[str, Path]:
    """The name of a data set that is there, and the home that it is opened with."""
    home = tmp_path_factory.mktemp("home")
    place = tmp_path_factory.mktemp("pictures")
    return request.param(place, home), home


@pytest.fixture(scope="module")
def dataset(member) -> Dataset:
    name, home = member
    return open_dataset(name, home=home).dataset


def test_it_is_named_as_asked_for(dataset, member):
    assert dataset.name == member[0]


def test_ids_are_unique_relative_posix_paths_in_nfc(dataset):
    assert dataset.ids.dtype == object
    assert len(set(dataset.ids)) == len(dataset) > 0
    for id_ in dataset.ids:
        assert isinstance(id_, str)
        assert id_ == unicodedata.normalize("NFC", id_)
        assert not id_.startswith("/")
        assert not {"..", ".", ""} & set(id_.split("/"))


def test_every_task_has_class_names_labels_and_splits(dataset):
    assert list(dataset.tasks) == list(dataset.labels) == list(dataset.splits)
    for name, task in dataset.tasks.items():
        assert task.name == name
        assert isinstance(task.class_names, tuple)
        assert all(task.class_names)
        assert len(set(task.class_names)) == len(task.class_names) >= 2
        labels, splits = dataset.labels[name], dataset.splits[name]
        assert labels.shape == splits.shape == (len(dataset),)
        assert labels.dtype == np.int64
        assert splits.dtype == object
        assert -1 <= labels.min() <= labels.max() < len(task.class_names)
        assert set(splits) <= {"train", "validation", "test", ""}


def test_there_is_something_to_train_on_and_something_else_to_test_on(dataset):
    for name in dataset.tasks:
        train, test = set(dataset.rows(name, "train")), set(dataset.rows(name, "test"))
        assert train
        assert test
        assert not train & test


def test_a_split_of_ours_is_the_fixed_one(dataset):
    assert dataset.split_origin in ("given", "fixed", "hashed")
    if dataset.split_origin == "fixed":
        for name, splits in dataset.splits.items():
            assert (splits == fixed_split(dataset.ids, dataset.labels[name])).all()


def test_digests_are_those_of_the_encoded_bytes(dataset):
    assert dataset.digests.shape == (len(dataset),)
    rows = range(min(len(dataset), 40))
    for row, read in zip(rows, dataset.source.open(rows), strict=True):
        assert dataset.digests[row] == hashlib.sha256(read()).hexdigest()


def test_pictures_come_in_the_order_asked_for_and_may_be_read_later_in_threads(dataset):
    last = len(dataset) - 1
    rows = [last, 0, 3, 3, 1, last]
    reads = list(dataset.source.open(rows))
    with ThreadPoolExecutor(4) as pool:
        contents = list(pool.map(lambda read: read(), reversed(reads)))[::-1]
    found = [hashlib.sha256(content).hexdigest() for content in contents]
    assert found == list(dataset.digests[rows])
    assert list(dataset.source.open([])) == []


def test_rows_may_be_a_numpy_array(dataset):
    rows = dataset.rows(dataset.task().name, "test")
    assert len(list(dataset.source.open(rows))) == len(rows)


def test_pictures_can_be_decoded(dataset):
    from PIL import Image

    for read in dataset.source.open([0, len(dataset) - 1]):
        assert Image.open(io.BytesIO(read())).size in ((8, 8), (64, 64))


def test_captions_if_any_are_one_tuple_a_picture(dataset):
    if dataset.captions is not None:
        assert len(dataset.captions) == len(dataset)
        assert all(isinstance(texts, tuple) for texts in dataset.captions)


def test_it_says_where_it_comes_from_and_where_it_lies(dataset):
    assert isinstance(dataset.card, Card)
    assert dataset.location is None or dataset.location.exists()


def test_opened_again_it_is_the_same_and_nothing_was_written(dataset, member):
    name, home = member
    before = _state(dataset.location, home)
    assert open_dataset(name, home=home).dataset.content_digest() == dataset.content_digest()
    assert _state(dataset.location, home) == before


def _state(location: Path | None, home: Path) -> dict[Path, int]:
    folders = [home] if location is None else [home, location]
    return {path: path.stat().st_mtime_ns for root in folders for path in root.rglob("*")}
