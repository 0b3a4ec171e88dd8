"""Downloads against a server that cuts, lies, ignores ranges, is busy and serves login pages."""

from __future__ import annotations

import hashlib
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from tests.web import cut, lie, page, redirect, stall, status, without_length

from cliplab.runtime.downloads import Remote, fetch, find_file, find_or_fetch
from cliplab.runtime.errors import DataError, DownloadFailed, StorageError, UsageError
from cliplab.runtime.patience import Patience

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
KNOWN = {"size": len(CONTENT), "digest": MD5}
NAME = "clipart.zip"


@pytest.fixture
def waits():
    return []


@pytest.fixture
def patience(waits):
    return Patience(attempts=4, sleep=waits.append, jitter=lambda: 1.0, timeout=5)


@pytest.fixture
def get(home, patience):
    def call(*urls, **known):
        return fetch(Remote(NAME, urls, **known), home / "archives", patience=patience)

    return call


def left(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize(("known", "digest"), [(KNOWN, MD5), ({}, SHA256)])
def test_a_file_is_fetched_verified_and_not_fetched_again(web, get, home, known, digest):
    url = web.put(NAME, CONTENT)
    found = get(url, **known)
    assert found == (home / "archives" / NAME, digest)
    assert found.path.read_bytes() == CONTENT
    assert left(home / "archives") == [NAME, "digests"]
    assert get(url, **known) == found
    assert len(web.requests) == 1


@pytest.mark.parametrize("known", [KNOWN, {}])
def test_after_a_cut_only_the_rest_is_asked_for(web, get, waits, known, capsys):
    url = web.put(NAME, CONTENT, cut(100_000), cut(50_000))
    assert get(url, **known).path.read_bytes() == CONTENT
    assert web.ranges() == [None, "bytes=100000-", "bytes=150000-"]
    assert web.requests[1][2]["If-Range"] == web.files[NAME].tag()
    assert waits == [1.0, 1.0]  # each time something was gained
    assert "trying again in 1 s" in capsys.readouterr().err


def test_a_killed_download_is_gone_on_with_by_another_process(web, home, patience):
    url = web.put(NAME, CONTENT, cut(120_000))

    def die(_seconds):
        raise KeyboardInterrupt

    remote = Remote(NAME, (url,), **KNOWN)
    with pytest.raises(KeyboardInterrupt):
        fetch(remote, home, patience=Patience(sleep=die))
    assert left(home) == [f"{NAME}.part", f"{NAME}.part.json"]
    assert fetch(remote, home, patience=patience).path.read_bytes() == CONTENT
    assert web.ranges() == [None, "bytes=120000-"]
    assert left(home) == [NAME, "digests"]


def test_a_file_that_changed_between_is_not_glued(web, get):
    other = CONTENT[::-1]
    url = web.put(NAME, CONTENT, cut(100_000))

    def changed(handler, served):
        served.content = other
        cut(10)(handler, served)

    web.files[NAME].plan.append(changed)
    assert get(url).path.read_bytes() == other


def test_not_even_where_the_server_does_not_look_at_the_condition(web, get):
    other = CONTENT[::-1]
    url = web.put(NAME, CONTENT, cut(100_000), checks_if_range=False)

    def changed(handler, served):
        served.content = other
        cut(1000)(handler, served)

    web.files[NAME].plan.append(changed)
    assert get(url).path.read_bytes() == other
    assert web.ranges() == [None, "bytes=100000-", None]


def test_nor_where_only_its_length_tells(web, get):
    other = CONTENT[:200_000][::-1]
    url = web.put(NAME, CONTENT, cut(100_000), has_validators=False)

    def changed(handler, served):
        served.content = other
        cut(1000)(handler, served)

    web.files[NAME].plan.append(changed)
    assert get(url).path.read_bytes() == other


def test_what_was_glued_wrong_is_seen_by_the_digest(web, home, patience):
    """The server's file changes between two runs, and nothing but the digest could tell."""
    old = CONTENT[::-1]
    url = web.put(NAME, old, cut(100_000), has_validators=False)

    def die(_seconds):
        raise KeyboardInterrupt

    remote = Remote(NAME, (url,), **KNOWN)
    with pytest.raises(KeyboardInterrupt):
        fetch(remote, home, patience=Patience(sleep=die))
    web.files[NAME].content = CONTENT
    assert fetch(remote, home, patience=patience).path.read_bytes() == CONTENT
    assert web.ranges() == [None, "bytes=100000-", None]


def test_a_server_that_ignores_ranges_is_asked_from_the_start(web, get):
    url = web.put(NAME, CONTENT, cut(100_000), takes_ranges=False)
    assert get(url, **KNOWN).path.read_bytes() == CONTENT
    assert web.ranges() == [None, "bytes=100000-"]


def test_a_date_serves_where_there_is_no_strong_tag(web, get):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    url = web.put(NAME, CONTENT, cut(9), etag='W/"weak"', last_modified=date)
    assert get(url).path.read_bytes() == CONTENT
    assert web.requests[1][2]["If-Range"] == date


def test_a_part_longer_than_the_file_is_thrown_away(web, get, home):
    url = web.put(NAME, CONTENT)
    folder = home / "archives"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.part").write_bytes(CONTENT + b"more")
    (folder / f"{NAME}.part.json").write_text('{"format_version": 1, "url": "' + url + '"}')
    assert get(url, **KNOWN).path.read_bytes() == CONTENT


def test_a_part_without_notes_is_not_trusted(web, get, home):
    url = web.put(NAME, CONTENT)
    (home / "archives").mkdir(parents=True)
    (home / "archives" / f"{NAME}.part").write_bytes(b"whatever")
    assert get(url).path.read_bytes() == CONTENT
    assert web.ranges() == [None]


def test_a_busy_server_is_given_the_time_it_asks_for(web, get, waits):
    url = web.put(NAME, CONTENT, status(503, Retry_After="7"), status(503), status(429))
    assert get(url, **KNOWN).path.read_bytes() == CONTENT
    assert waits == [7.0, 2.0, 4.0]


def test_mirrors_are_tried_in_order(web, get, waits):
    gone, page_, good = (
        web.url("gone"),
        web.put("page", b"", page()),
        web.put(NAME, CONTENT),
    )
    assert get(gone, page_, good, **KNOWN).path.read_bytes() == CONTENT
    assert [path for _method, path, _headers in web.requests] == ["/gone", "/page", f"/{NAME}"]
    assert waits == []


def test_a_second_mirror_goes_on_only_where_a_digest_makes_sure(web, get):
    bad = web.put("bad", CONTENT, cut(100_000), *[status(500)] * 4)
    good = web.put(NAME, CONTENT)
    assert get(bad, good, **KNOWN).path.read_bytes() == CONTENT
    assert web.ranges()[-1] == "bytes=100000-"
    assert "If-Range" not in web.requests[-1][2]  # the tag is the other server's


def test_a_second_mirror_begins_anew_where_nothing_makes_sure(web, get):
    bad = web.put("bad", CONTENT[::-1], cut(100_000), *[status(500)] * 4)
    good = web.put(NAME, CONTENT)
    assert get(bad, good).path.read_bytes() == CONTENT
    assert web.ranges()[-1] is None


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (page(), "serves an HTML page in place of the file .* wants a login"),
        (status(404), "answers 404 Not Found"),
        (status(403), "answers 403 Forbidden"),
        (lie(400_000), "has 400,000 bytes, expected 300,000: it is another file"),
        (lie(200_000), "has 200,000 bytes, expected 300,000"),
        (redirect("/" + NAME), "redirects too many times"),
        (redirect("gopher://elsewhere/"), "cannot be asked"),
    ],
)
def test_what_no_patience_mends_is_told_with_the_address(web, get, act, said, waits):
    url = web.put(NAME, CONTENT, *[act] * 20)
    with pytest.raises(DownloadFailed, match=f"(?s)clipart.zip could not be .*{url} {said}"):
        get(url, **KNOWN)
    assert waits == []


def test_a_page_that_calls_itself_an_archive_is_seen_by_its_content(web, get, home):
    url = web.put(NAME, CONTENT, page("application/zip"))
    with pytest.raises(DownloadFailed, match="serves an HTML page in place of the file"):
        get(url)
    assert not (home / "archives" / NAME).exists()
    assert get(url).path.read_bytes() == CONTENT


def test_a_length_that_is_too_long_counts_as_a_cut(web, get, waits):
    url = web.put(NAME, CONTENT, *[lie(400_000)] * 9, takes_ranges=False)
    with pytest.raises(DownloadFailed, match="failed 4 times in a row; the last time: the conn"):
        get(url)
    assert len(waits) == 3


def test_another_file_of_the_same_size_is_refused(web, get, home):
    url = web.put(NAME, CONTENT[::-1])
    with pytest.raises(DownloadFailed, match=f"serves a file with md5:.*, expected {MD5}"):
        get(url, **KNOWN)
    assert left(home / "archives") == []


def test_a_server_that_never_answers_is_given_up(home, waits):
    patience = Patience(attempts=3, sleep=waits.append, jitter=lambda: 0.0)
    remote = Remote(NAME, ("http://127.0.0.1:1/clipart.zip",), by_hand="ask the library")
    with pytest.raises(DownloadFailed, match=r"(?s)By hand: ask the library.*failed 3 times"):
        fetch(remote, home, patience=patience)
    assert waits == [0.5, 1.0]


def test_a_silent_connection_times_out_and_is_taken_up_again(web, home, waits):
    url = web.put(NAME, CONTENT, stall(2.0))
    patience = Patience(sleep=waits.append, timeout=0.3)
    assert fetch(Remote(NAME, (url,)), home, patience=patience).path.read_bytes() == CONTENT
    assert web.ranges() == [None, "bytes=150000-"]


@pytest.mark.parametrize("known", [KNOWN, {}])
def test_a_length_that_nobody_states(web, get, known):
    url = web.put(NAME, CONTENT, without_length)
    assert get(url, **known).path.read_bytes() == CONTENT


def test_redirects_are_followed(web, get):
    web.put("elsewhere", CONTENT)
    url = web.put(NAME, b"", redirect("/elsewhere"))
    assert get(url, **KNOWN).path.read_bytes() == CONTENT


def test_space_is_looked_at_before_the_first_byte(web, get, home, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 10, 1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    url = web.put(NAME, CONTENT)
    with pytest.raises(StorageError, match=r"clipart\.zip takes .* free.*--home"):
        get(url)
    assert "clipart.zip.part" not in left(home / "archives")
    with pytest.raises(StorageError, match=r"What is to be downloaded \(1 files\) takes"):
        find_or_fetch([Remote(NAME, (url,), **KNOWN)], home / "archives")
    assert len(web.requests) == 1


def test_a_second_process_finds_the_file_of_the_first(web, home, capsys):
    url = web.put(NAME, CONTENT)
    remote, found = Remote(NAME, (url,), **KNOWN), []
    threads = [threading.Thread(target=lambda: found.append(fetch(remote, home))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.digest for one in found] == [MD5] * 4
    assert len(web.requests) == 1


def test_a_digest_that_is_not_known_is_recorded_and_compared(web, get, home):
    url = web.put(NAME, CONTENT)
    path = get(url).path
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DataError, match=f"has changed: sha256:.*, and {SHA256} at first use"):
        get(url)
    path.unlink()
    web.files[NAME].content = CONTENT[::-1]
    with pytest.raises(DataError, match="the source has changed"):
        get(url)
    web.files[NAME].content = CONTENT
    (home / "archives" / f"{NAME}.part").unlink()
    assert get(url).digest == SHA256


class TestFinding:
    @pytest.fixture
    def folder(self, tmp_path):
        place = tmp_path / "mine"
        (place / "below").mkdir(parents=True)
        return place

    @pytest.mark.parametrize("where", [NAME, "art.zip", f"below/{NAME}", "below/art.zip"])
    def test_by_any_name_also_one_level_down(self, folder, where):
        (folder / where).write_bytes(CONTENT)
        remote = Remote(NAME, (), other_names=("art.zip",))
        assert find_file(remote, [folder / "nowhere", folder]) == folder / where

    def test_what_is_there_is_used_where_it_lies(self, folder, home):
        (folder / NAME).write_bytes(CONTENT)
        folder.chmod(0o555)
        found = find_or_fetch([Remote(NAME, (), **KNOWN)], home, archives=folder)
        folder.chmod(0o755)
        assert found == {NAME: (folder / NAME, MD5)}
        assert left(folder) == ["below", NAME]

    def test_it_is_hashed_once(self, folder, home, monkeypatch):
        (folder / NAME).write_bytes(CONTENT)
        remotes = [Remote(NAME, ())]
        first = find_or_fetch(remotes, home, archives=folder)
        monkeypatch.setattr("cliplab.runtime.verified._hash", None)  # a call would fail
        assert find_or_fetch(remotes, home, archives=folder) == first

    def test_what_is_missing_is_fetched(self, folder, home, web):
        (folder / NAME).write_bytes(CONTENT)
        url = web.put("list.txt", b"a b")
        remotes = [Remote(NAME, (), **KNOWN), Remote("list.txt", (url,))]
        found = find_or_fetch(remotes, home, archives=folder)
        assert found["list.txt"].path == home / "list.txt"

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (CONTENT[:-1], "has 299,999 bytes, expected 300,000: it is cut short or another"),
            (CONTENT[::-1], f"has md5:.*, expected {MD5}: it is damaged or another version"),
            (b"<html>302 Found</html>", "is an HTML page, not the file itself"),
        ],
    )
    def test_what_is_not_as_expected_is_refused(self, folder, home, content, said):
        (folder / NAME).write_bytes(content)
        with pytest.raises(DataError, match=said):
            find_or_fetch([Remote(NAME, (), **KNOWN)], home, archives=folder)

    def test_offline_tells_all_that_is_missing_at_once(self, folder, home, web):
        remotes = [
            Remote("a.zip", (web.url("a.zip"),), size=2_000_000),
            Remote("b.zip", (), by_hand="open the page and press Download"),
        ]
        told = "--offline allows no download.*--archives FOLDER.*a.zip \\(2.0 MB\\): download http"
        with pytest.raises(DownloadFailed, match=f"(?s){told}.*b.zip: open the page"):
            find_or_fetch(remotes, home, archives=folder, offline=True)
        assert web.requests == []

    def test_what_needs_a_hand_is_told_before_the_first_byte(self, folder, home, web):
        remotes = [
            Remote("a.zip", (web.put("a.zip", b"1"),)),
            Remote("b.zip", (), by_hand="open the page", other_names=("c.zip",)),
        ]
        with pytest.raises(DownloadFailed, match=r"(?s)by hand.*b.zip or c.zip: open the page"):
            find_or_fetch(remotes, home)
        assert web.requests == []

    def test_a_folder_that_is_not_there(self, home):
        with pytest.raises(UsageError, match=r"--archives nowhere: there is no such folder"):
            find_or_fetch([], home, archives=Path("nowhere"))
