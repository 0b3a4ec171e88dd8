"""`cliplab report`, and the pages that other commands write."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def run(cliplab, photos, tiny_clip):
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--out", "runs/a")
    assert ended.code == 0, ended.err
    assert "page: runs/a/report.html" in ended.out
    return ended


def test_evaluate_writes_a_page_unless_told_not_to(cliplab, photos, tiny_clip, run, tmp_path):
    page = tmp_path / "work" / "runs" / "a" / "report.html"
    assert "data:image/png" in page.read_text(encoding="utf-8")
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--out", "runs/b", "--no-report")
    assert ended.code == 0
    assert "page:" not in ended.out
    assert not (page.parents[1] / "b" / "report.html").exists()
    ended = cliplab("report", "b", "a")
    assert ended.code == 0, ended.err
    made = ended.out.removeprefix("page: ").strip()
    assert "2 runs side by side" in (tmp_path / "work" / made).read_text(encoding="utf-8")


def test_report_writes_where_it_is_told_and_opens_it(cliplab, run, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    ended = cliplab("report", "latest", "--out", "x.html", "--open")
    assert ended.out == "page: x.html\n"
    assert opened == [(tmp_path / "work" / "x.html").as_uri()]


def test_without_pictures_report_says_why(cliplab, photos, tiny_clip, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "gone")
    assert cliplab("evaluate", folder, "-e", tiny_clip, "--out", "runs/a").code == 0
    shutil.rmtree(folder)
    ended = cliplab("report", "a")
    assert ended.code == 0
    assert "It is made without pictures: Unknown data set" in ended.out


def test_a_page_that_fails_does_not_fail_the_evaluation(
    cliplab, photos, tiny_clip, monkeypatch, tmp_path
):
    def fail(*_given, **_more):
        raise RuntimeError("the template fell over")

    monkeypatch.setattr("cliplab.report.page.write_page", fail)
    ended = cliplab("evaluate", photos, "-e", tiny_clip, "--out", "runs/a")
    assert ended.code == 0
    assert "the page could not be written (the template fell over)" in ended.err
    assert "`cliplab report runs/a` tries again" in ended.err
    assert (tmp_path / "work" / "runs" / "a" / "record.json").is_file()
    assert "page:" not in ended.out


def test_several_cells_have_a_page_together(cliplab, photos, tiny_clip, tmp_path):
    other = shutil.copytree(photos, tmp_path / "other")
    ended = cliplab("evaluate", photos, other, "-e", tiny_clip, "--out", "runs/all")
    assert ended.code == 0, ended.err
    assert "side by side: runs/all/report-" in ended.out
    assert len(list((tmp_path / "work" / "runs" / "all").glob("*/report.html"))) == 2


def test_a_retrieval_has_a_page(cliplab, photos, tiny_clip, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "captioned")
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))
    lines = ["path,caption", *(f"{name},a {name[:3]} picture" for name in names)]
    (folder / "captions.csv").write_text("\n".join(lines), encoding="utf-8")
    ended = cliplab("evaluate", f"{folder}:retrieval", "-e", tiny_clip, "--out", "runs/r")
    assert ended.code == 0, ended.err
    text = (tmp_path / "work" / "runs" / "r" / "report.html").read_text(encoding="utf-8")
    assert "image retrieval recall@1" in text


def test_audit_writes_a_page_with_pictures(cliplab, photos, tiny_clip, tmp_path):
    folder = shutil.copytree(photos, tmp_path / "doubled")
    shutil.copy(folder / "red" / "00.png", folder / "blue" / "twice.png")
    ended = cliplab("audit", folder, "-e", tiny_clip)
    assert "page: review.html" in ended.out
    text = (tmp_path / "work" / "review.html").read_text(encoding="utf-8")
    assert "the same file" in text
    assert "data-picture=" in text
    assert cliplab("audit", folder, "-e", tiny_clip, "--csv", "b.csv", "--no-report").code == 0
    assert not (tmp_path / "work" / "b.html").exists()


def test_transfer_writes_a_page(cliplab, photos, tiny_clip, tmp_path):
    other = shutil.copytree(photos, tmp_path / "other")
    ended = cliplab("transfer", photos, other, "-e", tiny_clip, "--out", "runs/t")
    assert ended.code == 0, ended.err
    assert "page: runs/t/report.html" in ended.out
    assert not list((tmp_path / "work" / "runs" / "t").glob("*/report.html"))
    (tmp_path / "work" / "runs" / "t" / "report.html").unlink()
    assert cliplab("report", "t").out == "page: runs/t/report.html\n"
