from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cliplab.datasets.parquet_writer import write_parquet
from cliplab.datasets.shards import Bounds
from cliplab.nouns import Task
from cliplab.runtime.errors import DataError, FormatTooNew, StorageError, UsageError

SMALL = Bounds(rows=10)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def manifest(folder: Path) -> dict:
    return json.loads((folder / "cliplab.json").read_text())


def load_with_datasets(folder: Path, tmp_path: Path):
    import datasets

    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def test_layout_on_disk(make_dataset, tmp_path):
    dataset = make_dataset()
    folder = write_parquet(dataset, tmp_path / "noise", bounds=SMALL)
    shards = manifest(folder)["shards"]
    assert [(s["file"], s["rows"]) for s in shards] == [
        ("data/train-00000-of-00003.parquet", 10),
        ("data/train-00001-of-00003.parquet", 10),
        ("data/train-00002-of-00003.parquet", 10),
        ("data/validation-00000-of-00002.parquet", 10),
        ("data/validation-00001-of-00002.parquet", 5),
        ("data/test-00000-of-00002.parquet", 10),
        ("data/test-00001-of-00002.parquet", 5),
    ]
    for shard in shards:
        content = (folder / shard["file"]).read_bytes()
        assert shard["size"] == len(content)
        assert shard["sha256"] == hashlib.sha256(content).hexdigest()
    assert {p.name for p in folder.iterdir()} == {"README.md", "cliplab.json", "plan.json", "data"}
    assert not list(tmp_path.glob(".noise*"))


def test_datasets_library_restores_features_and_bytes(make_dataset, tmp_path):
    import datasets

    dataset = make_dataset()
    folder = write_parquet(dataset, tmp_path / "noise", bounds=SMALL)
    loaded = load_with_datasets(folder, tmp_path)
    assert {name: len(part) for name, part in loaded.items()} == {
        "train": 30, "validation": 15, "test": 15,
    }  # fmt: skip
    features = loaded["train"].features
    assert isinstance(features["image"], datasets.Image)
    assert features["label"].names == ["cat", "dog", "été"]
    assert loaded["train"][0]["image"].size == (8, 8)
    for name, part in loaded.items():
        rows = np.flatnonzero(dataset.splits["label"] == name)
        part = part.cast_column("image", datasets.Image(decode=False))
        assert part["id"] == list(dataset.ids[rows])
        assert part["label"] == list(dataset.labels["label"][rows])
        assert [tuple(texts) for texts in part["caption"]] == [dataset.captions[r] for r in rows]
        stored = [picture["bytes"] for picture in part["image"]]
        assert stored == [dataset.source.contents[row] for row in rows]


def test_card_states_licence_citation_and_splits(make_dataset, tmp_path):
    from huggingface_hub import DatasetCard

    folder = write_parquet(make_dataset(), tmp_path / "noise")
    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.dataset_info["splits"][0]["num_examples"] == 30
    assert "@misc{noise}" in card.text
    assert "https://example.org" in card.text


def test_row_groups_of_a_hundred_and_pictures_stored_as_they_are(make_dataset, tmp_path):
    import pyarrow.parquet as pq

    dataset = make_dataset(500)
    folder = write_parquet(dataset, tmp_path / "noise")
    found = pq.ParquetFile(folder / "data/train-00000-of-00001.parquet").metadata
    assert [found.row_group(g).num_rows for g in range(found.num_row_groups)] == [100, 100, 50]
    columns = [found.row_group(0).column(c) for c in range(found.num_columns)]
    by_path = {column.path_in_schema: column for column in columns}
    assert by_path["image.bytes"].compression == "UNCOMPRESSED"
    assert by_path["image.bytes"].statistics is None
    assert by_path["label"].compression == "SNAPPY"


def test_a_row_group_closes_before_it_outgrows_memory(make_dataset, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    dataset = make_dataset(60)
    size = max(map(len, dataset.source.contents))
    monkeypatch.setattr("cliplab.datasets.shard_writer.ROW_GROUP_SIZE", 7 * size)
    folder = write_parquet(dataset, tmp_path / "noise")
    found = pq.ParquetFile(folder / "data/train-00000-of-00001.parquet").metadata
    assert max(found.row_group(g).num_rows for g in range(found.num_row_groups)) <= 8


def test_tasks_that_differ_share_full_shards(make_dataset, tmp_path):
    dataset = make_dataset(12)
    style = Task("style", ("old", "new"))
    outside = np.array([("train", "test", "")[i % 3] for i in range(12)], dtype=object)
    labels = np.where(outside == "", -1, np.arange(12) % 2)
    dataset = replace(
        dataset,
        tasks={**dataset.tasks, "style": style},
        labels={**dataset.labels, "style": labels},
        splits={**dataset.splits, "style": outside},
    )
    folder = write_parquet(dataset, tmp_path / "noise", bounds=SMALL)
    loaded = load_with_datasets(folder, tmp_path)["full"]
    assert loaded["split_style"] == [split or None for split in outside]
    assert loaded["split_label"] == list(dataset.splits["label"])
    assert loaded["style"] == list(labels)


def test_a_picture_that_could_never_be_read_is_null(make_dataset, make_png, tmp_path):
    contents = [make_png(i) for i in range(8)]
    contents[2] = None
    folder = write_parquet(make_dataset(8, contents=contents), tmp_path / "noise")
    train = load_with_datasets(folder, tmp_path)["train"]
    assert [picture is None for picture in train["image"]] == [False, True, False, False]


def test_a_picture_that_changed_or_vanished_ends_the_work(make_dataset, tmp_path, make_png):
    dataset = make_dataset(8)
    dataset.source.contents[5] = make_png(99)
    with pytest.raises(DataError, match=r"été/0005\.png of noise changed"):
        write_parquet(dataset, tmp_path / "noise")
    dataset.source.contents[5] = None
    with pytest.raises(DataError, match="can no longer be read"):
        write_parquet(dataset, tmp_path / "noise")
    assert not (tmp_path / "noise").exists()


def test_done_is_not_done_again(make_dataset, tmp_path):
    dataset = make_dataset()
    folder = write_parquet(dataset, tmp_path / "noise")
    before = (folder / "cliplab.json").stat().st_mtime_ns
    dataset.source.contents[:] = [None] * len(dataset)  # reading would fail
    write_parquet(dataset, folder)
    assert (folder / "cliplab.json").stat().st_mtime_ns == before


def test_other_content_replaces_the_earlier_preparation(make_dataset, tmp_path):
    folder = write_parquet(make_dataset(20), tmp_path / "noise")
    write_parquet(make_dataset(40), folder)
    write_parquet(make_dataset(40), tmp_path / "fresh")
    assert tree(folder) == tree(tmp_path / "fresh")


def test_a_shard_that_was_removed_is_the_only_one_made_again(make_dataset, tmp_path):
    folder = write_parquet(make_dataset(), tmp_path / "noise", bounds=SMALL)
    whole = tree(folder)
    (folder / "data/train-00001-of-00003.parquet").unlink()
    written = []
    write_parquet(make_dataset(), folder, bounds=SMALL, on_progress=written.append)
    assert sum(written) == 10
    assert tree(folder) == whole


def test_a_folder_of_something_else_is_left_alone(make_dataset, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/holiday.jpg").write_bytes(b"mine")
    with pytest.raises(DataError, match="left as it is"):
        write_parquet(make_dataset(4), tmp_path / "photos")
    assert tree(tmp_path / "photos") == {"holiday.jpg": b"mine"}


def test_a_newer_format_is_refused(make_dataset, tmp_path):
    folder = write_parquet(make_dataset(4), tmp_path / "noise")
    found = manifest(folder) | {"format_version": 99}
    (folder / "cliplab.json").write_text(json.dumps(found))
    with pytest.raises(FormatTooNew, match="Upgrade cliplab"):
        write_parquet(make_dataset(4), folder)


def test_a_task_cannot_take_the_name_of_another_column(make_dataset, tmp_path):
    dataset = make_dataset(4)
    clash = replace(
        dataset,
        tasks={"image": Task("image", ("a", "b", "c"))},
        labels={"image": dataset.labels["label"]},
        splits={"image": dataset.splits["label"]},
    )
    with pytest.raises(DataError, match="cannot be called 'image'"):
        write_parquet(clash, tmp_path / "noise")


def test_bounds_are_checked():
    with pytest.raises(UsageError, match="at least one"):
        Bounds(rows=0)


def test_a_full_disk_says_so_and_leaves_what_was_there(make_dataset, tmp_path, monkeypatch):
    folder = write_parquet(make_dataset(20), tmp_path / "noise", bounds=SMALL)
    before = tree(folder)
    real, count = os.fsync, iter(range(100))

    def full_after_three(handle):
        if next(count) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after_three)
        with pytest.raises(StorageError, match="disk is full"):
            write_parquet(make_dataset(40), folder, bounds=SMALL)
    assert tree(folder) == before
    write_parquet(make_dataset(40), folder, bounds=SMALL)
    write_parquet(make_dataset(40), tmp_path / "fresh", bounds=SMALL)
    assert tree(folder) == tree(tmp_path / "fresh")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_while_parquet_writes_leaves_no_warning(make_dataset, tmp_path):
    from contextlib import contextmanager

    from cliplab.datasets import shard_writer
    from cliplab.runtime.storage import storage_faults

    @contextmanager
    def full(path):
        with storage_faults(path), Path("/dev/full").open("wb", buffering=0) as stream:
            yield stream

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_writer, "atomic_write", full)
        with pytest.raises(StorageError, match="disk is full"):
            write_parquet(make_dataset(20), tmp_path / "noise", bounds=SMALL)


def test_duckdb_and_polars_read_the_shards(make_dataset, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is a development extra")
    polars = pytest.importorskip("polars", reason="Polars is a development extra")
    dataset = make_dataset()
    folder = write_parquet(dataset, tmp_path / "noise", bounds=SMALL)
    query = f"select count(*), sum(octet_length(image.bytes)) from '{folder}/data/*.parquet'"
    expected = (60, sum(map(len, dataset.source.contents)))
    assert tuple(map(int, duckdb.sql(query).fetchall()[0])) == expected
    frame = polars.read_parquet(f"{folder}/data/train-*.parquet")
    train = dataset.splits["label"] == "train"
    assert frame["id"].to_list() == list(dataset.ids[train])
    stored = frame["image"].struct.field("bytes").to_list()
    assert stored == [dataset.source.contents[row] for row in np.flatnonzero(train)]


PREPARE = """
import importlib.util, os, signal, sys, threading
from pathlib import Path
conftest, folder, shards, seconds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
spec = importlib.util.spec_from_file_location("pictures_of_noise", conftest)
noise = importlib.util.module_from_spec(spec)
spec.loader.exec_module(noise)
from cliplab.datasets.parquet_writer import write_parquet
from cliplab.datasets.shards import Bounds
done = []
def told(count):
    done.append(count)
    if len(done) == shards:
        threading.Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL)).start()
write_parquet(noise.make_pictures(600), folder, bounds=Bounds(rows=10), on_progress=told)
print(len(done))
"""


def prepare_in_a_process(folder: Path, shards: int = 0, seconds: float = 0):
    """Prepare 60 shards in a process that kills itself so long after it wrote `shards` of them."""
    source = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", PREPARE, str(source), str(folder), str(shards), str(seconds)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_bytes(tmp_path):
    assert prepare_in_a_process(tmp_path / "undisturbed").stdout == "60\n"
    moments = random.Random(0)
    seen = []
    while len(seen) < 10:
        run = prepare_in_a_process(
            tmp_path / "noise", moments.randint(1, 4), moments.uniform(0, 0.004)
        )
        if run.returncode == 0:
            break  # a slow machine: all was written before the signal came
        assert run.returncode == -signal.SIGKILL, run.stderr
        assert not (tmp_path / "noise").exists()  # it appears whole or not at all
        seen.append(len(list((tmp_path / ".noise.part/data").glob("*.parquet"))))
    assert seen == sorted(seen)  # what was finished is kept
    assert len(set(seen)) >= 4
    assert prepare_in_a_process(tmp_path / "noise").returncode == 0
    assert tree(tmp_path / "noise") == tree(tmp_path / "undisturbed")
    assert not list(tmp_path.glob(".noise*"))


def test_what_a_kill_left_half_written_is_swept(make_dataset, tmp_path):
    leftover = tmp_path / ".noise.part/data/.train-00000-of-00003.parquet.x1.part"
    failing = make_dataset()
    failing.source.contents[-1] = None
    with pytest.raises(DataError):
        write_parquet(failing, tmp_path / "noise", bounds=SMALL)
    leftover.write_bytes(b"half")
    write_parquet(make_dataset(), tmp_path / "noise", bounds=SMALL)
    write_parquet(make_dataset(), tmp_path / "fresh", bounds=SMALL)
    assert tree(tmp_path / "noise") == tree(tmp_path / "fresh")
