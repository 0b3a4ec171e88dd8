from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace

import numpy as np
import pytest
from tests.datasets.miniatures import NO_TEST, NO_TRAINING, accept, make_domainnet, write_zip

from cliplab.datasets import domainnet
from cliplab.datasets.domainnet import COUNTS, DOMAINS, FILES, class_folders, parse_list
from cliplab.nouns import Dataset
from cliplab.runtime.archives import Refused
from cliplab.runtime.errors import DataError

T_SHIRT, SYRINGE = NO_TRAINING[1], NO_TEST[1]


def lists_of(shared_data) -> dict[str, bytes]:
    """Contents of the official lists at hand by the name that the package gives them."""
    paths = sorted((shared_data / "domainnet/lists").glob("*.txt.gz"))
    return {path.name.removesuffix(".gz"): gzip.decompress(path.read_bytes()) for path in paths}


def read(made, name) -> Dataset:
    files = {remote.name: made.folder / remote.name for remote in domainnet.remotes(name)}
    return domainnet.read_archives(name, files)


def test_the_package_expects_the_official_lists_and_archives(shared_data):
    lists = lists_of(shared_data)
    assert len(lists) == 10
    for name, content in lists.items():
        assert FILES[name].md5 == hashlib.md5(content).hexdigest()
        assert FILES[name].size == len(content)
    told = (shared_data / "domainnet/zip_md5.txt").read_text().splitlines()
    expected = [f"{n} size={FILES[n].size} md5={FILES[n].md5}" for n in FILES if n.endswith(".zip")]
    assert told == expected


def test_the_official_lists_in_full(shared_data):
    found: dict[str, dict[str, int]] = {}
    for name, content in lists_of(shared_data).items():
        domain, _, split = name.removesuffix(".txt").rpartition("_")
        listed = parse_list(content.decode(), domain, name)
        assert len(set(listed.paths)) == len(listed.paths)
        gaps = set(range(345)) - set(listed.labels.tolist())
        missing = {("painting", "train"): {T_SHIRT}, ("painting", "test"): {SYRINGE}}
        assert gaps == missing.get((domain, split), set())
        found.setdefault(domain, {})[split] = len(listed.paths)
    for domain, of_split in found.items():
        for split, count in of_split.items():
            assert count == COUNTS[domain][split == "test"]
    assert found["clipart"] == {"train": 33_525, "test": 14_604}
    assert sum(map(sum, COUNTS.values())) == 586_575


def test_removed_pictures_are_in_no_list(shared_data):
    text = gzip.decompress((shared_data / "domainnet/removed_duplicates.txt.gz").read_bytes())
    removed = set(text.decode().split())
    for name, content in lists_of(shared_data).items():
        listed = parse_list(content.decode(), name.rpartition("_")[0], name)
        assert not removed & set(listed.paths)


def test_the_label_order_is_the_lists_own(shared_data):
    lines = (shared_data / "domainnet/classes_345.tsv").read_text().splitlines()
    assert [f"{label}\t{name}" for label, name in enumerate(class_folders())] == lines
    assert class_folders()[66:68] == ("cello", "cell_phone")  # not as Python sorts
    names = domainnet.tasks()["label"].class_names
    assert len(set(names)) == 345
    assert not [name for name in names if "_" in name]
    assert names[names.index("The Eiffel Tower")].startswith("The ")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("clipart/aircraft_carrier/a.jpg 1", "clipart/airplane"),
        ("real/aircraft_carrier/a.jpg 0", "expected|has label 0"),
        ("clipart/aircraft_carrier/a.jpg 345", "expected 'domain/class/picture label'"),
        ("<html>", "expected 'domain/class/picture label'"),
        ("clipart/airplane/b.jpg 1", "line 2: .* twice"),
    ],
)
def test_what_is_no_official_list_is_refused_with_its_lines(line, fault):
    with pytest.raises(DataError, match=fault):
        parse_list(f"clipart/airplane/b.jpg 1\n{line}\n", "clipart", "a list")


def test_a_domain_out_of_its_archive(tmp_path):
    made = make_domainnet(tmp_path, ("painting",), per_class=2, labels=[0, 66, T_SHIRT, SYRINGE])
    found = read(made, "domainnet/painting")
    assert set(found.ids) == set(made.pictures)
    labels, splits = found.labels["label"], found.splits["label"]
    assert set(labels[splits == "train"]) == {0, 66, SYRINGE}
    assert set(labels[splits == "test"]) == {0, 66, T_SHIRT}
    for id_, label in zip(found.ids, labels, strict=True):
        assert id_.split("/")[1] == class_folders()[label]
    assert (found.labels["domain"] == DOMAINS.index("painting")).all()
    for id_, content in zip(found.ids, found.source.open(range(len(found))), strict=True):
        assert content() == made.pictures[id_]


def test_a_listed_picture_that_the_archive_lacks_is_a_row_without_one(tmp_path):
    made = make_domainnet(tmp_path, ("sketch",), labels=[0, 1])
    lost = min(made.pictures)
    write_zip(tmp_path / "sketch.zip", {n: c for n, c in made.pictures.items() if n != lost})
    found = read(made, "domainnet/sketch")
    row = list(found.ids).index(lost)
    assert found.source.members[row] == Refused(lost, "not in sketch.zip")
    assert found.source.sizes(np.array([row])).tolist() == [0]
    with pytest.raises(OSError, match=r"not in sketch\.zip"):
        next(found.source.open([row]))()


def test_the_archives_of_the_challenge_are_told_apart(tmp_path):
    made = make_domainnet(tmp_path, ("clipart",), labels=[0, 1])
    write_zip(tmp_path / "clipart.zip", {"train/trunk09/7c3.jpg": b"x"})
    with pytest.raises(DataError, match=r"VisDA challenge.*groundtruth/clipart\.zip"):
        read(made, "domainnet/clipart")


def test_a_picture_in_both_lists_is_refused(tmp_path):
    made = make_domainnet(tmp_path, ("clipart",), labels=[0, 1])
    text = (tmp_path / "clipart_train.txt").read_text()
    (tmp_path / "clipart_test.txt").write_text(text)
    with pytest.raises(DataError, match=r"2 pictures .* training and the test list"):
        read(made, "domainnet/clipart")


def test_remotes_say_where_and_what(tmp_path, monkeypatch):
    archive, *lists = domainnet.remotes("domainnet/clipart")
    assert archive.urls[0].endswith("/multi-source/groundtruth/clipart.zip")
    assert domainnet.remotes("domainnet/real")[0].urls[0].endswith("/multi-source/real.zip")
    assert archive.digest == "md5:cd0d8f2d77a4e181449b78ed62bccf1e"
    assert [one.name for one in lists] == ["clipart_train.txt", "clipart_test.txt"]
    assert len(domainnet.remotes("domainnet")) == 18
    accept(monkeypatch, make_domainnet(tmp_path, ("clipart",), labels=[0]))
    changed = domainnet.remotes("domainnet/clipart")[0]
    assert changed == replace(archive, size=changed.size, digest=changed.digest) != archive


def test_a_set_that_is_not_prepared_says_which_and_how(home):
    with pytest.raises(DataError, match=r"`cliplab prepare domainnet/real` .*--archives FOLDER"):
        domainnet.open_entry("domainnet/real", home=home)
    with pytest.raises(DataError, match=r"made of domainnet/clipart, .*prepare domainnet/clipart "):
        domainnet.open_entry("domainnet", home=home)
