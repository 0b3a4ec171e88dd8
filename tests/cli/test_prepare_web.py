"""`cliplab prepare NAME` out of a web that misbehaves: the real command, small archives."""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.datasets.miniatures import (
    Made,
    accept,
    make_domainnet,
    make_oxford,
    make_paris,
    make_wikiart,
)
from tests.web import Act, Served, cut, lie, page, redirect, send, stall, status, without_length

from cliplab.datasets import domainnet, oxford, paris, wikiart
from cliplab.runtime.patience import Patience

CLIPART = "domainnet/clipart"
ARCHIVE, LIST = "clipart.zip", "clipart_train.txt"
FIRST, SECOND = "first", "second"  # mirrors, paths of one server


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The command's own patience, but that its waits are noted and not waited for."""
    waited: list[float] = []
    kind = functools.partial(Patience, sleep=waited.append, timeout=1.0)
    monkeypatch.setattr("cliplab.runtime.downloads.Patience", kind)
    return waited


@pytest.fixture(scope="module")
def clipart(tmp_path_factory) -> Made:
    """Archive and lists of clipart, as they lie on the source's server."""
    folder = tmp_path_factory.mktemp("clipart")
    return make_domainnet(folder, ("clipart",), per_class=2, labels=range(6))


@pytest.fixture
def served(web, clipart, monkeypatch):
    """Put the files of clipart on both mirrors, by the paths of the real ones, and ask there."""
    accept(monkeypatch, clipart)
    monkeypatch.setattr(domainnet, "HOSTS", (web.url(FIRST), web.url(SECOND)))
    put(web, domainnet.remotes(CLIPART), clipart.folder)
    return web


def put(web, remotes, folder: Path) -> None:
    for remote in remotes:
        content = next(
            (folder / name).read_bytes()
            for name in (remote.name, *remote.other_names)
            if (folder / name).is_file()
        )
        for url in remote.urls:
            web.put(urlsplit(url).path.lstrip("/"), content)


def at(web, mirror: str, file: str) -> Served:
    """What a mirror has of a file."""
    (found,) = (s for p, s in web.files.items() if p.startswith(mirror) and p.endswith("/" + file))
    return found


def asked(web, mirror: str, file: str) -> list[str | None]:
    """The ranges that a mirror was asked for of a file, in order."""
    return [
        headers.get("Range")
        for _method, path, headers in web.requests
        if path.startswith(f"/{mirror}/") and path.endswith("/" + file)
    ]


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def undisturbed(clipart, tmp_path_factory) -> dict[str, bytes]:
    """What is prepared out of a folder of the archives."""
    from cliplab.datasets.from_archives import prepare_named

    home = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        accept(patch, clipart)
        (folder,) = prepare_named(CLIPART, home=home, archives=clipart.folder, offline=True)
    return tree(folder)


@pytest.fixture
def prepared_as_ever(cliplab, clipart, undisturbed, home, tiny_clip):
    """A function that compares what was prepared with an undisturbed one, and evaluates it."""

    def check() -> None:
        assert tree(home / "datasets/domainnet/clipart") == undisturbed
        names = [ARCHIVE, "clipart_test.txt", LIST]
        kept = (path.name for path in (home / "archives").iterdir() if path.suffix != ".lock")
        assert sorted(kept) == [*names, "digests"]
        call = ("evaluate", CLIPART, "-e", tiny_clip, "--classifier", "zero_shot", "--json")
        ended = cliplab(*call)
        assert ended.code == 0, ended.err
        record = ended.json()
        assert record["dataset"]["n"] == 12
        assert record["dataset"]["n_total"] == len(clipart.pictures) == 24

    return check


def test_a_well_behaved_server(cliplab, served, prepared_as_ever, waits):
    ended = cliplab("prepare", CLIPART)
    assert ended.code == 0, ended.err
    said = ended.err
    assert said.index("Licence: ") < said.index("Please cite: @inproceedings{peng2019moment")
    assert f"clipart.zip ({len(at(served, FIRST, ARCHIVE).content) / 1e6:,.1f} MB) from" in said
    assert len(served.requests) == 3
    assert waits == []
    prepared_as_ever()


def another_file(handler, served: Served) -> None:
    """Send something else of the same length, as what it is not."""
    send(handler, Served(bytes(len(served.content)), has_validators=False))


RESUMED, AGAIN, TURNED = "gone on with", "asked again", "asked of the second mirror"
PLANS: dict[str, tuple[list[Act], str, str]] = {  # the first mirror's: what helps, what is said
    "cut twice": ([cut(70), cut(50)], RESUMED, "the connection was lost"),
    "cut at once": ([cut(0)], AGAIN, "the connection was lost"),
    "silent": ([stall(1.5)], RESUMED, "nothing came for too long (timeout)"),
    "busy": ([status(503), status(503, Retry_After="90")], AGAIN, "answers 503 Service Unavail"),
    "a gateway's fault": ([status(502)], AGAIN, "answers 502 Bad Gateway"),
    "too short a length": ([lie(40)], TURNED, "has 40 bytes, expected"),
    "too long a length": ([lie(10**7)], TURNED, "has 10,000,000 bytes, expected"),
    "a login page": ([page()], TURNED, "serves an HTML page in place of the file"),
    "a page as a zip": ([page("application/zip")], TURNED, "serves an HTML page in place of"),
    "a redirect nowhere": ([redirect("/login")], TURNED, "answers 404 Not Found"),
    "forbidden": ([status(403)], TURNED, "answers 403 Forbidden"),
    "another file": ([another_file], TURNED, "serves a file with md5:"),
    "no length": ([without_length], "", ""),
}


@pytest.mark.parametrize(
    ("plan", "file"),
    [*((plan, ARCHIVE) for plan in PLANS), ("cut twice", LIST), ("a login page", LIST)],
)
def test_a_server_that_misbehaves(plan, file, cliplab, served, prepared_as_ever, waits):
    acts, helps, said = PLANS[plan]
    at(served, FIRST, file).plan = list(acts)
    ended = cliplab("prepare", CLIPART)
    assert ended.code == 0, ended.err
    assert said in ended.err
    ranges = asked(served, FIRST, file)
    assert len(ranges) == (1 if helps in ("", TURNED) else len(acts) + 1)
    assert all((wanted is not None) == (helps == RESUMED) for wanted in ranges[1:])
    assert asked(served, SECOND, file) == ([None] if helps == TURNED else [])
    assert len(waits) == len(ranges) - 1
    assert plan != "busy" or waits[-1] == 90.0  # as the server asked
    prepared_as_ever()


def test_a_server_that_ignores_ranges(cliplab, served, prepared_as_ever):
    archive = at(served, FIRST, ARCHIVE)
    archive.takes_ranges, archive.plan = False, [cut(900), cut(700)]
    ended = cliplab("prepare", CLIPART)
    assert ended.code == 0, ended.err
    assert asked(served, FIRST, ARCHIVE) == [None, "bytes=900-", "bytes=700-"]
    prepared_as_ever()


def test_a_network_that_wants_a_login_first(cliplab, served, home, prepared_as_ever):
    for file in served.files.values():
        file.plan = [page()] * 9
    ended = cliplab("prepare", CLIPART)
    assert ended.code == 1
    said = "serves an HTML page in place of the file (from 127.0.0.1): a network that wants a login"
    for url in domainnet.remotes(CLIPART)[0].urls:
        assert f"{url} {said}" in ended.err
    assert "--archives FOLDER" in ended.err
    assert not (home / "archives" / ARCHIVE).exists()
    assert not (home / "datasets").exists()
    for file in served.files.values():
        file.plan = []
    assert cliplab("prepare", CLIPART).code == 0
    prepared_as_ever()


def test_what_was_received_before_giving_up_is_gone_on_with(cliplab, served, prepared_as_ever):
    for mirror in (FIRST, SECOND):
        at(served, mirror, ARCHIVE).plan = [cut(600), *[status(503)] * 7]
    ended = cliplab("prepare", CLIPART)
    assert ended.code == 1
    assert "failed 7 times in a row; the last time: answers 503" in ended.err
    assert "What was received (1,200 bytes) is kept and gone on with." in ended.err
    at(served, FIRST, ARCHIVE).plan = at(served, SECOND, ARCHIVE).plan = []
    assert cliplab("prepare", CLIPART).code == 0
    assert asked(served, FIRST, ARCHIVE)[-1] == "bytes=1200-"
    prepared_as_ever()


def test_a_full_disk_is_told_of_before_the_first_byte(cliplab, served, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage(10**9, 10**9, 10))
    ended = cliplab("prepare", CLIPART)
    assert ended.code == 1
    assert "What is to be downloaded (3 files) takes" in ended.err
    assert "--home DIR" in ended.err
    assert served.requests == []


def test_offline_names_each_file_with_its_address(cliplab, served):
    ended = cliplab("prepare", CLIPART, "--offline")
    assert ended.code == 1
    for remote in domainnet.remotes(CLIPART):
        assert f"download {remote.urls[0]}" in ended.err
    assert served.requests == []


@pytest.mark.parametrize(
    ("name", "task", "make", "place"),
    [
        ("oxford", "oxford:landmark", make_oxford, (oxford, "PLACES")),
        ("paris", "paris:landmark", make_paris, (paris, "PLACES")),
        ("wikiart", "wikiart:genre", make_wikiart, (wikiart, "LISTS")),
    ],
)
def test_the_others_come_from_the_web_as_well(
    name, task, make, place, web, cliplab, tmp_path, monkeypatch, tiny_clip
):
    made = make(tmp_path / "source")
    value = web.url(f"{FIRST}/")
    monkeypatch.setattr(*place, value if name == "wikiart" else (value, web.url(f"{SECOND}/")))
    monkeypatch.setattr(wikiart, "ADDRESS", web.url(f"{FIRST}/wikiart.zip"))
    put(web, place[0].remotes(name), made.folder)
    largest = max(web.files.values(), key=lambda served: len(served.content))
    largest.plan = [status(503), cut(5000)]
    ended = cliplab("prepare", name)
    assert ended.code == 0, ended.err
    assert "answers 503" in ended.err
    assert "the connection was lost" in ended.err
    ended = cliplab("evaluate", task, "-e", tiny_clip, "--c", "1", "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["dataset"]["n"] > 10


def test_what_has_to_be_fetched_by_hand_is_told(cliplab, web, home, tmp_path, monkeypatch):
    """WikiArt's archive: its old address is silent, and a person opens Google Drive."""
    made = make_wikiart(tmp_path / "source")
    monkeypatch.setattr(wikiart, "LISTS", web.url(f"{FIRST}/"))
    monkeypatch.setattr(wikiart, "ADDRESS", web.url("gone/wikiart.zip"))
    put(web, wikiart.remotes("wikiart")[1:], made.folder)
    ended = cliplab("prepare", "wikiart")
    assert ended.code == 1
    assert "gone/wikiart.zip answers 404 Not Found" in ended.err
    assert "By hand: Open https://drive.google.com/file/d/" in ended.err
    (tmp_path / "downloads").mkdir()
    (made.folder / "wikiart.zip").rename(tmp_path / "downloads" / "wikiart.zip")
    ended = cliplab("prepare", "wikiart", "--archives", tmp_path / "downloads")
    assert ended.code == 0, ended.err
    assert (home / "datasets/wikiart/cliplab.json").is_file()
