r"""ArtGAN's lists of WikiArt, and the paintings of the archive that they name, however spelled.

The lists carry names whose bytes were once read in the wrong encoding and then put into lower case
(`joaquã\xadn-sorolla` for joaquín-sorolla). Copies of the archive spell them in yet other ways.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from cliplab.runtime.errors import Faults

if TYPE_CHECKING:
    from cliplab.runtime.archives import Listing, Member, Refused

_LINE = re.compile(r"(?P<path>[^/]+/.+?),+(?P<label>\d+)")
_HEADER = "(Path to image)"
_ESCAPED = re.compile(r"#U([0-9a-fA-F]{4})")  # as Info-ZIP writes what it cannot
_NOT_PLAIN = re.compile(r"[^a-z0-9/()]")


class Painting(NamedTuple):
    """A line of a list."""

    path: str  # "Impressionism/claude-monet_water-lilies-6.jpg", as the list spells it
    label: int


def parse_list(text: str, n_classes: int, where: str) -> list[Painting]:
    """Read a list: `Style/artist_title.jpg,label` a line, with more commas in the artists' lists.

    Parameters
    ----------
    text
        Of the list; a heading and empty lines are passed over.
    n_classes
        Labels are 0..n_classes-1.
    where
        Name of the list, for messages.

    Raises
    ------
    DataError
        Other lines, or labels, with their numbers.
    """
    found, faults = [], Faults()
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip(" \r\t")
        if not line or line.startswith(_HEADER):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            faults.add(f"line {number} is {line[:80]!r}, expected 'Style/artist_title.jpg,label'")
        elif int(match["label"]) >= n_classes:
            faults.add(f"line {number}: label {match['label']}, expected 0 to {n_classes - 1}")
        else:
            found.append(Painting(match["path"], int(match["label"])))
    if not found and not text.strip():
        faults.add("it is empty")
    faults.raise_any(f"{where} is not ArtGAN's list; fetch it again:")
    return found


def repaired(name: str) -> str:
    r"""Give a name as it was before its encoding was broken, in Unicode NFC, without odd spaces.

    >>> repaired("Impressionism/joaquã\xadn-sorolla_peppers-1903.jpg")
    'Impressionism/joaquín-sorolla_peppers-1903.jpg'
    """
    if name.isascii():
        return name
    name = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)
    upper = name.replace("ã", "Ã").replace("â", "Â")  # the first byte of UTF-8, put in lower case
    for text in (name, upper):
        try:
            name = text.encode("latin-1").decode("utf-8")
            break
        except UnicodeError:
            continue
    return unicodedata.normalize("NFC", name.replace("\xa0", ""))


def _as_it_is(name: str) -> str:
    return name


def _mended(name: str) -> str:
    """As `repaired`, from Info-ZIP's escapes and single bytes read as code page 437 too."""
    name = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)
    fixed = repaired(name)
    if fixed == name and not name.isascii():
        try:
            fixed = name.encode("cp437").decode("latin-1")
        except UnicodeError:
            return fixed
        return fixed if any(c.isalpha() and not c.isascii() for c in fixed) else name
    return fixed


def _without_marks(name: str) -> str:
    plain = unicodedata.normalize("NFKD", repaired(name))
    return _NOT_PLAIN.sub("", "".join(c for c in plain if not unicodedata.combining(c)).lower())


def _without_letters_outside_ascii(name: str) -> str:
    return _NOT_PLAIN.sub("", repaired(name).lower())


_KEYS: tuple[Callable[[str], str], ...] = (
    _as_it_is,
    _mended,
    _without_marks,
    _without_letters_outside_ascii,
)


class Matched(NamedTuple):
    """What the archive holds of the paintings that the lists name."""

    members: list[Member | Refused]  # N; refused where the archive has no such painting
    otherwise: int  # names that the archive spells otherwise


def match_members(listing: Listing, paths: Sequence[str], archive: str) -> Matched:
    """Find the member of each path, by its last two steps, in ever looser ways.

    First as it is spelled; then with encodings mended; then without accents; then without any
    letter outside ASCII. Only names that are not plain ASCII are looked for otherwise than they are
    spelled, only among what is left over, and only one that nothing else could mean is taken.

    Parameters
    ----------
    listing
        What the archive holds.
    paths
        N paths as the lists spell them, all different.
    archive
        Its file name, for the reasons of those that are missing.
    """
    from cliplab.runtime.archives import Refused

    members = {"/".join(m.name.split("/")[-2:]): m for m in listing.members}
    refused = {"/".join(r.name.split("/")[-2:]): r for r in listing.refused}
    left: dict[str, Member | Refused] = {**refused, **members}
    found: dict[str, Member | Refused] = {}
    exact = 0
    for key in _KEYS:
        loosely = key is not _as_it_is
        wanted = [p for p in paths if p not in found and not (loosely and p.isascii())]
        of_path = _unique(wanted, key)
        of_member = _unique(list(left), key)
        for text in of_path.keys() & of_member.keys():
            found[of_path[text]] = left.pop(of_member[text])
        exact = exact or len(found)
    lost = [found.get(path) or Refused(path, f"not in {archive}") for path in paths]
    return Matched(lost, len(found) - exact)


def _unique(names: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
    """Key → name, of the keys that one name alone has."""
    keys = [key(name) for name in names]
    count = Counter(keys)
    return {k: name for k, name in zip(keys, names, strict=True) if count[k] == 1}
