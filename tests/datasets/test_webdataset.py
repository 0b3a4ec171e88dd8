"""CLIP_benchmark's WebDataset layout: read where it lies, and fetched."""

from __future__ import annotations

import hashlib
import io
import tarfile

import numpy as np
import pytest
from tests.web import cut, page, status

from cliplab.datasets.family import catalogue, open_dataset
from cliplab.datasets.from_archives import prepare_named
from cliplab.datasets.webdataset_fetch import address_of, folder_of, open_wds
from cliplab.nouns import CAPTIONS_ALONE
from cliplab.runtime.errors import DataError, DownloadFailed, UsageError
from cliplab.runtime.patience import Patience

NAMES = ("cat", "dog", "crane", "crane")
TEMPLATES = ("a photo of a {c}.", "a drawing of a {c}.")
QUICK = Patience(sleep=lambda _seconds: None, attempts=2)


def tar(contents) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def shard(make_png, first=0, n=8, **members) -> dict[str, bytes]:
    """The members of one tar; more of them by suffix, from the number of the picture."""
    found = {}
    for i in range(first, first + n):
        found[f"s{i:07d}.cls"] = str(i % 4).encode()
        found[f"s{i:07d}.png"] = make_png(i)
        found |= {f"s{i:07d}.{suffix}": make(i).encode() for suffix, make in members.items()}
    return found


@pytest.fixture
def collection(make_png) -> dict[str, bytes]:
    """Files of a collection by their path."""
    return {
        "classnames.txt": "\n".join(NAMES).encode() + b"\n",
        "zeroshot_classification_templates.txt": "\n".join(TEMPLATES).encode() + b"\n",
        "test/nshards.txt": b"2\n",
        "test/0.tar": tar(shard(make_png)),
        "test/1.tar": tar(shard(make_png, 8, 4)),
        "train/nshards.txt": b"1\n",
        "train/0.tar": tar(shard(make_png, 100, 12)),
    }


def lay(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_read_where_it_lies(tmp_path, home, collection, make_png):
    folder = lay(tmp_path / "wds_mine", collection)
    for name in (f"wds:{folder}", str(folder), f"wds:{folder}:label"):
        dataset, task = open_dataset(name, home=home)
        assert task == "label"
        assert dataset.name == name.removesuffix(":label")
    assert len(dataset) == 24
    assert list(dataset.ids[[0, 8, 12]]) == [
        "test/0/s0000000.png",
        "test/1/s0000008.png",
        "train/0/s0000100.png",
    ]
    assert list(dataset.labels["label"]) == [i % 4 for i in (*range(12), *range(100, 112))]
    assert list(dataset.splits["label"]) == ["test"] * 12 + ["train"] * 12
    rows = [23, 0, 9, 9, 3]
    contents = [read() for read in reversed(list(dataset.source.open(rows)))][::-1]
    assert contents == [make_png(i) for i in (111, 0, 9, 9, 3)]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    assert list(dataset.digests[rows]) == digests
    again = open_dataset(name, home=home).dataset
    assert again.content_digest() == dataset.content_digest()


def test_class_names_and_templates_are_those_of_the_files(tmp_path, collection):
    task = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}").dataset.task()
    assert task.class_names == ("cat", "dog", "crane", "crane (2)")
    assert task.prompts.texts("dog") == ("a photo of a dog.", "a drawing of a dog.")
    assert task.prompts.texts("crane (2)") == task.prompts.texts("crane")


def test_what_is_not_there_is_done_without(tmp_path, collection, make_png, capsys):
    for name in ("classnames.txt", "zeroshot_classification_templates.txt", "test/nshards.txt"):
        del collection[name]
    dataset = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}").dataset
    assert dataset.task().class_names == ("0", "1", "2", "3")
    assert dataset.task().prompts is None
    assert len(dataset) == 24
    assert (
        "has no classnames.txt: the classes are called by their numbers" in capsys.readouterr().err
    )


def test_test_pictures_alone_are_test(tmp_path, collection):
    files = {name: content for name, content in collection.items() if "train" not in name}
    dataset = open_dataset(f"wds:{lay(tmp_path / 'w', files)}").dataset
    assert set(dataset.splits["label"]) == {"test"}
    assert dataset.split_origin == "given"


def test_captions_a_line_make_a_collection_for_retrieval(tmp_path, collection, make_png, home):
    members = shard(make_png, txt=lambda i: f"one {i}\n\n two {i} \n")
    members = {name: content for name, content in members.items() if not name.endswith(".cls")}
    files = {
        "dataset_type.txt": b"retrieval\n",
        "test/nshards.txt": b"1",
        "test/0.tar": tar(members),
    }
    dataset, task = open_dataset(f"wds:{lay(tmp_path / 'w', files)}", home=home)
    assert (task, dataset.task()) == ("captions", CAPTIONS_ALONE)
    assert dataset.captions[3] == ("one 3", "two 3")
    assert set(dataset.splits["captions"]) == {"test"}
    (folder,) = prepare_named(dataset.name, home=home)
    assert open_dataset(folder, home=home).dataset.captions == dataset.captions


def test_captions_beside_labels_and_in_json(tmp_path, collection, make_png):
    texts = ('{"caption": "x"}', '{"captions": ["a", "b", 3]}', "{", "[1]")
    collection["train/0.tar"] = tar(shard(make_png, 100, 4, json=lambda i: texts[i % 4]))
    dataset = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}").dataset
    assert dataset.task().name == "label"
    assert dataset.captions[-4:] == [("x",), ("a", "b"), (), ()]
    assert dataset.captions[0] == ()


def test_keys_without_a_picture_or_a_label(tmp_path, collection, make_png, capsys):
    members = shard(make_png, 0, 3)
    del members["s0000001.png"], members["s0000002.cls"]
    members["dir.d/s9.JPG"], members["dir.d/s9.Cls"] = b"no jpeg", b" 2\n"
    members["s0000000.webp"] = b"webp comes before png"
    collection["test/0.tar"] = tar(members)
    dataset = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}").dataset
    labels = dict(zip(dataset.ids, dataset.labels["label"], strict=True))
    assert labels["test/0/s0000002.png"] == -1
    assert labels["test/0/dir.d/s9.jpg"] == 2
    assert "test/0/s0000000.webp" in labels
    assert "test/0/s0000001.png" not in labels
    assert "passed over 1 keys without a picture: s0000001" in capsys.readouterr().err


def test_what_is_not_to_be_trusted_in_a_tar_is_not_read(tmp_path, collection, make_png, capsys):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in shard(make_png, 0, 2).items():
            info = tarfile.TarInfo(f"../{name}" if "1." in name else name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("s0000007.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    collection["test/0.tar"] = stream.getvalue()
    dataset = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}").dataset
    row = list(dataset.ids).index("test/0/s0000007.png")
    (read,) = dataset.source.open([row])
    with pytest.raises(OSError, match="link"):
        read()
    assert dataset.digests[row] == ""
    assert "passed over 2 members, such as ../s0000001" in capsys.readouterr().err
    assert not any(".." in id_ for id_ in dataset.ids)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_type.txt": b"multilabel"}, "several labels a picture"),
        ({"classnames.txt": b"cat\ndog\n"}, r"has label 3, and classnames.txt has 2 names, for l"),
        ({"classnames.txt": b"\xff\xfe"}, "classnames.txt cannot be read as UTF-8"),
        (
            {"zeroshot_classification_templates.txt": b"a {c}\na photo\n"},
            "template 2, 'a photo'",
        ),
        ({"test/nshards.txt": b"3"}, r"lacks 1 of 3 shards: 2\.tar"),
        ({"test/nshards.txt": b"two"}, "holds 'two'; expected the number"),
        ({"test/0.tar": b"<html>"}, r"0\.tar"),
        ({"test/0.tar": tar({"a.cls": b"cat", "a.png": b""})}, "holds 'cat'; expected the number"),
        ({"test/0.tar": tar({"a.cls": b"\xff", "a.png": b""})}, "a.cls cannot be read as text"),
        ({"test/0.tar": tar({"a.cls": b"1" * 2_000_000, "a.png": b""})}, "2,000,000 bytes"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, collection, changes, message):
    folder = lay(tmp_path / "w", collection | changes)
    with pytest.raises(DataError, match=message):
        open_dataset(f"wds:{folder}")


def test_a_folder_without_shards(tmp_path):
    with pytest.raises(DataError, match=r"has no shards; expected test/0\.tar"):
        open_dataset(f"wds:{tmp_path}")
    lay(tmp_path, {"test/0.tar": tar({"a.txt": b"x"})})
    with pytest.raises(DataError, match="no picture in its tars; expected webp"):
        open_dataset(f"wds:{tmp_path}")


# ------------------------------------------------------------------------------ fetched


@pytest.fixture
def served(web, collection):
    """The address of the collection on a server that is unsteady."""
    for name, content in collection.items():
        plan = [status(503), cut(2000)] if name.endswith("0.tar") else []
        web.put(f"wds_mine/{name}", content, *plan)
    return web.url("wds_mine")


def test_a_collection_comes_from_an_address_once(served, web, home, tmp_path, collection):
    here = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}", home=home).dataset
    there = open_wds(f"wds:{served}", home=home, patience=QUICK)
    assert list(there.ids) == list(here.ids)
    assert list(there.digests) == list(here.digests)
    assert there.card.homepage == served
    asked = len(web.requests)
    again, task = open_dataset(f"wds:{served}/:label", home=home)
    assert (again.content_digest(), task) == (there.content_digest(), "label")
    assert len(web.requests) == asked
    assert (folder_of(served, home) / "train/0.tar").read_bytes() == collection["train/0.tar"]


def test_files_that_need_not_be_there_are_asked_for_and_missed(web, home, collection):
    for name in ("test/nshards.txt", "test/0.tar", "test/1.tar", "classnames.txt"):
        web.put(f"wds_mine/{name}", collection[name])
    dataset = open_wds(f"wds:{web.url('wds_mine')}", home=home, patience=QUICK)
    assert len(dataset) == 12
    assert dataset.task().prompts is None


def test_prepared_it_is_found_by_its_name(served, home):
    name = f"wds:{served}"
    prepare_named(name, home=home, patience=QUICK)
    assert name in [entry.name for entry in catalogue(home)]
    dataset, _task = open_dataset(name, home=home)
    assert dataset.location.is_relative_to(home / "datasets" / "wds")
    assert (len(dataset), dataset.task().class_names[3]) == (24, "crane (2)")


def test_what_cannot_be_fetched_is_told(web, home, collection):
    with pytest.raises(DataError, match=r"has neither test/nshards.txt nor train/nshards.txt"):
        open_wds(f"wds:{web.url('nothing')}", home=home, patience=QUICK)
    web.put("v/test/nshards.txt", b"<Error>")
    with pytest.raises(DataError, match="holds '<Error>'; expected the number of tars"):
        open_wds(f"wds:{web.url('v')}", home=home, patience=QUICK)
    web.put("w/test/nshards.txt", b"1", page(), page())
    with pytest.raises(DownloadFailed, match="HTML page in place of the file"):
        open_wds(f"wds:{web.url('w')}", home=home, patience=QUICK)
    web.put("w/test/nshards.txt", b"1")
    with pytest.raises(
        DownloadFailed, match=r"(?s)0\.tar could not be downloaded.*404.*wds:FOLDER"
    ):
        open_wds(f"wds:{web.url('w')}", home=home, patience=QUICK)
    with pytest.raises(DownloadFailed, match="--offline allows no download"):
        prepare_named("wds:imagenet1k", home=home, offline=True)


def test_names_and_addresses():
    hub = "https://huggingface.co/datasets/clip-benchmark"
    assert address_of("imagenet1k") == f"{hub}/wds_imagenet1k/resolve/main"
    assert address_of("wds/vtab/pets") == f"{hub}/wds_vtab-pets/resolve/main"
    assert address_of("http://h/x/tree/y/") == "http://h/x/tree/y"
    for name in ("", "../x", "a b", "/no/such/folder"):
        with pytest.raises(UsageError, match=f"wds:{name}: there is no such folder"):
            open_dataset(f"wds:{name}")


def test_random_rows_are_read_in_any_order(tmp_path, home, collection, make_png):
    dataset = open_dataset(f"wds:{lay(tmp_path / 'w', collection)}", home=home).dataset
    rows = np.random.default_rng(0).permutation(24)
    numbers = np.array([*range(12), *range(100, 112)])
    reads = dataset.source.open(rows)
    assert [read() for read in reads] == [make_png(int(i)) for i in numbers[rows]]
