from __future__ import annotations

import pytest

from cliplab.datasets.wikiart_lists import match_members, repaired
from cliplab.runtime.archives import Listing, Member, Refused

LISTED = "Impressionism/joaquã\xadn-sorolla_peppers-1903.jpg"


def listing(*names: str) -> Listing:
    members = (Member("wikiart.zip", f"wikiart/{name}", 1, 0, 1, crc=0) for name in names)
    return Listing(tuple(members), (Refused("wikiart/Rococo/bomb.jpg", "unfolds too far"),))


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        (LISTED, "Impressionism/joaquín-sorolla_peppers-1903.jpg"),
        ("Symbolism/arnold-bã¶cklin_a.jpg", "Symbolism/arnold-böcklin_a.jpg"),
        ("Symbolism/georges-lacombeâ\xa0_death.jpg", "Symbolism/georges-lacombe_death.jpg"),
        ("Symbolism/arnold-bo\u0308cklin_a.jpg", "Symbolism/arnold-böcklin_a.jpg"),
        ("Realism/são-paulo_a.jpg", "Realism/são-paulo_a.jpg"),  # is right as it is
        ("Realism/plain_a.jpg", "Realism/plain_a.jpg"),
    ],
)
def test_names_whose_encoding_was_broken(broken, mended):
    assert repaired(broken) == mended
    assert repaired(mended) == mended


@pytest.mark.parametrize(
    "spelled",
    [
        LISTED,
        "Impressionism/joaquín-sorolla_peppers-1903.jpg",
        "Impressionism/joaqui\u0301n-sorolla_peppers-1903.jpg",
        "Impressionism/joaqu#U00e3#U00adn-sorolla_peppers-1903.jpg",
        "Impressionism/joaqu#U00edn-sorolla_peppers-1903.jpg",
        "Impressionism/joaqu\u03c6n-sorolla_peppers-1903.jpg",  # Latin-1 read as code page 437
        "Impressionism/joaquin-sorolla_peppers-1903.jpg",
        "Impressionism/joaqu-n-sorolla_peppers-1903.jpg",
        "Impressionism/joaqu__n-sorolla_peppers-1903.jpg",
    ],
)
def test_however_the_archive_spells_it(spelled):
    found = match_members(listing("Cubism/a_b.jpg", spelled), ["Cubism/a_b.jpg", LISTED], "z")
    assert [member.name for member in found.members] == [
        "wikiart/Cubism/a_b.jpg",
        f"wikiart/{spelled}",
    ]
    assert found.otherwise == (spelled != LISTED)


def test_what_could_mean_two_paintings_is_not_guessed():
    a, b = "Cubism/andré_a.jpg", "Cubism/andrè_a.jpg"
    found = match_members(listing("Cubism/andre_a.jpg"), [a, b], "wikiart.zip")
    assert found.members == [Refused(name, "not in wikiart.zip") for name in (a, b)]
    exact = match_members(listing(a, b), [a, b], "wikiart.zip")
    assert [member.name for member in exact.members] == [f"wikiart/{name}" for name in (a, b)]


def test_plain_names_are_not_matched_loosely():
    found = match_members(listing("Cubism/a-b_c.jpg"), ["Cubism/ab_c.jpg"], "wikiart.zip")
    assert found.members == [Refused("Cubism/ab_c.jpg", "not in wikiart.zip")]


def test_a_refused_member_keeps_its_reason():
    found = match_members(listing(), ["Rococo/bomb.jpg"], "wikiart.zip")
    assert found.members[0].reason == "unfolds too far"
