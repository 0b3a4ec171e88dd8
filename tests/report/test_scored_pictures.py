"""A run's pictures found again: the same content, or a reason."""

from __future__ import annotations

import shutil

import pytest
from tests.cli.conftest import make_photos

from cliplab.nouns import Record
from cliplab.report.blocks import dataset_block
from cliplab.report.scored_pictures import find_pictures
from cliplab.runtime.errors import DataError


def record_of(data, name: str) -> Record:
    block = dataset_block(data, data.task().name, "test")
    return Record({"dataset": {**block, "name": name}, "config": {"deduplicate": False}})


@pytest.fixture
def opened(tmp_path):
    from cliplab.datasets.family import open_dataset

    return open_dataset(make_photos(tmp_path / "photos", 3)).dataset


def test_it_is_found_by_name_and_where_it_lay(opened, tmp_path, monkeypatch):
    record = record_of(opened, str(tmp_path / "photos"))
    assert find_pictures(record).content_digest() == opened.content_digest()
    monkeypatch.chdir(tmp_path)
    found = find_pictures(record_of(opened, "photos"))
    assert found.ids.tolist() == opened.ids.tolist()
    monkeypatch.chdir("/")
    assert len(find_pictures(record_of(opened, "photos"))) == 9


def test_changed_pictures_are_not_shown(opened, tmp_path):
    folder = tmp_path / "photos"
    shutil.copy(folder / "red" / "00.png", folder / "blue" / "new.png")
    with pytest.raises(DataError, match="does not hold what was scored"):
        find_pictures(record_of(opened, str(folder)))


def test_pictures_that_went_away_are_not_shown(opened, tmp_path):
    shutil.rmtree(tmp_path / "photos")
    with pytest.raises(DataError, match="Unknown data set"):
        find_pictures(record_of(opened, str(tmp_path / "photos")))


def test_a_set_without_doubles_is_found_so(tmp_path):
    from cliplab.datasets.duplicates import deduplicated
    from cliplab.datasets.family import open_dataset

    folder = make_photos(tmp_path / "photos", 3)
    shutil.copy(folder / "red" / "00.png", folder / "red" / "twice.png")
    once = deduplicated(open_dataset(folder).dataset)
    data = {**record_of(once, str(folder)).data, "config": {"deduplicate": True}}
    assert len(find_pictures(Record(data))) == 9
