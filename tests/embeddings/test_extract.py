"""Extraction: the right vectors in the right order, once each, whatever goes wrong."""

from __future__ import annotations

import dataclasses
import errno
import io
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from cliplab.embeddings.extract import ExtractConfig, embed, fill
from cliplab.nouns import ImageVectors
from cliplab.runtime.errors import DataError, FormatTooNew, StorageError, UsageError

BATCH = ExtractConfig(batch_size=5)
STRICT = ExtractConfig(batch_size=5, on_bad="fail")


def plain(dataset, encoder, rows):
    """Vectors by the shortest way, one picture at a time."""
    pixels = [
        encoder.preprocess(Image.open(io.BytesIO(dataset.source.contents[row])).convert("RGB"))
        for row in rows
    ]
    return encoder.encode_pixels(torch.stack(pixels))


def parquet_bytes(home):
    return {path.name: path.read_bytes() for path in home.rglob("*.parquet")}


def test_vectors_labels_and_ids_belong_together(make_dataset, toy_encoder, home, small_parts):
    dataset = make_dataset(50)
    embeddings, stats = embed(dataset, toy_encoder, task="label", config=BATCH, home=home)
    expected = plain(dataset, toy_encoder, range(50))
    np.testing.assert_allclose(embeddings.vectors, expected.embedding.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(embeddings.features, expected.features.numpy(), rtol=1e-4, atol=1e-4)
    assert list(embeddings.ids) == list(dataset.ids)
    assert list(embeddings.labels) == list(dataset.labels["label"])
    assert embeddings.class_names == ("cat", "dog", "hen")
    assert embeddings.identity == toy_encoder.identity
    assert (stats.n_encoded, stats.n_cached, stats.n_skipped) == (50, 0, 0)
    assert 0 < stats.seconds_encoder < stats.seconds


def test_rows_come_in_the_order_asked_for(make_dataset, toy_encoder, home, small_parts):
    dataset = make_dataset(30)
    every = embed(dataset, toy_encoder, task="label", home=home).embeddings
    rows = np.random.default_rng(0).permutation(30)[:20]
    some = embed(dataset, toy_encoder, task="label", rows=rows, home=home).embeddings
    np.testing.assert_array_equal(some.vectors, every.vectors[rows])
    assert list(some.ids) == list(dataset.ids[rows])


def test_only_the_split_asked_for_is_encoded(make_dataset, toy_encoder, home):
    dataset = make_dataset(40)
    embed(dataset, toy_encoder, task="label", rows=dataset.rows("label", "test"), home=home)
    assert toy_encoder.encoded == len(dataset.source.opened) == 10
    embed(dataset, toy_encoder, task="label", home=home)
    assert toy_encoder.encoded == 40


def test_a_second_run_reads_no_picture(make_dataset, toy_encoder, home):
    dataset = make_dataset(20, bad=(3,))
    first, _ = embed(dataset, toy_encoder, task="label", home=home)
    dataset.source.opened.clear()
    second, stats = embed(dataset, toy_encoder, task="label", home=home)
    assert dataset.source.opened == []
    assert (stats.n_encoded, stats.n_cached, stats.n_skipped) == (0, 19, 1)
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert first.skipped == second.skipped


def test_filling_is_as_good_as_embedding(make_dataset, toy_encoder, home, small_parts):
    dataset = make_dataset(30)
    stats = fill(dataset, toy_encoder, home=home)
    assert (stats.n_encoded, len(list(stats.folder.glob("part-*")))) == (30, 4)
    assert embed(dataset, toy_encoder, task="label", home=home).stats.n_encoded == 0


def test_after_adding_pictures_only_those_are_encoded(make_dataset, toy_encoder, home, small_parts):
    few, many = make_dataset(60, bad=(5,)), make_dataset(75, bad=(5,))
    before = embed(few, toy_encoder, task="label", home=home).embeddings
    toy_encoder.encoded = 0
    after, stats = embed(many, toy_encoder, task="label", home=home)
    assert toy_encoder.encoded == len(many.source.opened) == stats.n_encoded == 15
    assert (stats.n_cached, stats.n_skipped) == (59, 1)
    np.testing.assert_array_equal(after.vectors[:59], before.vectors)
    fresh = embed(many, toy_encoder, task="label", home=home.with_name("other")).embeddings
    np.testing.assert_allclose(after.vectors, fresh.vectors, rtol=1e-4, atol=1e-4)
    assert after.skipped == fresh.skipped


def test_copies_find_their_pictures_wherever_they_lie(make_dataset, toy_encoder, home, small_parts):
    fill(make_dataset(40, start=13), toy_encoder, home=home)
    dataset = make_dataset(60)
    embeddings, stats = embed(dataset, toy_encoder, task="label", home=home)
    assert stats.n_encoded == 20
    np.testing.assert_allclose(
        embeddings.vectors, plain(dataset, toy_encoder, range(60)).embedding, rtol=1e-4, atol=1e-4
    )


@pytest.mark.slow
def test_after_adding_100_to_5000_only_100_are_encoded(make_dataset, toy_encoder, home):
    fill(make_dataset(5000), toy_encoder, home=home)
    assert toy_encoder.encoded == 5000
    fill(make_dataset(5100), toy_encoder, home=home)
    assert toy_encoder.encoded == 5100


def test_vectors_that_are_gone_since_the_plan_are_encoded(make_dataset, toy_encoder, home):
    source = fill(make_dataset(30), toy_encoder, home=home).folder
    many = make_dataset(40)
    fill(many, toy_encoder, rows=many.rows("label", "test"), home=home)
    for part in source.glob("part-*"):
        part.unlink()
    toy_encoder.encoded = 0
    embeddings = embed(many, toy_encoder, task="label", home=home).embeddings
    assert toy_encoder.encoded == 30  # the training pictures, 22 of which were to be copied
    np.testing.assert_allclose(
        embeddings.vectors, plain(many, toy_encoder, range(40)).embedding, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("change", ["seed", "batch size"])
def test_nothing_is_reused_across_settings(make_dataset, toy_encoder, home, change):
    dataset = make_dataset(10)
    fill(dataset, toy_encoder, config=BATCH, home=home)
    if change == "seed":
        toy_encoder.identity = {"name": "toy", "seed": 1}
    config = ExtractConfig(batch_size=4) if change == "batch size" else BATCH
    assert fill(dataset, toy_encoder, config=config, home=home).n_encoded == 10


def test_changed_labels_keep_the_vectors(make_dataset, toy_encoder, home):
    dataset = make_dataset(10)
    fill(dataset, toy_encoder, home=home)
    other = dataclasses.replace(dataset, labels={"label": np.zeros(10, dtype=np.int64)})
    embeddings, stats = embed(other, toy_encoder, task="label", home=home)
    assert (stats.n_encoded, set(embeddings.labels)) == (0, {0})


def test_unreadable_pictures_are_listed_and_left_out(make_dataset, toy_encoder, home, small_parts):
    dataset = make_dataset(30, bad=(0, 7, 21))
    embeddings, stats = embed(dataset, toy_encoder, task="label", config=BATCH, home=home)
    assert (len(embeddings), stats.n_skipped) == (27, 3)
    assert {s.id for s in embeddings.skipped} == {"00000.png", "00007.png", "00021.png"}
    assert all(s.reason for s in embeddings.skipped)
    good = [row for row in range(30) if row not in (0, 7, 21)]
    np.testing.assert_allclose(
        embeddings.vectors, plain(dataset, toy_encoder, good).embedding, rtol=1e-4, atol=1e-4
    )
    assert list(embeddings.labels) == list(dataset.labels["label"][good])


def test_only_unreadable_pictures_that_were_asked_for_are_listed(make_dataset, toy_encoder, home):
    dataset = make_dataset(30, bad=(0, 7, 21))
    test = dataset.rows("label", "test")
    embeddings = embed(dataset, toy_encoder, task="label", rows=test[:3], home=home).embeddings
    assert [s.id for s in embeddings.skipped] == ["00000.png"]


def test_on_bad_fail_ends_the_run_the_first_time_and_every_time(make_dataset, toy_encoder, home):
    dataset = make_dataset(30, bad=(9, 10, 22))
    with pytest.raises(DataError, match=r"00009\.png: .*") as caught:
        embed(dataset, toy_encoder, task="label", config=STRICT, home=home)
    assert "--on-bad list" in str(caught.value)
    assert "00022" not in str(caught.value)  # not read so far
    fill(dataset, toy_encoder, config=BATCH, home=home)
    with pytest.raises(DataError, match=r"00022\.png"):
        embed(dataset, toy_encoder, task="label", config=STRICT, home=home)


def test_pictures_that_cannot_be_opened_are_tried_again(
    make_dataset, toy_encoder, home, small_parts
):
    dataset = make_dataset(30, bad=(5,))
    dataset.source.gone = {9, 10}
    first = embed(dataset, toy_encoder, task="label", home=home).embeddings
    assert {s.id for s in first.skipped} == {"00005.png", "00009.png", "00010.png"}
    assert "No such file" in first.skipped[-1].reason
    again, stats = embed(dataset, toy_encoder, task="label", home=home)
    assert (stats.n_encoded, again.skipped) == (0, first.skipped)
    dataset.source.gone = set()
    dataset.source.opened.clear()
    back, stats = embed(dataset, toy_encoder, task="label", home=home)
    assert (stats.n_encoded, stats.n_skipped) == (2, 1)
    assert dataset.source.opened == [9, 10]
    whole = plain(dataset, toy_encoder, [row for row in range(30) if row != 5])
    np.testing.assert_allclose(back.vectors, whole.embedding, rtol=1e-4, atol=1e-4)
    assert embed(dataset, toy_encoder, task="label", home=home).stats.n_encoded == 0


def test_a_failure_leaves_no_thread_behind(make_dataset, toy_encoder, home, small_parts):
    before = set(threading.enumerate())
    with pytest.raises(DataError):
        fill(make_dataset(60, bad=(1,)), toy_encoder, config=STRICT, home=home)
    assert set(threading.enumerate()) == before


def test_no_readable_picture_at_all(make_dataset, toy_encoder, home):
    with pytest.raises(DataError, match=r"None of the 3 pictures can be read:\n  - 00000\.png: "):
        embed(make_dataset(3, bad=(0, 1, 2)), toy_encoder, task="label", home=home)
    with pytest.raises(DataError, match="selection is empty"):
        embed(make_dataset(3), toy_encoder, task="label", rows=np.array([]), home=home)


def test_a_higher_limit_on_pixels_tries_the_large_ones_again(make_dataset, toy_encoder, home):
    dataset = make_dataset(10)
    tight = ExtractConfig(max_pixels=63)
    with pytest.raises(DataError, match="None of the 10 pictures"):
        fill(dataset, toy_encoder, config=tight, home=home)
    assert fill(dataset, toy_encoder, home=home).n_encoded == 10


def test_encoder_without_features(make_dataset, toy_encoder, home, monkeypatch):
    both = toy_encoder.encode_pixels
    toy_encoder.feature_width = None
    monkeypatch.setattr(
        toy_encoder, "encode_pixels", lambda pixels: ImageVectors(both(pixels).embedding, None)
    )
    dataset = make_dataset(10)
    embed(dataset, toy_encoder, task="label", home=home)
    embeddings, stats = embed(dataset, toy_encoder, task="label", home=home)
    assert embeddings.features is None
    assert stats.n_cached == 10


def test_numbers_that_are_not_finite_are_refused(make_dataset, toy_encoder, home):
    toy_encoder.projection[:] = float("inf")
    with pytest.raises(DataError, match=r"not finite for '0000\d\.png'.*use fp32"):
        fill(make_dataset(10), toy_encoder, home=home)


@pytest.mark.parametrize("damage", ["cut", "vectors", "plan", "manifest"])
def test_a_damaged_file_is_made_again(make_dataset, toy_encoder, home, small_parts, capsys, damage):
    dataset = make_dataset(30)
    first, stats = embed(dataset, toy_encoder, task="label", home=home)
    whole = parquet_bytes(home)
    name = {"plan": "plan.parquet", "manifest": "manifest.json"}.get(
        damage, "part-00002-of-00004.parquet"
    )
    content = bytearray((stats.folder / name).read_bytes())
    if damage == "vectors":
        at = content.find(first.vectors[dataset.ids == "00013.png"].tobytes())
        assert at > 0
        content[at + 7] ^= 1
    else:
        del content[-30:]
    (stats.folder / name).write_bytes(content)
    toy_encoder.encoded = 0
    second = embed(dataset, toy_encoder, task="label", home=home).embeddings
    np.testing.assert_array_equal(first.vectors, second.vectors)
    assert parquet_bytes(home) == whole
    assert name in capsys.readouterr().err
    assert toy_encoder.encoded == (8 if name.startswith("part") else 0)


def test_a_newer_format_is_refused(make_dataset, toy_encoder, home):
    dataset = make_dataset(5)
    folder = fill(dataset, toy_encoder, home=home).folder
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 9'))
    with pytest.raises(FormatTooNew, match="format version 9"):
        fill(dataset, toy_encoder, home=home)


def test_a_full_disk_keeps_what_was_finished(
    make_dataset, toy_encoder, home, small_parts, monkeypatch
):
    dataset = make_dataset(30)
    fill(dataset, toy_encoder, home=home.with_name("undisturbed"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full_after(3))  # the manifest, the plan, one part
        with pytest.raises(StorageError, match=r"disk is full .* What was finished is kept"):
            fill(dataset, toy_encoder, home=home)
    assert not list(home.rglob("*.part"))
    kept = parquet_bytes(home)
    assert set(kept) == {"plan.parquet", "part-00000-of-00004.parquet"}
    toy_encoder.encoded = 0
    fill(dataset, toy_encoder, home=home)
    assert toy_encoder.encoded == 22
    assert parquet_bytes(home) == parquet_bytes(home.with_name("undisturbed"))


def full_after(n):
    """Stand-in for os.fsync on a disk that fills up after n files."""
    done = []

    def fsync(handle):
        done.append(handle)
        if len(done) > n:
            raise OSError(errno.ENOSPC, "No space left on device")

    return fsync


def test_a_home_that_cannot_be_written(make_dataset, toy_encoder, home):
    home.write_text("a file in its place")
    with pytest.raises(StorageError, match="--home DIR or CLIPLAB_HOME"):
        fill(make_dataset(5), toy_encoder, home=home)
    assert home.read_text() == "a file in its place"


def test_what_is_there_serves_from_a_read_only_home(make_dataset, toy_encoder, home, monkeypatch):
    dataset = make_dataset(5)
    fill(dataset, toy_encoder, home=home)

    def refuse(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    monkeypatch.setattr("os.open", refuse)
    assert embed(dataset, toy_encoder, task="label", home=home).stats.n_cached == 5
    with pytest.raises(StorageError, match=r"read-only file system.*--home DIR"):
        fill(make_dataset(6), toy_encoder, home=home)


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"max_pixels": 0}, {"on_bad": "no"}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(UsageError, match="give"):
        ExtractConfig(**settings)


def test_a_row_asked_for_twice_is_refused(make_dataset, toy_encoder, home):
    with pytest.raises(UsageError, match="asked for twice"):
        embed(make_dataset(5), toy_encoder, task="label", rows=np.array([1, 1]), home=home)


def test_leftovers_of_a_killed_run_are_swept(make_dataset, toy_encoder, home, small_parts):
    dataset = make_dataset(30)
    folder = fill(dataset, toy_encoder, rows=np.array([0]), home=home).folder
    (folder / ".part-00001-of-00004.parquet.abc.part").write_bytes(b"half")
    fill(dataset, toy_encoder, home=home)
    assert not list(folder.glob(".*.part"))
