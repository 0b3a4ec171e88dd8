from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cliplab.report.record import FILE, write_run
from cliplab.report.runs import find_run, latest_run, list_runs, new_run_folder
from cliplab.runtime.errors import DataError, StorageError, UnknownName, UsageError

NOW = datetime(2026, 11, 24, 3, 15, 0)


@pytest.fixture
def root(tmp_path, make, predictions, monkeypatch) -> Path:
    """Three complete runs, of which "middle" is the newest; a later one, unfinished."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    for hour, name in ((1, "pets-a"), (9, "pets-middle"), (5, "pets-b")):
        created = datetime(2026, 11, 24, hour, tzinfo=UTC)
        run = make.run(root / name, predictions, created=created)
        write_run(run.record.run, run.record, run.predictions)
    unfinished = root / "pets-RN50-20261124-101112"
    unfinished.mkdir()
    later = datetime(2026, 11, 24, 10, 11, 12, tzinfo=UTC).timestamp()
    os.utime(unfinished, (later, later))
    (root / "Nov24_03-15-00_host").mkdir()  # TensorBoard's
    return root


@pytest.mark.parametrize(
    ("dataset", "encoder", "name"),
    [
        ("digits", "ViT-B-32/openai", "digits-ViT-B-32-openai"),
        ("domainnet/clipart", "RN50/openai", "domainnet-clipart-RN50-openai"),
        ("hf:owner/name:label", "toy", "hf-owner-name-label-toy"),
        ("wikiart:genre", "hf-hub:laion/X", "wikiart-genre-hf-hub-laion-X"),
        ("photos/", "./trained/clip", "photos-clip"),
        ("/data/pets", "/models/my clip/", "pets-my-clip"),
        ("../../etc", "..;rm -rf $HOME\n", "etc-rm--rf-HOME"),
        ("Bäume", "-x", "Bäume-x"),
        ("/", "???", "unnamed-unnamed"),
    ],
)
def test_folder_is_named_after_data_set_encoder_and_date(tmp_path, dataset, encoder, name):
    folder = new_run_folder(tmp_path / "runs", dataset, encoder, NOW)
    assert folder == tmp_path / "runs" / f"{name}-20261124-031500"
    assert folder.is_dir()


def test_a_path_that_is_there_gives_its_last_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "pets").mkdir(parents=True)
    assert new_run_folder(Path("runs"), "data/pets", "toy", NOW).name.startswith("pets-toy-")
    monkeypatch.chdir(tmp_path / "data" / "pets")
    assert new_run_folder(Path("runs"), ".", "toy", NOW).name.startswith("pets-toy-")


def test_long_names_fit_a_file_name(tmp_path):
    folder = new_run_folder(tmp_path, "☃ä" * 300, "e" * 300, NOW)
    assert len(os.fsencode(folder.name)) < 200


def test_no_two_runs_share_a_folder(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: new_run_folder(tmp_path, "d", "e", NOW), range(16)))
    assert len(set(folders)) == 16
    assert {f.name for f in folders} >= {"d-e-20261124-031500", "d-e-20261124-031500-16"}


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file is in its place"):
        new_run_folder(tmp_path / "file", "d", "e", NOW)


def test_list_is_newest_first_and_shows_what_is_not_whole(root):
    (root / "pets-a" / FILE).write_text("{")
    by_name = {entry.name: entry for entry in list_runs(root)}
    assert "Nov24_03-15-00_host" not in by_name
    assert by_name["pets-RN50-20261124-101112"].state == "incomplete"
    assert "is damaged" in by_name["pets-a"].state
    whole = [entry for entry in list_runs(root) if entry.complete]
    assert [entry.name for entry in whole] == ["pets-middle", "pets-b"]
    assert whole[0].encoder == "ViT-B-32/openai"
    assert whole[0].top1 == {"zero_shot": 0.75, "linear_probe": 1.0}
    assert (whole[0].dataset, whole[0].split, whole[0].n) == ("pets", "test", 4)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"schema_version": 99}, "Upgrade cliplab"),
        ({"results": None}, "shape of a record"),
        ({"created": 5}, "shape of a record"),
        ({"dataset": []}, "shape of a record"),
    ],
)
def test_a_strange_record_does_not_end_the_list(root, damage, message):
    path = root / "pets-a" / FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    (entry,) = (entry for entry in list_runs(root) if entry.name == "pets-a")
    assert message in entry.state


def test_no_folder_no_runs(tmp_path):
    assert list_runs(tmp_path / "none") == []


def test_latest_is_the_newest_complete_run(root):
    assert find_run("latest", root) == root / "pets-middle"
    (root / "pets-middle" / FILE).unlink()
    assert latest_run(root) == root / "pets-b"


def test_a_run_is_found_by_path_name_or_beginning(root, tmp_path):
    middle = root / "pets-middle"
    for name in ("pets-middle", "pets-m", "runs/pets-middle/", middle, str(middle / FILE)):
        assert find_run(name, root).resolve() == middle


def test_what_cannot_be_found_is_said(root, tmp_path):
    with pytest.raises(UnknownName, match=r"Unknown run 'pets-midle'.*Did you mean 'pets-middle'"):
        find_run("pets-midle", root)
    with pytest.raises(UsageError, match=r"beginning of several runs: pets-RN50.*, pets-middle"):
        find_run("pets", root)
    with pytest.raises(DataError, match=r"did not finish \(no record\.json\)"):
        find_run("pets-RN50-20261124-101112", root)
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"photos holds no record\.json"):
        find_run("photos", root)
    with pytest.raises(UnknownName, match="holds no runs"):
        find_run("x", tmp_path / "none")
    with pytest.raises(DataError, match="no complete run yet"):
        find_run("latest", tmp_path / "none")
