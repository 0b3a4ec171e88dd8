"""The shelf of a page's pictures: each once, within a budget."""

from __future__ import annotations

from tests.pages.made_runs import make_data

from cliplab.report.shelf import Shelf

DATA = make_data(["a", "b"], 8)
IDS = DATA.ids.tolist()
DIGEST = DATA.content_digest()


def test_a_picture_is_put_there_once():
    shelf = Shelf()
    shelf.fill(DATA, IDS[:3])
    shelf.fill(DATA, [*IDS[1:5], IDS[4], "not there"])
    assert len(shelf.addresses) == 5
    assert [shelf.place(DIGEST, id_) for id_ in IDS[:6]] == [0, 1, 2, 3, 4, None]
    assert shelf.place("of another set", IDS[0]) is None


def test_a_share_of_what_is_left_is_used():
    every = Shelf()
    every.fill(DATA, IDS)
    sizes = [len(address) for address in every.addresses]
    shelf = Shelf(budget=2 * sum(sizes[:3]))
    shelf.fill(DATA, IDS, share=0.5)
    assert shelf.addresses == every.addresses[:3]
    shelf.fill(DATA, IDS)
    assert len(shelf.addresses) > 3
    assert sum(map(len, shelf.addresses)) <= 2 * sum(sizes[:3])
