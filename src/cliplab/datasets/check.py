"""Whether the addresses of the catalogue still serve what they did: lengths, compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cliplab.datasets.entry import FromArchives
from cliplab.datasets.family import archive_members
from cliplab.runtime.downloads import Remote, web_client
from cliplab.runtime.patience import Patience
from cliplab.runtime.transfer import Unavailable, stated_size

if TYPE_CHECKING:
    import httpx

SAME, DIFFERS, ANSWERS, NO_ANSWER = "same", "differs", "answers", "no answer"


class Address(NamedTuple):
    """One address of one file, and what it says of itself."""

    data_set: str
    file: str
    url: str
    expected: int | None  # bytes; None: not known here
    stated: int | None  # bytes; None: it does not say, or does not answer
    state: str  # "same", "differs", "answers" (a size is not known), or why there is no answer

    @property
    def is_bad(self) -> bool:
        """Whether a download from here would fail."""
        return self.state not in (SAME, ANSWERS)


def check_addresses(
    members: Sequence[FromArchives] | None = None, *, patience: Patience | None = None
) -> list[Address]:
    """Ask each address of the catalogue for its length, once; nothing is downloaded.

    Parameters
    ----------
    members
        Whose addresses; by default of all that read archives.
    patience
        Its timeout is how long an answer may take.
    """
    members = archive_members() if members is None else members
    found: list[Address] = []
    with web_client(patience or Patience(timeout=20.0)) as client:
        for data_set, remote, url in _addresses(members):
            found.append(_ask(client, data_set, remote, url))
    return found


def _addresses(members: Sequence[FromArchives]) -> list[tuple[str, Remote, str]]:
    """Each address once, with the first data set that needs it."""
    found: dict[str, tuple[str, Remote, str]] = {}
    for member in members:
        for entry in member.ENTRIES:
            for remote in member.remotes(entry.name):
                for url in remote.urls:
                    found.setdefault(url, (entry.name, remote, url))
    return list(found.values())


def _ask(client: httpx.Client, data_set: str, remote: Remote, url: str) -> Address:
    try:
        stated = stated_size(client, url, remote.name)
    except Unavailable as error:
        return Address(data_set, remote.name, url, remote.size, None, f"{NO_ANSWER}: {error}")
    known = remote.size if stated is not None else None
    state = ANSWERS if known is None else SAME if known == stated else DIFFERS
    return Address(data_set, remote.name, url, remote.size, stated, state)
