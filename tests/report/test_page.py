"""Pages as files: where they appear, what they hold, and that no fault of theirs undoes a run."""

from __future__ import annotations

import json
import re

import pytest
from tests.pages.made_runs import make_data, make_run

from cliplab.report import page as module
from cliplab.report.page import no_condition, side_by_side, write_page, write_report
from cliplab.report.record import read_record
from cliplab.runtime.errors import DataError, UnknownName, UsageError


@pytest.fixture
def data():
    return make_data(["cat", "dog", "owl"], 30)


@pytest.fixture
def run(tmp_path, data):
    return make_run(tmp_path / "runs" / "a", data, skill=1.0)


def held(path) -> dict:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def pictures(path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="pictures">(.*?)</script>', text, re.DOTALL)[1])


def test_a_page_is_one_file_in_the_folder_of_its_run(run, data):
    made = write_page([run.record.run], dataset=data)
    assert made.path == run.record.run / "report.html"
    assert made.notes == ()
    text = made.path.read_text(encoding="utf-8")
    assert "<script src" not in text
    assert "stylesheet" not in text
    assert "@import" not in text
    assert "default-src &#39;none&#39;" in text
    block = held(made.path)["runs"]["r0"]
    assert block["confusion"]["cells"][0] == run.record["results"][0]["confusion"]
    assert all(picture["at"] is not None for picture in block["gallery"]["pictures"])
    assert len(pictures(made.path)) == 30


def test_the_same_run_gives_the_same_bytes(run, data, tmp_path):
    first, second = (
        write_page([run.record.run], tmp_path / name, dataset=data).path.read_bytes()
        for name in ("1.html", "2.html")
    )
    assert first == second


def test_without_its_pictures_a_page_says_so(run):
    made = write_page([run.record.run])
    assert len(made.notes) == 1
    assert "Unknown data set 'made'" in made.notes[0]
    assert "The pictures are not shown" in made.path.read_text(encoding="utf-8")
    assert pictures(made.path) == []
    assert held(made.path)["runs"]["r0"]["map"]["x"]


def test_without_a_map_there_is_none(run, data):
    (run.record.run / "map.parquet").unlink()
    made = write_page([run.record.run], dataset=data)
    assert held(made.path)["runs"]["r0"]["map"] is None
    assert "A map of the pictures" not in made.path.read_text(encoding="utf-8")


def test_several_runs_stand_side_by_side(run, data, tmp_path):
    other = make_run(tmp_path / "runs" / "b", data, skill=3.0, encoder="RN50/openai", seed=1)
    path = side_by_side([run.record, other.record], tmp_path / "runs")
    assert path.parent == tmp_path / "runs"
    assert path.name.startswith("report-")
    found = held(path)
    assert list(found["runs"]) == ["r0", "r1"]
    text = path.read_text(encoding="utf-8")
    assert "2 runs side by side" in text
    assert re.search(r"<td class=\"number\">best</td>", text)


def test_of_many_runs_the_comparison_alone_is_shown(run, data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "IN_FULL", 1)
    make_run(tmp_path / "runs" / "b", data)
    path = write_page([run.record.run, tmp_path / "runs" / "b"], tmp_path / "x.html").path
    assert held(path)["runs"] == {}
    assert "So many runs are shown in full by the page of each" in path.read_text(encoding="utf-8")


def test_runs_are_found_by_name(run, data, tmp_path):
    assert write_report(["latest"], root=tmp_path / "runs").path == run.record.run / "report.html"
    with pytest.raises(UnknownName, match="Unknown run 'b'"):
        write_report(["b"], root=tmp_path / "runs")


def test_a_run_is_named_once(run):
    with pytest.raises(UsageError, match="each once"):
        write_page([run.record.run, run.record.run])
    with pytest.raises(UsageError, match="Name the runs"):
        write_page([])


def test_a_fault_of_the_page_is_said_and_undoes_nothing(run, capsys):
    with no_condition(again="cliplab report a"):
        raise OSError(28, "No space left on device")
    said = capsys.readouterr().err
    assert "the page could not be written" in said
    assert "`cliplab report a` tries again" in said
    assert read_record(run.record.run)


def test_a_damaged_map_is_a_fault_of_the_page(run):
    (run.record.run / "map.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match=r"map\.parquet is damaged"):
        write_page([run.record.run])
