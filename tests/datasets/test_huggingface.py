from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cliplab.datasets.huggingface import holds_tables, open_hub, open_local
from cliplab.datasets.parquet_writer import write_parquet
from cliplab.nouns import CAPTIONS_ALONE
from cliplab.runtime.errors import DataError, UnknownName, UsageError

HUB_README = """---
license: cc-by-4.0
configs:
- config_name: default
  data_files:
  - split: train
    path: tables/a.parquet
  - split: test
    path: tables/b.parquet
---
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def hub_set(make_png):
    """A function that makes a `datasets.Dataset` of pictures as the hub has them."""
    import datasets
    from datasets import ClassLabel, Features, Image, Value

    def make(count=20, seed=0, **columns):
        features = {
            "image": Image(),
            "label": ClassLabel(names=["cat", "dog"]),
            "kind": Value("string"),
            "year": Value("int64"),
            "score": Value("float64"),
            "text": Value("string"),
        }
        whole = {
            "image": [{"bytes": make_png(seed + i), "path": None} for i in range(count)],
            "label": [i % 2 for i in range(count)],
            "kind": [("small", "big", None)[i % 3] for i in range(count)],
            "year": [2000 - i % 4 for i in range(count)],
            "score": [i / 2 for i in range(count)],
            "text": [f"number {i}" for i in range(count)],
        } | columns
        whole = {name: values for name, values in whole.items() if values is not None}
        features = {name: features.get(name, Value("string")) for name in whole}
        return datasets.Dataset.from_dict(whole, features=Features(features))

    return make


@pytest.fixture
def hub_folder(hub_set, tmp_path):
    """A folder of Parquet with train and test, as one downloads it from the hub."""
    folder = tmp_path / "downloaded"
    (folder / "tables").mkdir(parents=True)
    hub_set(20).to_parquet(folder / "tables/a.parquet")
    hub_set(8, seed=100).to_parquet(folder / "tables/b.parquet")
    (folder / "README.md").write_text(HUB_README)
    return folder


def open_it(folder, home, **options):
    return open_local(folder, name=str(folder), home=home, **options)


def check(found, make_png):
    """What the tests' train and test tables must have become."""
    expected = [make_png(i) for i in range(20)] + [make_png(100 + i) for i in range(8)]
    assert [read() for read in found.source.open(range(28))] == expected
    assert list(found.digests) == [digest(content) for content in expected]
    assert list(found.tasks) == ["label"]
    assert found.tasks["label"].class_names == ("cat", "dog")
    assert list(found.labels["label"]) == [i % 2 for i in range(20)] + [i % 2 for i in range(8)]
    assert list(found.splits["label"]) == ["train"] * 20 + ["test"] * 8
    assert found.split_origin == "given"
    assert found.ids[0] == "train/0"
    assert found.ids[-1] == "test/7"
    assert found.captions[3] == ("number 3",)


def test_a_folder_of_parquet_as_on_the_hub(hub_folder, home, make_png):
    found = open_it(hub_folder, home)
    check(found, make_png)
    assert found.card.licence == "cc-by-4.0"


def test_folders_given_as_one_likes(hub_folder, home, make_png, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(open_it(Path("downloaded"), home), make_png)
    Path("link").symlink_to(hub_folder)
    check(open_it(tmp_path / "link", home), make_png)


def test_splits_by_the_names_of_files_and_features_from_the_card(hub_set, tmp_path, home, make_png):
    import pyarrow.parquet as pq

    folder = tmp_path / "plain"
    (folder / "data").mkdir(parents=True)
    for split, table in (("train", hub_set(20)), ("test", hub_set(8, seed=100))):
        plain = table.data.table.replace_schema_metadata(None)
        pq.write_table(plain, folder / f"data/{split}-00000-of-00001.parquet")
    with pytest.raises(UsageError, match=r"no class-label column.* captions alone: .*:captions"):
        open_it(folder, home)
    alone = open_it(folder, home, label="captions")
    assert alone.task() == CAPTIONS_ALONE
    assert alone.captions[3] == ("number 3",)
    assert (len(alone.splits["captions"]), set(alone.labels["captions"])) == (28, {-1})
    assert list(alone.splits["captions"]).count("test") == 8
    card = """---
dataset_info:
  features:
  - {name: image, dtype: image}
  - {name: label, dtype: {class_label: {names: {'0': cat, '1': dog}}}}
  - {name: kind, dtype: string}
  - {name: year, dtype: int64}
  - {name: score, dtype: float64}
  - {name: text, dtype: string}
---
"""
    (folder / "README.md").write_text(card)
    check(open_it(folder, home), make_png)


def test_a_folder_saved_by_datasets(hub_set, tmp_path, home, make_png):
    import datasets

    both = datasets.DatasetDict(train=hub_set(20), test=hub_set(8, seed=100))
    both.save_to_disk(tmp_path / "saved", num_shards={"train": 3, "test": 1})
    found = open_it(tmp_path / "saved", home)
    check(found, make_png)
    shuffled = np.random.default_rng(0).permutation(28)
    contents = [read() for read in found.source.open(shuffled)]
    assert [digest(content) for content in contents] == list(found.digests[shuffled])


def test_a_single_saved_table_takes_the_fixed_split(hub_set, tmp_path, home):
    hub_set(40).shuffle(seed=1).save_to_disk(tmp_path / "saved")
    found = open_it(tmp_path / "saved", home)
    assert found.split_origin == "fixed"
    assert sorted(set(found.splits["label"])) == ["test", "train"]
    assert (found.splits["label"] == "test").sum() == 8


def test_a_prepared_folder_is_opened_as_such(make_dataset, tmp_path, home):
    folder = write_parquet(make_dataset(), tmp_path / "noise")
    found = open_it(folder, home)
    assert found.tasks["label"].class_names == ("cat", "dog", "été")
    with pytest.raises(UnknownName, match=r"'labl'.*Did you mean 'label'"):
        open_it(folder, home, label="labl")


@pytest.mark.parametrize(
    ("column", "names", "first"),
    [
        ("kind", ("big", "small"), [1, 0, -1, 1]),
        ("year", ("1997", "1998", "1999", "2000"), [3, 2, 1, 0]),
    ],
)
def test_a_plain_column_is_a_task_when_asked_for(hub_folder, home, column, names, first):
    found = open_it(hub_folder, home, label=column)
    assert list(found.tasks) == [column, "label"]
    assert found.tasks[column].class_names == names
    assert list(found.labels[column][:4]) == first


@pytest.mark.parametrize("column", ["nothing", "score", "image"])
def test_an_unknown_label_column_lists_those_there_are(hub_folder, home, column):
    with pytest.raises(UnknownName, match=rf"label column '{column}'.*Known: kind, label, text"):
        open_it(hub_folder, home, label=column)


def test_no_class_label_and_none_named(hub_set, tmp_path, home):
    hub_set(label=None).save_to_disk(tmp_path / "saved")
    with pytest.raises(UsageError, match=r":COLUMN; columns: kind, year, text"):
        open_it(tmp_path / "saved", home)


def test_no_picture_column(hub_set, tmp_path, home):
    hub_set(image=None).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match="no picture column; found label"):
        open_it(tmp_path / "saved", home)


def test_ids_from_a_column_or_the_paths_where_unique(hub_set, tmp_path, home, make_png):
    hub_set(4, id=["a", "b", "c", "d"]).save_to_disk(tmp_path / "ids")
    assert list(open_it(tmp_path / "ids", home).ids) == ["a", "b", "c", "d"]
    assert list(open_it(tmp_path / "ids", home, label="id").labels["id"]) == [0, 1, 2, 3]
    hub_set(4, id=["a", "b", "c", "a"]).save_to_disk(tmp_path / "twice")
    assert open_it(tmp_path / "twice", home).ids[0] == "all/0"
    pictures = [{"bytes": make_png(i), "path": f"{i}.png"} for i in range(4)]
    hub_set(4, image=pictures).save_to_disk(tmp_path / "paths")
    assert list(open_it(tmp_path / "paths", home).ids) == ["0.png", "1.png", "2.png", "3.png"]


def splits_of(hub_set, tmp_path, home, **sizes):
    import datasets

    tables = {name: hub_set(n, seed=n) for name, n in sizes.items()}
    datasets.DatasetDict(tables).save_to_disk(tmp_path / "saved")
    return open_it(tmp_path / "saved", home)


def test_validation_stands_in_for_a_test_split_that_is_not_there(hub_set, tmp_path, home):
    found = splits_of(hub_set, tmp_path, home, train=10, validation=4)
    assert list(found.splits["label"]) == ["train"] * 10 + ["test"] * 4
    assert found.split_origin == "given"


def test_unknown_splits_are_left_out_beside_train(hub_set, tmp_path, home):
    found = splits_of(hub_set, tmp_path, home, train=20, extra=4)
    assert (found.splits["label"][:20] == "test").sum() == 4
    assert set(found.splits["label"][20:]) == {""}
    assert found.split_origin == "fixed"


def test_pictures_beside_the_table_are_read_from_within_the_folder_alone(
    hub_set, tmp_path, home, make_png
):
    import pyarrow.parquet as pq

    folder = tmp_path / "beside"
    (folder / "pictures").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(make_png(9))
    (folder / "pictures/0.png").write_bytes(make_png(0))
    paths = ["pictures/0.png", "../secret.png", str(tmp_path / "secret.png"), "gone.png"]
    pictures = [{"bytes": None, "path": path} for path in paths]
    pq.write_table(hub_set(4, image=pictures).data.table, folder / "train.parquet")
    found = open_it(folder, home)
    reads = list(found.source.open(range(4)))
    assert reads[0]() == make_png(0)
    for read in reads[1:]:
        with pytest.raises(OSError, match="not a file within"):
            read()
    assert list(found.digests) == [digest(make_png(0)), "", "", ""]
    (folder / "pictures/0.png").write_bytes(make_png(1) + b"longer")
    assert open_it(folder, home).digests[0] == digest(make_png(1) + b"longer")


def test_pictures_kept_as_plain_bytes(hub_set, tmp_path, home, make_png):
    import pyarrow.parquet as pq

    table = hub_set(4).data.table
    plain = table.column("image").combine_chunks().field("bytes")
    schema = table.schema.set(0, table.schema.field("image").with_type(plain.type))
    (tmp_path / "plain").mkdir()
    table = table.set_column(0, "image", plain).cast(schema)
    pq.write_table(table, tmp_path / "plain/train.parquet")
    found = open_it(tmp_path / "plain", home, label="kind")
    assert [read() for read in found.source.open(range(4))] == [make_png(i) for i in range(4)]


def test_a_damaged_table_is_named(hub_folder, home):
    (hub_folder / "tables/b.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"b\.parquet is damaged .* Download the file again"):
        open_it(hub_folder, home)


def test_a_damaged_saved_table_is_named(hub_set, tmp_path, home):
    hub_set(4).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved/data-00000-of-00001.arrow").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="cannot be read as a saved data set"):
        open_it(tmp_path / "saved", home)


def test_labels_beyond_the_class_names(hub_folder, home):
    import pyarrow.parquet as pq

    path = hub_folder / "tables/b.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("label")
    schema = table.schema
    table = table.set_column(place, "label", [[7] * len(table)]).cast(schema)
    pq.write_table(table, path)
    with pytest.raises(DataError, match="labels from 0 to 7, but 2 class names"):
        open_it(hub_folder, home)


def test_a_folder_without_tables(tmp_path, home):
    (tmp_path / "empty").mkdir()
    assert not holds_tables(tmp_path / "empty")
    with pytest.raises(DataError, match="cannot be read as a data set of tables"):
        open_it(tmp_path / "empty", home)


def test_holds_tables(hub_folder, hub_set, tmp_path):
    hub_set(4).save_to_disk(tmp_path / "saved")
    assert holds_tables(hub_folder)
    assert holds_tables(tmp_path / "saved")


def test_a_large_row_group_is_read_in_pieces(hub_set, tmp_path, home):
    import pyarrow as pa
    import pyarrow.parquet as pq

    noise = np.random.default_rng(0)
    pictures = [{"bytes": noise.bytes(40_000), "path": None} for _ in range(2000)]  # 80 MB
    (tmp_path / "large").mkdir()
    path = tmp_path / "large/train.parquet"
    table = hub_set(2000, image=pictures).data.table
    pq.write_table(table, path, row_group_size=2000, write_batch_size=50)  # pages of 2 MB
    assert pq.ParquetFile(path).metadata.num_row_groups == 1
    del table, pictures
    found = open_it(tmp_path / "large", home)
    pool, most = pa.default_memory_pool(), 0
    start = pool.bytes_allocated()
    for read in found.source.open(range(2000)):
        assert len(read()) == 40_000
        most = max(most, pool.bytes_allocated() - start)
    assert most < 30_000_000


# The hub


def test_offline_and_not_cached_says_so_at_once(home):
    with pytest.raises(DataError) as caught:
        open_hub("someone/never-seen", home=home)
    message = str(caught.value)
    assert "hf:someone/never-seen is not in the local cache" in message
    assert "HF_HUB_OFFLINE is set" in message
    assert "hf download someone/never-seen --repo-type dataset" in message


def test_no_network_and_not_cached_says_so(home, monkeypatch):
    import huggingface_hub

    asked = []

    def no_answer(self, repository, timeout):
        asked.append(timeout)
        raise TimeoutError("no answer")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", no_answer)
    with pytest.raises(DataError, match=r"cannot be asked \(no answer\).*give its path"):
        open_hub("hf:someone/never-seen", home=home)
    assert asked == [10.0]


@pytest.mark.parametrize("spec", ["", "a/b/c/d", "a//b"])
def test_a_name_that_cannot_be_one_of_the_hub(spec, home):
    with pytest.raises(UsageError, match="write hf:owner/name"):
        open_hub(spec, home=home)


def test_what_the_cache_holds_is_opened_offline(hub_set, tmp_path, home, monkeypatch, make_png):
    import datasets

    both = datasets.DatasetDict(train=hub_set(20), test=hub_set(8, seed=100))
    both.save_to_disk(tmp_path / "cache")
    asked = []

    def from_cache(repository, configuration):
        asked.append((repository, configuration, datasets.config.HF_HUB_OFFLINE))
        return datasets.load_from_disk(tmp_path / "cache")

    monkeypatch.setattr(datasets, "load_dataset", from_cache)
    found = open_hub("hf:someone/cats/large", home=home)
    check(found, make_png)
    assert found.name == "hf:someone/cats/large"
    assert asked == [("someone/cats", "large", True)]


def test_what_was_prepared_is_opened_without_asking(make_dataset, home, monkeypatch):
    import datasets

    folder = write_parquet(make_dataset(name="hf:a/noise"), home / "datasets/hf/a/noise")
    monkeypatch.setattr(datasets, "load_dataset", None)  # a call would fail
    found = open_hub("a/noise", home=home)
    assert found.location == folder
    assert json.loads((folder / "cliplab.json").read_text())["name"] == found.name


@pytest.mark.network
def test_a_small_data_set_of_the_hub(home, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    found = open_hub("hf:ylecun/mnist", home=home)
    assert len(found) == 70_000
    assert (found.splits["label"] == "test").sum() == 10_000
    assert next(found.source.open([0]))().startswith(b"\x89PNG")


@pytest.mark.network
def test_a_data_set_that_the_hub_does_not_have(home, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(UsageError, match="no such data set"):
        open_hub("hf:cliplab-nobody/nothing-here", home=home)
