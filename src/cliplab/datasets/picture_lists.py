"""Lists that come beside an archive: their text, and the archive's members that they name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cliplab.datasets.prepare import prepared_folder
from cliplab.nouns import Dataset
from cliplab.runtime.archives import Listing, Member, Refused
from cliplab.runtime.errors import DataError, NotPrepared


def text_of(path: Path) -> str:
    """Read a list.

    Raises
    ------
    DataError
        If it is not UTF-8 text, as a page or an archive in its place is not.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text ({error}); a list is expected. Fetch it again.") from (
            error
        )


def members_of(listing: Listing, names: Sequence[str], archive: str) -> list[Member | Refused]:
    """Find the member of each name; one that is not there is refused for that reason.

    Parameters
    ----------
    listing
        What the archive holds.
    names
        N names of members.
    archive
        Its file name, for the reason.
    """
    known = listing.by_name()
    return [known.get(name) or Refused(name, f"not in {archive}") for name in names]


def prepared(name: str, home: Path) -> Dataset | None:
    """Open what was prepared under this name; None where nothing was."""
    from cliplab.datasets.parquet import open_parquet

    folder = prepared_folder(name, home)
    if not os.path.isdir(folder / "data"):  # noqa: PTH112 (never raises)
        return None
    return open_parquet(folder, name=name, home=home)


def not_prepared(name: str, needed: Sequence[str], size: int | None) -> NotPrepared:
    """Give the error that says how to come by a data set.

    Parameters
    ----------
    name
        What was to be opened.
    needed
        What is to be prepared for it.
    size
        Bytes to download, where they are known.
    """
    load = f" (a download of {size / 1e9:,.1f} GB)" if size else ""
    command = " ".join(["cliplab prepare", *needed])
    verb = "is" if len(needed) == 1 else "are"
    subject = name if list(needed) == [name] else f"{name} is made of {', '.join(needed)}, which"
    return NotPrepared(
        f"{subject} {verb} not prepared here. Run `{command}`{load}; if you have the archives "
        "already, add --archives FOLDER.",
        needed,
    )
