"""From nothing to Parquet: files found or fetched, told of first, read as streams, verified."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from tests.datasets.toy import FILES, Toy, archives, contents_of
from tests.web import cut, status

from cliplab.datasets import family
from cliplab.datasets.from_archives import prepare_named
from cliplab.datasets.shards import Bounds
from cliplab.runtime.downloads import Remote
from cliplab.runtime.errors import DataError, DownloadFailed
from cliplab.runtime.patience import Patience

QUICK = Patience(sleep=lambda _seconds: None)


@pytest.fixture
def toy(web, monkeypatch):
    """The toy as a member of the catalogue, its archives served by a server that is unsteady."""
    remotes = {
        name: Remote(name, (web.put(name, content, status(503), cut(3000)),), size=len(content))
        for name, content in archives().items()
    }
    member = Toy(remotes)
    modules = family._modules
    monkeypatch.setattr(family, "_modules", lambda: [*modules(), member])
    return member


@pytest.fixture
def folder(tmp_path):
    """A folder of the archives, as a user keeps them."""
    place = tmp_path / "archives"
    (place / "below").mkdir(parents=True)
    for name, content in archives().items():
        (place / "below" / name).write_bytes(content)
    return place


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_from_the_web_to_parquet(toy, home, capsys):
    found = prepare_named("toy", home=home, patience=QUICK)
    assert found == [home / "datasets/toy/red", home / "datasets/toy/blue"]
    for name in FILES:
        dataset, _task = family.open_dataset(name, home=home)
        contents = contents_of(name)
        rows = range(len(dataset))
        for id_, read in zip(dataset.ids, dataset.source.open(rows), strict=True):
            if id_ in contents:
                assert read() == contents[id_]
            else:
                with pytest.raises(OSError, match="holds no picture"):
                    read()
        assert set(dataset.ids) < set(contents) | {f"{name.removeprefix('toy/')}/cat/9999.jpg"}
        assert list(dataset.archives) == [FILES[name]]
        assert (
            dataset.queries
            == toy.read_archives(name, {FILES[name]: home / "archives" / FILES[name]}).queries
        )
    said = capsys.readouterr().err
    assert "toy/red: The toy/red pictures.\n  Licence: CC0 1.0\n  Please cite: @misc{toy}" in said
    assert f"blue.tgz ({toy.remotes('toy/blue')[0].size / 1e6:,.1f} MB) from http://127" in said
    assert said.index("Licence") < said.index("answers 503") < said.index("41 pictures")


def test_what_cannot_be_read_keeps_its_row_and_is_told_of(toy, home, capsys):
    (red,) = prepare_named("toy/red", home=home, patience=QUICK)
    expected = [
        ("red/cat/0009.jpg", "an HTML page, not a picture (a download that failed?)"),
        ("red/cat/9999.jpg", "cannot be read: not in the archive"),
        ("red/dog/0004.jpg", "truncated: the file ends before the picture does"),
    ]
    manifest = json.loads((red / "cliplab.json").read_text())
    assert sorted((one["id"], one["reason"]) for one in manifest["unreadable"]) == expected
    assert sum(shard["rows"] for shard in manifest["shards"]) == 41
    assert "3 pictures cannot be read: " in capsys.readouterr().err
    (entry,) = [e for e in family.catalogue(home) if e.name == "toy/red"]
    assert (entry.state, entry.pictures, entry.unreadable) == ("prepared", 41, 3)


def test_on_bad_fail_ends_the_work_and_list_goes_on(toy, home):
    with pytest.raises(DataError, match=r"cannot be read or are empty: red/cat/9999\.jpg"):
        prepare_named("toy/red", home=home, patience=QUICK, on_bad="fail")
    assert not (home / "datasets/toy/red").exists()
    assert prepare_named("toy/red", home=home, patience=QUICK)[0].exists()


def test_a_picture_that_does_not_decode_ends_the_work_where_that_is_wanted(
    toy, home, make_dataset, make_png
):
    from cliplab.datasets.prepare import prepare

    contents = [make_png(i) for i in range(12)]
    contents[6] = contents[6][:-30]
    dataset, bounds = make_dataset(12, contents=contents), Bounds(rows=3)
    with pytest.raises(DataError, match=r"1 pictures cannot be read: cat/0006\.png \(.*--on-bad"):
        prepare(dataset, home=home, bounds=bounds, on_bad="fail")
    folder = prepare(dataset, home=home, bounds=bounds)
    undisturbed = prepare(dataset, home=home, bounds=bounds, out=home / "undisturbed")
    assert tree(folder) == tree(undisturbed)


def test_a_folder_of_archives_is_used_and_left_alone(toy, web, home, folder):
    before = tree(folder)
    prepare_named("toy", home=home, archives=folder, offline=True)
    assert web.requests == []
    assert tree(folder) == before
    assert [p.name for p in (home / "archives").iterdir()] == ["digests"]


def test_both_ways_end_in_the_same_bytes(toy, home, folder, tmp_path):
    one = prepare_named("toy", home=home, patience=QUICK)
    two = prepare_named("toy", home=tmp_path / "other", archives=folder)
    assert [tree(place) for place in one] == [tree(place) for place in two]


def test_other_archives_are_another_data_set(toy, home, folder, tmp_path):
    (one,) = prepare_named("toy/red", home=home, archives=folder)
    red = folder / "below/red.zip"
    content = bytearray(red.read_bytes())
    content[10] ^= 1  # the time of the first member: nothing that is read
    red.write_bytes(content)
    (two,) = prepare_named("toy/red", home=tmp_path / "other", archives=folder)
    first, second = (json.loads((p / "cliplab.json").read_text()) for p in (one, two))
    assert first["content_digest"] == second["content_digest"]
    assert first["archives"] != second["archives"]
    assert first["identity"] != second["identity"]


def test_what_is_prepared_needs_no_archives_any_more(toy, home, folder, capsys):
    prepare_named("toy", home=home, archives=folder)
    capsys.readouterr()
    prepare_named("toy", home=home, offline=True)
    assert capsys.readouterr().err.count("is prepared already") == 2


def test_killed_while_its_digests_were_kept_it_is_completed(toy, home, folder):
    prepare_named("toy", home=home, archives=folder)
    whole = tree(home / "indexes")
    for path in (home / "indexes").glob("*.parquet"):
        path.rename(path.with_name(f".{path.name}.abc.part"))
    prepare_named("toy", home=home, offline=True)
    again = tree(home / "indexes")
    assert sorted(again) == sorted(whole)
    assert len([name for name in again if name.suffix == ".parquet"]) == 2
    assert again == whole


def test_offline_tells_what_is_missing(toy, home, web):
    with pytest.raises(DownloadFailed, match=r"(?s)--offline allows no .*red\.zip"):
        prepare_named("toy", home=home, offline=True)
    assert web.requests == []


def test_a_member_with_a_wrong_crc_is_a_row_without_a_picture(toy, home, folder):
    red = folder / "below/red.zip"
    with zipfile.ZipFile(red) as archive:
        info = archive.getinfo("red/cat/0000.jpg")
    content = bytearray(red.read_bytes())
    content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    red.write_bytes(content)
    (place,) = prepare_named("toy/red", home=home, archives=folder)
    bad = {one["id"]: one["reason"] for one in _manifest(place)["unreadable"]}
    assert bad["red/cat/0000.jpg"].startswith("cannot be read: red/cat/0000.jpg in red.zip")
    assert len(bad) == 4


def test_a_folder_of_that_name_comes_first(toy, home, tmp_path, monkeypatch, make_png):
    monkeypatch.chdir(tmp_path)
    for label in ("cats", "dogs"):
        (tmp_path / "toy" / label).mkdir(parents=True)
        (tmp_path / "toy" / label / "0.png").write_bytes(make_png(0))
    (place,) = prepare_named("toy", home=home)
    assert place.parent == home / "datasets/folders"


def test_other_tools_open_it(toy, home, tmp_path):
    import duckdb
    import polars

    import datasets

    (place,) = prepare_named("toy/red", home=home, patience=QUICK)
    loaded = datasets.load_dataset(str(place), cache_dir=str(tmp_path / "cache"))
    assert loaded["train"].features["animal"].names == ["cat", "dog", "owl"]
    assert loaded["train"][0]["image"].size == (8, 8)
    files = str(place / "data" / "*.parquet")
    rows = duckdb.sql(f"select count(*), count(image.bytes) from '{files}'").fetchall()
    assert rows == [(41, 40)]
    frame = polars.read_parquet(files)
    assert sorted(frame["id"]) == sorted(family.open_dataset("toy/red", home=home).dataset.ids)
    assert frame["image"].struct.field("bytes").null_count() == 1


def test_the_command(toy, home, folder, capsys):
    from cliplab.cli import main

    with pytest.raises(SystemExit) as stop:
        main(["prepare", "toy", "--archives", str(folder), "--offline", "--workers", "1", "--json"])
    assert not stop.value.code
    shown = json.loads(capsys.readouterr().out)
    assert shown == [str(home / "datasets/toy/red"), str(home / "datasets/toy/blue")]
    with pytest.raises(SystemExit):
        main(["datasets"])
    assert "unreadable" in capsys.readouterr().out


def _manifest(place):
    return json.loads((place / "cliplab.json").read_text())


def test_resumed_at_the_shard(toy, home, folder, tmp_path, monkeypatch):
    """Whatever shard the work stops after, it ends in the same bytes and reads only the rest."""
    bounds = Bounds(rows=7)
    (whole,) = prepare_named("toy/blue", home=home, archives=folder, bounds=bounds)
    shards = len(list((whole / "data").iterdir()))
    assert shards > 5

    class Stop(Exception):
        pass

    for after in range(1, shards):
        place = tmp_path / f"home{after}"
        done = []

        def stopping(count, done=done, after=after):
            done.append(count)
            if len(done) > after:
                raise Stop

        with pytest.raises(Stop):
            _prepare_with(stopping, toy, place, folder, bounds)
        assert len(list((place / "datasets/toy/.blue.part/data").glob("*.parquet"))) == after
        (again,) = prepare_named("toy/blue", home=place, archives=folder, bounds=bounds)
        assert tree(again) == tree(whole)


def _prepare_with(on_progress, toy, home, folder, bounds):
    from dataclasses import replace

    from cliplab.datasets.prepare import prepare

    dataset = toy.read_archives("toy/blue", {"blue.tgz": folder / "below/blue.tgz"})
    digests = {"blue.tgz": _sha256(folder / "below/blue.tgz")}
    dataset = replace(dataset, archives=digests)
    prepare(
        dataset, home=home, out=home / "datasets/toy/blue", bounds=bounds, on_progress=on_progress
    )


def _sha256(path):
    import hashlib

    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["toy/red", "toy/red:animal"])
def test_a_task_after_the_name_changes_nothing(toy, home, folder, name):
    assert prepare_named(name, home=home, archives=folder) == [home / "datasets/toy/red"]


def test_labels_and_splits_come_through(toy, home, folder):
    (place,) = prepare_named("toy/blue", home=home, archives=folder)
    found = family.open_dataset(str(place), home=home).dataset
    source = toy.read_archives("toy/blue", {"blue.tgz": folder / "below/blue.tgz"})
    rows = {id_: row for row, id_ in enumerate(source.ids)}
    order = [rows[id_] for id_ in found.ids]
    assert sorted(order) == list(range(len(source)))
    assert np.array_equal(found.labels["animal"], source.labels["animal"][order])
    assert np.array_equal(found.splits["animal"], source.splits["animal"][order])
