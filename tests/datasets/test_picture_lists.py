from __future__ import annotations

import pytest

from cliplab.datasets.picture_lists import members_of, not_prepared, prepared, text_of
from cliplab.datasets.prepare import prepare
from cliplab.runtime.archives import Listing, Member, Refused
from cliplab.runtime.errors import DataError


def test_a_list_is_utf8_text_or_refused(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffä 1\n".encode())
    assert text_of(tmp_path / "list.txt") == "ä 1\n"
    (tmp_path / "list.txt").write_bytes(b"\x1f\x8b\xff")
    with pytest.raises(DataError, match=r"list\.txt is no text .* Fetch it again"):
        text_of(tmp_path / "list.txt")


def test_members_are_found_by_name_or_refused_for_a_reason():
    here = Member("a.zip", "a/1.jpg", 1, 0, 1)
    bad = Refused("a/2.jpg", "encrypted")
    found = members_of(Listing((here,), (bad,)), ["a/3.jpg", "a/2.jpg", "a/1.jpg"], "a.zip")
    assert found == [Refused("a/3.jpg", "not in a.zip"), bad, here]


def test_what_is_prepared_is_opened(make_dataset, home):
    assert prepared("lab/noise", home) is None
    prepare(make_dataset(name="lab/noise"), home=home)
    found = prepared("lab/noise", home)
    assert (found.name, len(found)) == ("lab/noise", 60)


def test_the_error_says_what_to_do():
    assert str(not_prepared("paris", ["paris"], None)) == (
        "paris is not prepared here. Run `cliplab prepare paris`; if you have the archives "
        "already, add --archives FOLDER."
    )
    told = str(not_prepared("all", ["a", "b"], 2_500_000_000))
    assert told.startswith("all is made of a, b, which are not prepared here.")
    assert "`cliplab prepare a b` (a download of 2.5 GB)" in told
