"""`cliplab reproduce` and `compare --reported`, end to end on small archives of the real layout."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from tests.datasets import miniatures

DOMAINS = ("clipart", "painting")


def _prepare(module, name, made, home):
    from cliplab.datasets.prepare import prepare

    files = {remote.name: made.folder / remote.name for remote in module.remotes(name)}
    prepare(module.read_archives(name, files), home=home)


@pytest.fixture(scope="module")
def archives_home(tmp_path_factory):
    """A home in which two domains, Oxford and WikiArt are prepared, and Paris is not."""
    from cliplab.datasets import domainnet, oxford, wikiart

    root = tmp_path_factory.mktemp("reproduce")
    home = root / "home"
    made = miniatures.make_domainnet(root / "domainnet", DOMAINS, per_class=2, labels=range(8))
    for domain in DOMAINS:
        _prepare(domainnet, f"domainnet/{domain}", made, home)
    _prepare(oxford, "oxford", miniatures.make_oxford(root / "oxford"), home)
    _prepare(wikiart, "wikiart", miniatures.make_wikiart(root / "wikiart", 3), home)
    return home


@pytest.fixture(autouse=True)
def few_paintings(monkeypatch):
    from cliplab.datasets import wikiart_artists

    monkeypatch.setattr(wikiart_artists, "MINIMUM", 1)


@pytest.fixture
def reproduce(cliplab, tiny_clip, archives_home):
    def call(*arguments, home=archives_home):
        return cliplab("reproduce", "-e", tiny_clip, "--home", home, "--device", "cpu", *arguments)

    return call


@pytest.mark.slow
def test_the_reported_tables_are_made_row_for_row(reproduce, archives_home):
    ended = reproduce("--csv", "rows.csv")
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    for row in ("clipart", "painting", "real", "La Defense", "general", "Radcliffe Camera",
                "Synthetic"):  # fmt: skip
        assert any(line.startswith(row) for line in lines), row
    real = next(line for line in lines if line.startswith("real")).split()
    assert real == ["real", "–", "62.7", "80.72", "–", "–", "87.09", "–", "–"]
    clipart = next(line for line in lines if line.startswith("clipart")).split()
    assert clipart[:4] == ["clipart", "16", "58.6", "66.5"]
    assert "Without the pictures of “Oxford”" in ended.out
    assert "oxford: Pictures: 5,062 in the report" in ended.out
    tail = ended.out[ended.out.index("Not prepared here") :]
    names = [line.split()[2:] for line in tail.splitlines()[1:] if line]
    domains = [f"domainnet/{domain}" for domain in ("infograph", "quickdraw", "real", "sketch")]
    assert names == [domains, ["paris"]]
    rows = list(csv.DictReader(Path("rows.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 2 * (6 + 13 + 18 + 14)
    assert {row["table"] for row in rows} == {"domainnet", "paris", "oxford", "wikiart"}
    assert all((row["here"] == "") == (row["run"] == "") for row in rows if row["row"] == "all")

    again = reproduce("--json")
    assert again.err.count("finished before") == 4
    found = again.json()
    assert [part["run"] is None for part in found["tables"]] == [
        False, True, False, True, True, True, True, False, False,
    ]  # fmt: skip
    assert found["tables"][0]["benchmark"] == 0.586
    assert found["tables"][6]["prepare"] == ["paris"]


@pytest.mark.slow
def test_a_cell_whose_run_or_prompts_changed_is_done_again(reproduce, archives_home, tmp_path):
    home = tmp_path / "copy"
    shutil.copytree(archives_home, home)
    call = ("--classifier", "zero_shot", "--json")
    first = reproduce(*call, home=home)
    runs = {part["dataset"]: part["run"] for part in first.json()["tables"] if part["run"]}
    assert len(runs) == 4
    shutil.rmtree(runs["oxford"])
    (home / "prompts").mkdir()
    (home / "prompts" / "wikiart").mkdir()
    (home / "prompts" / "wikiart" / "artist195.style13.txt").write_text("a {}\n")
    again = reproduce(*call, home=home)
    kept = [line for line in again.err.splitlines() if "finished before" in line]
    assert [line.partition(":")[0] for line in kept] == ["domainnet/clipart", "domainnet/painting"]
    assert sum(part["run"] is not None for part in again.json()["tables"]) == 4


def test_nothing_prepared_ends_with_the_commands(reproduce, tmp_path):
    ended = reproduce(home=tmp_path / "empty")
    assert ended.code == 1
    assert "domainnet/real domainnet/sketch paris oxford wikiart;" in ended.err


def test_a_classifier_that_was_not_reported_is_refused(reproduce):
    ended = reproduce("--classifier", "knn")
    assert ended.code == 2
    assert "The report has zero_shot and linear_probe alone, not knn." in ended.err


@pytest.mark.slow
def test_compare_sets_a_run_beside_the_report(cliplab, tiny_clip, archives_home):
    call = ("evaluate", "oxford", "-e", tiny_clip, "--home", archives_home, "--device", "cpu")
    assert cliplab(*call, "--classifier", "zero_shot").code == 0
    ended = cliplab("compare", "--reported")
    assert ended.code == 0, ended.err
    assert "oxford:query_word (test)" in ended.out
    assert "general is Oxford" in ended.out
    assert "- Candidates: 17 rows in the report, 17 classes here." in ended.out
    assert "- This run has no linear probe." in ended.out
    found = cliplab("compare", "latest", "--reported", "--json").json()
    assert len(found["numbers"]) == 18
    assert found["numbers"][0]["reported"] == pytest.approx(0.1819)


def test_compare_of_a_run_that_nothing_was_reported_of(cliplab, photos, tiny_clip):
    assert cliplab("evaluate", photos, "-e", tiny_clip, "--classifier", "zero_shot").code == 0
    ended = cliplab("compare", "--reported")
    assert ended.code == 2
    assert "Nothing was reported of" in ended.err
    assert "domainnet/clipart:label" in ended.err
