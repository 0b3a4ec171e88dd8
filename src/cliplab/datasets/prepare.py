"""A data set is put under `CLIPLAB_HOME` as Parquet, where every run finds it again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.datasets.index import cached_digests
from cliplab.datasets.manifest import (
    ID,
    IMAGE,
    MANIFEST,
    identity_of,
    is_whole,
    manifest_or_none,
    unreadable_of,
)
from cliplab.datasets.parquet_writer import finished_size, listed_skipped, write_parquet
from cliplab.datasets.shards import Bounds, picture_sizes
from cliplab.datasets.tables import stored_digests, table_file
from cliplab.nouns import Card, Dataset
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import make_folder
from cliplab.runtime.transfer import check_space


def prepared_folder(name: str, home: Path) -> Path:
    """Where the data set of that name is prepared, whether it is there or not.

    `domainnet/clipart` and `hf:owner/name` keep their shape below `home/datasets`.
    """
    return home / "datasets" / name.replace(":", "/")


def _named(name: str, home: Path) -> Dataset:
    from cliplab.datasets.family import open_dataset

    dataset, _task = open_dataset(name, home=home)
    return dataset


def _folder_of(dataset: Dataset, home: Path) -> Path:
    """Where to prepare a data set; a folder of the user's may be called as another one is."""
    place = dataset.location
    if place is None or dataset.name.startswith("hf:"):
        return prepared_folder(dataset.name, home)
    place = place.absolute()
    if place.is_relative_to((home / "datasets").absolute()):
        return place
    mark = hashlib.sha256(str(place).encode()).hexdigest()[:8]
    stem = re.sub(r"[^\w.-]+", "-", place.name).strip(".-") or "pictures"
    return home / "datasets" / "folders" / f"{stem}-{mark}"


def prepare(
    dataset: Dataset | str,
    *,
    home: Path,
    out: Path | None = None,
    bounds: Bounds | None = None,
    on_bad: str = "list",
    workers: int | None = None,
    say_licence: bool = True,
    on_progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a data set as Parquet under `home` and give the folder; nothing is done twice.

    Licence, size and citation are said first, on stderr. Killed and run again, it goes on where
    it stopped, and ends in the same bytes.

    Parameters
    ----------
    dataset
        What to prepare, or its name as on the command line. Its source is asked for the rows in
        the order in which they are written, once each, so that a stream in that order serves.
    home
        Folder of what is kept between runs.
    out
        Where to write instead of `home/datasets/NAME` (a folder of the user's:
        `home/datasets/folders/NAME-DIGEST`).
    bounds
        How large a shard may become; 10,000 pictures or 500 MB by default.
    on_bad
        "list": pictures that cannot be read or decoded are named, and listed in `cliplab.json` with
        the reason; one that cannot be decoded keeps its bytes, one that cannot be read has a row
        without a picture. "fail": the first of them ends the work.
    workers
        Threads that read and decode. Default: one a usable core, at most 16.
    say_licence
        Whether licence and citation are said, which need not be done twice.
    on_progress
        Told how many more pictures are written; by default a bar is shown on a terminal.

    Raises
    ------
    DataError, StorageError
        As `write_parquet` does.
    """
    if on_bad not in ("list", "fail"):
        raise UsageError(f"--on-bad {on_bad}: give list or fail.")
    dataset = dataset if isinstance(dataset, Dataset) else _named(dataset, home)
    folder = out or _folder_of(dataset, home)
    bounds = bounds or Bounds()
    is_same = dataset.location is not None and dataset.location.absolute() == folder.absolute()
    if is_whole(folder, None if is_same else identity_of(dataset, bounds)):
        say_prepared(dataset.name, folder, home)
        return folder
    sizes = picture_sizes(dataset)
    say(f"{dataset.name}: {len(dataset):,} pictures, {sizes.sum() / 1e6:,.1f} MB → {folder}")
    if say_licence:
        say_card(dataset.card)
    if on_bad == "fail":
        _refuse_unreadable(dataset, sizes)
    needed = int(sizes.sum()) - finished_size(folder)
    check_space(make_folder(folder.parent), needed, f"{dataset.name} as Parquet")
    digests: dict[str, list[str]] = {}
    options: dict[str, Any] = {"bounds": bounds, "sizes": sizes, "on_bad": on_bad}
    options |= {"workers": workers, "on_shard": digests.__setitem__}
    if on_progress:
        write_parquet(dataset, folder, on_progress=on_progress, **options)
    else:
        with progress(f"Preparing {dataset.name}", len(dataset)) as advance:
            write_parquet(dataset, folder, on_progress=advance, **options)
    known = dict(zip(dataset.ids, dataset.digests, strict=True))
    _keep_digests(folder, home, digests, known)
    _tell_unreadable(folder)
    return folder


def say_prepared(name: str, folder: Path, home: Path) -> None:
    """Say on stderr that a folder is prepared; digests that a kill left undone are completed."""
    say(f"{name} is prepared already: {folder}")
    _keep_digests(folder, home, {}, {})


def say_card(card: Card) -> None:
    """Say the licence, and what to cite, on stderr."""
    say(f"  Licence: {card.licence or 'not stated by the source'}")
    if card.citation:
        say(f"  Please cite: {' '.join(card.citation.split())}")


def _refuse_unreadable(dataset: Dataset, sizes: np.ndarray) -> None:
    """Raise for all that is known to be unreadable before a picture is read."""
    bad = [str(id_) for id_ in dataset.ids[sizes == 0]]
    if bad:
        listing = ", ".join(bad[:10]) + (f", … ({len(bad)} in all)" if len(bad) > 10 else "")
        raise DataError(
            f"{dataset.name}: {len(bad)} pictures cannot be read or are empty: {listing}. "
            "Mend or remove them, or go on without them with --on-bad list."
        )


def _tell_unreadable(folder: Path) -> None:
    manifest = manifest_or_none(folder)
    assert manifest is not None
    found = unreadable_of(manifest)
    if found:
        say(f"  {len(found):,} pictures cannot be read: {listed_skipped(found)}")
        say(f"  They are listed in {folder / MANIFEST}, and left out where pictures are read.")


def _keep_digests(
    folder: Path, home: Path, of_shards: Mapping[str, list[str]], known: Mapping[str, str]
) -> None:
    """Put the pictures' digests where opening looks for them, so that no shard is hashed again.

    Those of a shard that was written now, else those `known` by id, else what the shard holds.
    """

    def digests_of(path: Path) -> list[str]:
        written = of_shards.get(path.relative_to(folder).as_posix())
        if written is not None:
            return written
        file = table_file(path, f"Remove {path} and prepare again.")
        found = [known.get(id_, "") for id_ in file.read([ID]).column(ID).to_pylist()]
        return found if all(found) else stored_digests(file, IMAGE)

    manifest = manifest_or_none(folder)
    assert manifest is not None
    files = [shard["file"] for shard in manifest["shards"]]
    cached_digests(home, folder, files, digests_of, kind="parquet")
