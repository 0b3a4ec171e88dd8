"""Addresses asked for their length: the same, another, a page, nothing."""

from __future__ import annotations

import json

import pytest
from tests.datasets.toy import Toy
from tests.web import page, status

from cliplab.datasets import family
from cliplab.datasets.check import check_addresses
from cliplab.runtime.downloads import Remote


@pytest.fixture
def check(web):
    def call(*plan, size=3, **settings):
        url = web.put("red.zip", b"abc", *plan, **settings)
        remotes = {
            "red.zip": Remote("red.zip", (url,), size=size),
            "blue.tgz": Remote("blue.tgz", (), by_hand="ask"),
        }
        (found,) = check_addresses([Toy(remotes)])
        assert found.url == url
        return found

    return call


@pytest.mark.parametrize(
    ("size", "state", "bad"),
    [(3, "same", False), (4, "differs", True), (None, "answers", False)],
)
def test_a_length_is_compared(check, web, size, state, bad):
    found = check(size=size)
    assert (found.state, found.is_bad) == (state, bad)
    assert (found.data_set, found.file, found.stated) == ("toy/red", "red.zip", 3)
    assert [method for method, _path, _headers in web.requests] == ["HEAD"]


def test_a_server_that_refuses_to_tell_is_asked_for_the_file_itself(check, web):
    assert check(status(405)).state == "same"
    assert [method for method, _path, _headers in web.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ([status(404), status(404)], "no answer: answers 404"),
        ([status(503), status(503)], "no answer: answers 503"),
        ([page()], "no answer: serves an HTML page"),
    ],
)
def test_what_is_wrong_is_told(check, plan, said):
    found = check(*plan)
    assert found.state.startswith(said)
    assert found.is_bad


@pytest.mark.parametrize(("size", "code"), [(3, 0), (4, 1)])
def test_the_command_ends_with_1_where_any_differs(web, monkeypatch, capsys, size, code):
    from cliplab.cli import main

    remotes = {
        "red.zip": Remote("red.zip", (web.put("red.zip", b"abc"),), size=size),
        "blue.tgz": Remote("blue.tgz", (web.put("blue.tgz", b"1"),)),
    }
    monkeypatch.setattr(family, "_modules", lambda: [Toy(remotes)])
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as stop:
            main(["datasets", "--check", *flags])
        assert (stop.value.code or 0) == code
        out = capsys.readouterr().out
    assert [found["stated"] for found in json.loads(out)] == [3, 1]
