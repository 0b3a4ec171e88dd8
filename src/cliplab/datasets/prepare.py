"""A data set is put under `CLIPLAB_HOME` as Parquet, where every run finds it again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cliplab.datasets.index import cached_digests
from cliplab.datasets.manifest import ID, IMAGE, identity_of, is_whole, manifest_or_none
from cliplab.datasets.parquet_writer import write_parquet
from cliplab.datasets.shards import Bounds, picture_sizes
from cliplab.datasets.tables import stored_digests, table_file
from cliplab.nouns import Dataset
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import progress, say


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
        "list": pictures whose bytes cannot be read are named, and their rows hold no picture;
        "fail": they end the work. Pictures are not decoded here, so that what cannot be decoded
        is kept as it is, and told of by what reads it.
    on_progress
        Told how many more pictures are written; by default a bar is shown on a terminal.

    Raises
    ------
    DataError, StorageError
        As `write_parquet` does; DataError also for unreadable pictures with `on_bad="fail"`.
    """
    if on_bad not in ("list", "fail"):
        raise UsageError(f"--on-bad {on_bad}: give list or fail.")
    dataset = dataset if isinstance(dataset, Dataset) else _named(dataset, home)
    folder = out or _folder_of(dataset, home)
    bounds = bounds or Bounds()
    is_same = dataset.location is not None and dataset.location.absolute() == folder.absolute()
    if is_whole(folder, None if is_same else identity_of(dataset, bounds)):
        say(f"{dataset.name} is prepared already: {folder}")
        return folder
    sizes = picture_sizes(dataset)
    _announce(dataset, sizes, folder)
    _tell_unreadable(dataset, sizes, on_bad)
    if on_progress:
        write_parquet(dataset, folder, bounds=bounds, sizes=sizes, on_progress=on_progress)
    else:
        with progress(f"Preparing {dataset.name}", len(dataset)) as advance:
            write_parquet(dataset, folder, bounds=bounds, sizes=sizes, on_progress=advance)
    _keep_digests(dataset, folder, home)
    return folder


def _announce(dataset: Dataset, sizes: np.ndarray, folder: Path) -> None:
    card = dataset.card
    size = f"{sizes.sum() / 1e6:,.1f} MB"
    say(f"{dataset.name}: {len(dataset):,} pictures, {size} → {folder}")
    say(f"  Licence: {card.licence or 'not stated by the source'}")
    if card.citation:
        say(f"  Please cite: {' '.join(card.citation.split())}")


def _tell_unreadable(dataset: Dataset, sizes: np.ndarray, on_bad: str) -> None:
    bad = [str(id_) for id_ in dataset.ids[sizes == 0]]
    if not bad:
        return
    listing = ", ".join(bad[:10]) + (f", … ({len(bad)} in all)" if len(bad) > 10 else "")
    if on_bad == "fail":
        raise DataError(
            f"{dataset.name}: {len(bad)} pictures cannot be read or are empty: {listing}. "
            "Mend or remove them, or go on without them with --on-bad list."
        )
    say(f"  {len(bad)} pictures cannot be read or are empty: {listing}")


def _keep_digests(dataset: Dataset, folder: Path, home: Path) -> None:
    """Put the pictures' digests where opening looks for them, so that no shard is hashed again."""
    known = dict(zip(dataset.ids, dataset.digests, strict=True))

    def digests_of(path: Path) -> list[str]:
        file = table_file(path, f"Remove {path} and prepare again.")
        found = [str(known[id_]) for id_ in file.read([ID]).column(ID).to_pylist()]
        return found if all(found) else stored_digests(file, IMAGE)

    manifest = manifest_or_none(folder)
    assert manifest is not None
    files = [shard["file"] for shard in manifest["shards"]]
    cached_digests(home, folder, files, digests_of, kind="parquet")
