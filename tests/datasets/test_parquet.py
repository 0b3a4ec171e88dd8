from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from cliplab.datasets.family import open_dataset
from cliplab.datasets.parquet import open_parquet
from cliplab.datasets.parquet_writer import write_parquet
from cliplab.datasets.shards import Bounds
from cliplab.nouns import CAPTIONS_ALONE, Task
from cliplab.runtime.errors import DataError, FormatTooNew

SMALL = Bounds(rows=10)


def same_by_id(found, expected):
    """Compare two data sets picture by picture, whatever their order."""
    place = {id_: row for row, id_ in enumerate(expected.ids)}
    rows = np.array([place[id_] for id_ in found.ids])
    assert sorted(rows) == list(range(len(expected)))
    assert found.tasks == expected.tasks
    for task in expected.tasks:
        assert list(found.labels[task]) == list(expected.labels[task][rows])
        assert list(found.splits[task]) == list(expected.splits[task][rows])
    assert list(found.digests) == list(expected.digests[rows])
    if expected.captions is not None:
        assert list(found.captions) == [expected.captions[row] for row in rows]
    contents = [read() for read in found.source.open(range(len(found)))]
    assert contents == [expected.source.contents[row] for row in rows]


@pytest.fixture
def prepared(make_dataset, tmp_path):
    return write_parquet(make_dataset(), tmp_path / "noise", bounds=SMALL)


def open_it(folder, home, name="noise"):
    return open_parquet(folder, name=name, home=home)


def test_round_trip(make_dataset, prepared, home):
    dataset, found = make_dataset(), open_it(prepared, home)
    same_by_id(found, dataset)
    assert found.card == dataset.card
    assert found.split_origin == "given"
    assert found.location == prepared
    manifest = json.loads((prepared / "cliplab.json").read_text())
    assert found.content_digest() == manifest["content_digest"]


def test_round_trip_of_tasks_that_differ(make_dataset, tmp_path, home):
    dataset = make_dataset(12)
    outside = np.array([("train", "test", "")[i % 3] for i in range(12)], dtype=object)
    dataset = replace(
        dataset,
        tasks={**dataset.tasks, "style": Task("style", ("old", "new"), catch_all=("new",))},
        labels={**dataset.labels, "style": np.where(outside == "", -1, np.arange(12) % 2)},
        splits={**dataset.splits, "style": outside},
        captions=None,
    )
    folder = write_parquet(dataset, tmp_path / "noise", bounds=SMALL)
    found = open_it(folder, home)
    same_by_id(found, dataset)
    assert list(found.ids) == list(dataset.ids)
    assert found.captions is None


def test_any_order_of_rows(prepared, home, make_dataset):
    found = open_it(prepared, home)
    expected = [read() for read in found.source.open(range(60))]
    orders = np.random.default_rng(0).integers(0, 60, (5, 80))
    for rows in [*orders, [59, 0, 30, 30], [], [59]]:
        assert [read() for read in found.source.open(rows)] == [expected[row] for row in rows]


def test_order_within_large_groups_and_calls_made_later(make_dataset, tmp_path, home):
    dataset = make_dataset(900)
    folder = write_parquet(dataset, tmp_path / "noise")
    found = open_it(folder, home)
    rows = [449, 0, 99, 100, 101, 320, 330, 5, 899]
    later = list(found.source.open(rows))
    place = {id_: row for row, id_ in enumerate(dataset.ids)}
    assert [read() for read in reversed(later)] == [
        dataset.source.contents[place[found.ids[row]]] for row in reversed(rows)
    ]


def test_a_null_picture_cannot_be_read_and_has_no_digest(make_dataset, make_png, tmp_path, home):
    contents = [make_png(i) for i in range(8)]
    contents[0] = None
    folder = write_parquet(make_dataset(8, contents=contents), tmp_path / "noise")
    found = open_it(folder, home)
    reads = list(found.source.open(range(8)))
    with pytest.raises(OSError, match="no picture in this row"):
        reads[0]()
    assert list(found.digests == "") == [True] + [False] * 7


def test_digests_are_kept(prepared, home, monkeypatch):
    before = open_it(prepared, home).digests
    monkeypatch.setattr("cliplab.datasets.parquet.stored_digests", None)  # a call would fail
    assert list(open_it(prepared, home).digests) == list(before)


SHARD = "data/train-00001-of-00003.parquet"


@pytest.mark.parametrize("content", [b"", b"PAR1garbagePAR1", "half", "middle"])
def test_a_damaged_shard_is_named_with_the_way_out(prepared, home, content):
    path = prepared / SHARD
    whole = path.read_bytes()
    if content == "half":
        content = whole[: len(whole) // 2]
    elif content == "middle":
        content = whole[:400] + bytes(b ^ 255 for b in whole[400:500]) + whole[500:]
    path.write_bytes(content)
    message = rf"train-00001-of-00003\.parquet .*Remove .*{SHARD} and run `cliplab prepare noise`"
    with pytest.raises(DataError, match=message):
        [read() for read in open_it(prepared, home).source.open(range(60))]


def test_a_missing_shard_is_named(prepared, home):
    (prepared / SHARD).unlink()
    with pytest.raises(DataError, match=rf"{SHARD} is missing\. .*cliplab prepare noise"):
        open_it(prepared, home, name="data/set/by/path")  # the way out names its origin


def rewrite(path, change):
    import pyarrow.parquet as pq

    pq.write_table(change(pq.read_table(path)), path)


def test_a_missing_column_is_named(prepared, home):
    rewrite(prepared / SHARD, lambda table: table.drop_columns(["label"]))
    with pytest.raises(DataError, match=r"has no column 'label'\. Remove"):
        open_it(prepared, home)


def test_a_column_of_the_wrong_type_is_named(prepared, home):
    def change(table):
        place = table.column_names.index("label")
        return table.set_column(place, "label", table.column("label").cast("string"))

    rewrite(prepared / SHARD, change)
    with pytest.raises(DataError, match=r"'label' holds string, expected integer\. Remove"):
        open_it(prepared, home)


def test_missing_rows_are_noticed(prepared, home):
    rewrite(prepared / SHARD, lambda table: table.slice(1))
    with pytest.raises(DataError, match="has 9 rows, expected 10"):
        open_it(prepared, home)


def test_a_shard_of_a_newer_format_is_refused(prepared, home):
    newer = {"cliplab": json.dumps({"format_version": 99})}
    rewrite(prepared / SHARD, lambda table: table.replace_schema_metadata(newer))
    with pytest.raises(FormatTooNew, match="Upgrade cliplab"):
        open_it(prepared, home)


def test_without_its_manifest_a_folder_is_not_complete(prepared, home):
    (prepared / "cliplab.json").unlink()
    with pytest.raises(DataError, match="not completely prepared"):
        open_it(prepared, home)


def test_reading_holds_a_row_group_and_not_a_shard(make_dataset, tmp_path, home):
    noise = np.random.default_rng(0)
    contents = [noise.bytes(20_000) for _ in range(2000)]  # 40 MB, 2 MB a row group
    dataset = make_dataset(2000, contents=contents)
    one = {"label": np.array(["train"] * 2000, dtype=object)}
    folder = write_parquet(replace(dataset, splits=one), tmp_path / "noise")
    import pyarrow as pa

    found = open_it(folder, home)
    tracemalloc.start()
    pool, most = pa.default_memory_pool(), 0
    start = pool.bytes_allocated()
    for read in found.source.open(range(2000)):
        assert len(read()) == 20_000
        most = max(most, pool.bytes_allocated() - start)
    most += tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 15_000_000


def test_a_task_that_may_lack_training_pictures_is_one_after_opening(make_dataset, home):
    from dataclasses import replace

    from cliplab.datasets.prepare import prepare

    dataset = make_dataset(12)
    task = replace(dataset.task(), may_lack_training=True)
    lacking = replace(dataset, name="lacking", tasks={"label": task})
    for one, expected in ((dataset, False), (lacking, True)):
        found = open_parquet(prepare(one, home=home), name=one.name, home=home)
        assert found.task().may_lack_training is expected


@pytest.mark.parametrize("outside", [False, True])
def test_round_trip_of_captions_without_classes(make_dataset, tmp_path, home, outside):
    import datasets

    name = CAPTIONS_ALONE.name
    splits = np.array([("train", "test", "" if outside else "train")[i % 3] for i in range(60)])
    dataset = make_dataset(
        tasks={name: CAPTIONS_ALONE},
        labels={name: np.full(60, -1)},
        splits={name: splits.astype(object)},
        captions=[(f"picture {i}", f"no {i}")[: i % 3] for i in range(60)],
    )
    folder = write_parquet(dataset, tmp_path / "captions")
    for opened in (open_parquet(folder, name="c", home=home), open_dataset(folder).dataset):
        assert opened.task() == CAPTIONS_ALONE
        assert set(opened.labels[name]) == {-1}
        pairs = zip(opened.captions, opened.splits[name], strict=True)
        told = dict(zip(opened.ids, pairs, strict=True))
        for row, id_ in enumerate(dataset.ids):
            assert told[id_] == (dataset.captions[row], splits[row])
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert sum(len(split) for split in loaded.values()) == 60
    assert "image-to-text" in (folder / "README.md").read_text()
