"""The contract of a data set that has a name of its own.

A module in this package, or one of another package under the entry point group
`cliplab.datasets`, is a member of the catalogue if it has

- ``ENTRIES``: a tuple of `CatalogueEntry`, one for each name that it serves, and
- ``open_entry(name, *, home)``: gives the `Dataset` of one of these names, or raises a
  `CliplabError` that says what to do to have it.

Members that come with cliplab also have ``TRAPS``, sentences on what one must know of their data
sets before believing a number, which go into `docs/datasets.md`.

A member whose pictures come out of archives of the web has two functions more (`FromArchives`),
and `cliplab prepare NAME` does the rest: it finds or downloads the archives, verifies them, reads
them as streams and writes Parquet. Such a member may also have

- ``parts(name)``: the data sets that `name` stands for, so that `cliplab prepare domainnet`
  prepares all six domains. `name` need not be in `ENTRIES`; () if it is none of this member's, and
  `(name,)` if it stands for itself;
- ``card(name)``: the `Card` (licence, citation) that is shown before anything is downloaded;
- ``remotes_in(name, folder)``: the files that a folder of the user's holds, where fewer than all of
  `remotes` will do. With ``--archives FOLDER`` these are read, and nothing else is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from cliplab.nouns import Dataset
from cliplab.runtime.downloads import Remote

EMBEDDED, PREPARED, NOT_HERE = "embedded", "prepared", "not here"


class CatalogueEntry(NamedTuple):
    """What is known of a data set without opening it."""

    name: str
    description: str  # one sentence
    tasks: Mapping[str, int]  # task → number of classes; the first is the default
    pictures: int
    splits: Mapping[str, int]  # split of the default task → pictures
    licence: str
    size: int | None  # bytes to download or on disk; None: not known
    state: str = NOT_HERE  # or "embedded" (comes with an installed library), "prepared"
    unreadable: int | None = None  # pictures that do not decode; None: not known


class Member(Protocol):
    """A module that serves data sets by name."""

    ENTRIES: tuple[CatalogueEntry, ...]

    def open_entry(self, name: str, *, home: Path) -> Dataset:
        """Give the data set of that name, one of those in `ENTRIES`."""
        ...


class FromArchives(Member, Protocol):
    """A member whose pictures are read out of archives, as streams."""

    def remotes(self, name: str) -> tuple[Remote, ...]:
        """Files that a data set of `ENTRIES` is made of: archives, lists, ground truth."""
        ...

    def read_archives(self, name: str, files: Mapping[str, Path]) -> Dataset:
        """Give the data set whose pictures are streamed from `files` (`Remote.name` → path).

        Its rows stand in the order in which the archives hold the pictures wherever an archive
        cannot be read in another order; digests are "" (not known before), and `archives` is
        filled in by who calls, from the verified files. An archive may lie there under one of
        `Remote.other_names`.
        """
        ...
