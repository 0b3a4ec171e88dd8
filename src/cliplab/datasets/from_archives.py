"""A data set from nothing to Parquet: archives found or downloaded, verified, read as streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cliplab.datasets.entry import CatalogueEntry, FromArchives
from cliplab.datasets.family import archived
from cliplab.datasets.manifest import is_whole
from cliplab.datasets.prepare import prepare, prepared_folder, say_card, say_prepared
from cliplab.datasets.shards import Bounds
from cliplab.datasets.webdataset_fetch import WDS, open_wds
from cliplab.nouns import Card, Dataset
from cliplab.runtime.downloads import Remote, find_file, find_or_fetch
from cliplab.runtime.patience import Patience
from cliplab.runtime.progress import say

MOST_TOLD = 6  # files that are named one by one
ARCHIVES = "archives"  # folder below the home, of what was downloaded


def prepare_named(
    name: str,
    *,
    home: Path,
    archives: Path | None = None,
    offline: bool = False,
    on_bad: str = "list",
    workers: int | None = None,
    bounds: Bounds | None = None,
    patience: Patience | None = None,
) -> list[Path]:
    """Prepare a data set by its name, or all that the name stands for; give the folders.

    Licence, citation and size are said first, and which files are here, which are to be downloaded
    from where, and which to be fetched by hand. Archives are verified and then read as streams;
    nothing is unpacked. What is prepared already needs no archives any more.

    Parameters
    ----------
    name
        As on the command line: a name of the catalogue, a folder, `hf:owner/name`.
    home
        Folder of what is kept between runs; downloads go to `home/archives`.
    archives
        A folder in which archives lie already, by their own names, also one level down.
    offline
        Whether nothing may be downloaded.
    on_bad, workers, bounds
        As for `prepare`.
    patience
        How long to keep trying to download.

    Raises
    ------
    DownloadFailed
        If a file is not to be had; the message says how to fetch it.
    DataError, StorageError
        As `prepare` does; also where an archive is not what is expected.
    """
    found = archived(name)
    if found is None:
        named: Dataset | str = name
        if name.startswith(WDS) and not is_whole(prepared_folder(name, home)):
            named = open_wds(name, home=home, offline=offline, patience=patience)
        return [prepare(named, home=home, on_bad=on_bad, workers=workers, bounds=bounds)]
    folders = []
    for part in found.parts:
        folder = prepared_folder(part, home)
        if is_whole(folder):
            say_prepared(part, folder, home)
        else:
            dataset = _obtain(found.member, part, home, archives, offline, patience)
            prepare(
                dataset,
                home=home,
                out=folder,
                bounds=bounds,
                on_bad=on_bad,
                workers=workers,
                say_licence=False,
            )
        folders.append(folder)
    return folders


def _obtain(
    member: FromArchives,
    name: str,
    home: Path,
    archives: Path | None,
    offline: bool,
    patience: Patience | None,
) -> Dataset:
    """Find or fetch the files of a data set, having said what it is, and open it on them."""
    remotes = _files_of(member, name, archives)
    _announce(member, name, remotes, home, archives)
    files = find_or_fetch(
        remotes, home / ARCHIVES, archives=archives, offline=offline, patience=patience
    )
    dataset = member.read_archives(name, {file: found.path for file, found in files.items()})
    digests = {file: found.digest for file, found in files.items()}
    return replace(dataset, archives=digests)


def _files_of(member: FromArchives, name: str, archives: Path | None) -> tuple[Remote, ...]:
    """Give the files to read: where fewer than all will do, those that the user's folder holds."""
    if archives is not None and archives.is_dir() and hasattr(member, "remotes_in"):
        found: tuple[Remote, ...] = member.remotes_in(name, archives)
        return found
    return member.remotes(name)


def card_of_member(member: FromArchives, name: str) -> Card:
    """Give what is known of licence and citation before the data set is there."""
    if hasattr(member, "card"):
        card = member.card(name)
        assert isinstance(card, Card)
        return card
    entry = _entry(member, name)
    return Card(licence=entry.licence if entry else "")


def _entry(member: FromArchives, name: str) -> CatalogueEntry | None:
    return next((entry for entry in member.ENTRIES if entry.name == name), None)


def _announce(
    member: FromArchives,
    name: str,
    remotes: Sequence[Remote],
    home: Path,
    archives: Path | None,
) -> None:
    entry = _entry(member, name)
    card = card_of_member(member, name)
    what = entry.description if entry else card.description
    say(f"{name}: {what or 'a data set out of archives'}")
    say_card(card)
    places = [place for place in (archives, home / ARCHIVES) if place is not None]
    found = [find_file(remote, places) for remote in remotes]
    if entry and entry.size and None in found:
        say(f"  Size: {entry.size / 1e9:,.2f} GB in all, to download but for what is here")
    for remote, path in zip(remotes[:MOST_TOLD], found, strict=False):
        size = "size not known" if remote.size is None else f"{remote.size / 1e6:,.1f} MB"
        if path is not None:
            where = f"here: {path}"
        elif remote.urls:
            where = f"from {remote.urls[0]}"
        else:
            where = f"by hand: {remote.by_hand}"
        say(f"  {remote.name} ({size}) {where}")
    if len(remotes) > MOST_TOLD:
        n_here = sum(path is not None for path in found)
        say(f"  … {len(remotes):,} files in all, {n_here:,} of them here")
