"""A data set becomes a folder of Parquet in Hugging Face's layout, whole or not at all.

The work is done beside the folder (`.NAME.part`) and appears by one rename when the last file is
there, so that a folder that carries `cliplab.json` is complete. Killed and started again, it goes
on at the shard after the last whole one and ends in the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.datasets.card import SplitSize, card_text, yaml_features
from cliplab.datasets.manifest import (
    CAPTION,
    FORMAT_VERSION,
    ID,
    IMAGE,
    MANIFEST,
    SPLIT,
    identity_of,
    is_whole,
    manifest_json,
    manifest_or_none,
)
from cliplab.datasets.reading import Read, read_ahead
from cliplab.datasets.shard_writer import Written, split_columns, write_shard
from cliplab.datasets.shards import Bounds, Plan, Shard, picture_sizes, plan_shards, replan
from cliplab.datasets.tables import stored_digests, table_file
from cliplab.nouns import Dataset, Skipped
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import (
    locked,
    make_folder,
    read_json,
    storage_faults,
    sweep_parts,
    write_bytes,
    write_json,
)

PLAN, CARD = "plan.json", "README.md"
UNREADABLE = "unreadable"  # folder of what each shard has of it, one small JSON each


def write_parquet(
    dataset: Dataset,
    folder: Path,
    *,
    bounds: Bounds | None = None,
    sizes: np.ndarray | None = None,
    on_bad: str = "list",
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_shard: Callable[[str, list[str]], None] | None = None,
) -> Path:
    """Write a data set as Parquet shards with a card and a manifest; give the folder back.

    Nothing is done if the folder holds this data set already. Encoded bytes are kept as they are;
    each picture is decoded as it is written, and the manifest lists those that cannot be.

    Parameters
    ----------
    dataset
        What to write. A digest that is "" is taken as not known before; others are checked.
    folder
        Where it appears, whole. It may be new, empty, or an earlier preparation, which is
        replaced once the new one is complete.
    bounds
        How large a shard may become; 10,000 pictures or 500 MB by default.
    sizes
        (N,) int64, bytes of each picture, where they are known; found out otherwise.
    on_bad
        "list": a picture that cannot be read or decoded is listed; "fail": it ends the work.
    workers
        Threads that read and decode. Default: one a usable core, at most 16.
    on_progress
        Told how many more pictures are written.
    on_shard
        Told of each shard's file and its pictures' digests, where they had to be found out.

    Raises
    ------
    DataError
        If the folder holds something else, a picture is not what it was when it was indexed, or
        one is unreadable and `on_bad` is "fail".
    StorageError
        If the disk is full or read-only; what was finished is kept, and what was there is intact.
    """
    _refuse_reserved_names(dataset)
    waiting = f"Another process is preparing {folder}; waiting for it."
    with locked(folder, lambda: say(waiting)), storage_faults(folder):
        bounds = bounds or Bounds()
        identity = identity_of(dataset, bounds)
        if is_whole(folder, identity):
            return folder
        _refuse_foreign(folder)
        workshop = _workshop(folder)
        if not is_whole(workshop, identity):
            sizes = picture_sizes(dataset) if sizes is None else sizes
            plan = _begin(dataset, folder, workshop, identity, bounds, sizes)
            job = _Job(dataset, workshop, plan, on_bad, on_progress or (lambda _count: None))
            _fill(job, identity, sizes, workers, on_shard or (lambda _file, _digests: None))
        _swap(workshop, folder)
    return folder


def finished_size(folder: Path) -> int:
    """Bytes of the shards that an earlier run has finished for `folder`, and this one will keep."""
    return sum(path.stat().st_size for path in (_workshop(folder) / "data").glob("*.parquet"))


def _workshop(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


def _refuse_reserved_names(dataset: Dataset) -> None:
    for task in dataset.tasks:
        if task in (IMAGE, ID, CAPTION) or task.startswith(SPLIT):
            raise DataError(
                f"{dataset.name}: a task cannot be called {task!r}, which is the name of another "
                "column of the prepared data set; rename the label column."
            )


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / MANIFEST).exists():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise DataError(
            f"{folder} holds something that cliplab did not write, and is left as it is. "
            "Name a new or empty folder, or move that away."
        )


def _begin(
    dataset: Dataset,
    folder: Path,
    workshop: Path,
    identity: str,
    bounds: Bounds,
    sizes: np.ndarray,
) -> Plan:
    """Give the plan to follow; it lies in the workshop, where earlier work of it is kept."""
    earlier = manifest_or_none(folder)
    if earlier and earlier["identity"] == identity and not workshop.exists():
        folder.rename(workshop)  # a shard is missing: only that one is made again
    plan = _earlier_plan(dataset, workshop / PLAN, identity)
    if plan is None:
        if workshop.exists():
            shutil.rmtree(workshop)
        plan = plan_shards(dataset, sizes, bounds)
        value = {"format_version": FORMAT_VERSION, "identity": identity, "shards": plan.as_json()}
        write_json(workshop / PLAN, value)
    (workshop / MANIFEST).unlink(missing_ok=True)
    return plan


def _earlier_plan(dataset: Dataset, path: Path, identity: str) -> Plan | None:
    try:
        found = read_json(path, FORMAT_VERSION)
    except (FileNotFoundError, DataError):
        return None
    return replan(dataset, found["shards"]) if found.get("identity") == identity else None


class _Job(NamedTuple):
    """What is written where, and how."""

    dataset: Dataset
    workshop: Path
    plan: Plan
    on_bad: str
    advance: Callable[[int], None]


def _fill(
    job: _Job,
    identity: str,
    sizes: np.ndarray,
    workers: int | None,
    on_shard: Callable[[str, list[str]], None],
) -> None:
    """Write the shards that are missing, then the card, then the manifest."""
    dataset, workshop, plan = job.dataset, job.workshop, job.plan
    make_folder(workshop / "data")
    sweep_parts(workshop)
    sweep_parts(workshop / "data")
    sweep_parts(workshop / UNREADABLE)
    missing = [shard for shard in plan.shards if not (workshop / shard.file).exists()]
    rows = [row for shard in missing for row in shard.rows.tolist()]
    digests: list[str] = []
    unreadable: list[Skipped] = []
    shards: list[dict[str, Any]] = []
    with closing(read_ahead(dataset.source, rows, sizes, workers=workers)) as pictures:
        for shard in plan.shards:
            is_there = (workshop / shard.file).exists()
            done = _earlier(job, shard) if is_there else _write(job, shard, pictures)
            on_shard(shard.file, done.digests)
            digests += done.digests
            unreadable += done.unreadable
            shards.append(_shard_json(workshop, shard, done.sha256))
    write_bytes(workshop / CARD, _card(dataset, shards).encode())
    value = manifest_json(dataset, plan.order, digests, unreadable, shards, identity)
    write_json(workshop / MANIFEST, value)


def _write(job: _Job, shard: Shard, pictures: Iterator[Read]) -> Written:
    """Write a shard, and what of it is unreadable before it: where it is, that is told too."""
    place = _unreadable_place(job.workshop, shard)

    def keep(found: list[Skipped]) -> None:
        _refuse_bad(job, found)
        if found:
            write_json(place, [skipped._asdict() for skipped in found])
        else:
            place.unlink(missing_ok=True)

    path = job.workshop / shard.file
    return write_shard(job.dataset, shard, path, pictures, before_rename=keep, advance=job.advance)


def _earlier(job: _Job, shard: Shard) -> Written:
    """Give what is known of a shard that an earlier run wrote."""
    path, place = job.workshop / shard.file, _unreadable_place(job.workshop, shard)
    found = [Skipped(**one) for one in read_json(place)] if place.is_file() else []
    _refuse_bad(job, found)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return Written(_digests_of_shard(job.dataset, shard, path), found, sha256)


def _unreadable_place(workshop: Path, shard: Shard) -> Path:
    return workshop / UNREADABLE / f"{Path(shard.file).stem}.json"


def _refuse_bad(job: _Job, found: Sequence[Skipped]) -> None:
    if job.on_bad == "fail" and found:
        raise DataError(
            f"{job.dataset.name}: {len(found)} pictures cannot be read: "
            f"{listed_skipped(found)}. Mend or remove them, or go on without them with "
            "--on-bad list; what was finished is kept."
        )


def listed_skipped(found: Sequence[Skipped], limit: int = 10) -> str:
    """Give the first few pictures with their reasons, and how many there are, for a message."""
    shown = ", ".join(f"{skipped.id} ({skipped.reason})" for skipped in found[:limit])
    return shown if len(found) <= limit else f"{shown}, … ({len(found):,} in all)"


def _swap(workshop: Path, folder: Path) -> None:
    """Put the finished folder in its place; an older one goes only then."""
    old = folder.with_name(f".{folder.name}.old")
    with suppress(FileNotFoundError):
        shutil.rmtree(old)
    if folder.exists():
        folder.rename(old)
    workshop.rename(folder)
    with suppress(FileNotFoundError):
        shutil.rmtree(old)


def _digests_of_shard(dataset: Dataset, shard: Shard, path: Path) -> list[str]:
    known = [str(digest) for digest in dataset.digests[shard.rows]]
    if all(known):
        return known
    return stored_digests(table_file(path, f"Remove {path} and prepare again."), IMAGE)


def _shard_json(workshop: Path, shard: Shard, sha256: str) -> dict[str, Any]:
    return {
        "file": shard.file,
        "split": shard.split,
        "rows": len(shard.rows),
        "size": (workshop / shard.file).stat().st_size,
        "sha256": sha256,
    }


def _card(dataset: Dataset, shards: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(shard["split"] for shard in shards))
    splits = []
    for name in names:
        of_split = [shard for shard in shards if shard["split"] == name]
        splits.append(
            SplitSize(name, sum(s["rows"] for s in of_split), sum(s["size"] for s in of_split))
        )
    tasks = {name: task.class_names for name, task in dataset.tasks.items() if task.class_names}
    features = yaml_features(tasks, split_columns(dataset), dataset.captions is not None)
    return card_text(dataset, features, splits)
