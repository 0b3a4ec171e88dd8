"""Data sets by name: a folder, a name of the catalogue, or the hub; with a task after a colon."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import pkgutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from cliplab.datasets.entry import EMBEDDED, PREPARED, CatalogueEntry, FromArchives, Member
from cliplab.nouns import CAPTIONS_ALONE, Dataset
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of

GROUP = "cliplab.datasets"  # of entry points
HUB, WDS = "hf:", "wds:"


class Opened(NamedTuple):
    """A data set, and which of its tasks was asked for (or the default one)."""

    dataset: Dataset
    task: str


def open_dataset(name: str | Path, *, home: Path | None = None) -> Opened:
    """Open a data set by the name that a user gives it.

    The name is an existing folder first, then a name of the catalogue or of a prepared data set,
    then a file of drawings (`.npz`, `.npy`, `.ndjson`), `hf:owner/name`, or `wds:` with a folder,
    address or name of a collection in CLIP_benchmark's layout. A task may follow the last colon:
    `wikiart:genre`, `photos:label`, `hf:owner/name:label`.

    Parameters
    ----------
    name
        Of the data set.
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME` or the platform's.

    Returns
    -------
    Opened
        The data set, named as given but for the task, and the name of the task.

    Raises
    ------
    UnknownName
        If there is no such folder, data set or task; the message gives the closest.
    UsageError
        If it is a file.
    DataError
        If the data cannot be used as they are.

    Examples
    --------
    >>> dataset, task = open_dataset("digits")
    >>> len(dataset), task, dataset.task(task).class_names[:2]
    (1797, 'digit', ('zero', 'one'))
    """
    from cliplab.datasets.drawing_files import is_drawing_file, open_drawings
    from cliplab.datasets.folder import check_folder

    spec, place = str(name), home_of(home)
    before, colon, after = spec.rpartition(":")
    readings: list[tuple[str, str | None]] = [(spec, None)]
    if colon and after and "/" not in after:
        readings.append((before, after))
    for base, task in readings:
        if base and os.path.isdir(_path(base)):  # noqa: PTH112 (never raises)
            found = _open_folder(base, place, task)
            return _with_task(found, task, _name_under(_path(base), place), place)
    if spec.startswith(HUB):
        return _open_hub(spec, place)
    for base, task in readings:
        if (dataset := _open_named(base, place)) is not None:
            return _with_task(dataset, task, base, place)
    for base, task in readings:
        if is_drawing_file(_path(base)):
            found = open_drawings(_path(base), name=base, home=place)
            return _with_task(found, task, None, place)
    if spec.startswith(WDS):
        return _open_wds(spec, place)
    if os.path.isfile(_path(spec)):  # noqa: PTH113
        check_folder(_path(spec))  # says that it is a file
    known = [entry.name for entry in catalogue(place)]
    base = readings[-1][0] if readings[-1][0] in known else spec
    raise UnknownName("data set", base, known, hint="(and there is no such folder)")


def open_catalogued(name: str, *, home: Path | None = None) -> Dataset:
    """Open a data set of the catalogue, whatever folders of its name lie about.

    Raises
    ------
    UnknownName
        If the catalogue has no such name.
    NotPrepared
        If it is not on this machine yet.
    """
    place = home_of(home)
    dataset = _open_named(name, place)
    if dataset is None:
        raise UnknownName("data set", name, [entry.name for entry in catalogue(place)])
    return _with_task(dataset, None, name, place).dataset


def catalogue(home: Path | None = None) -> list[CatalogueEntry]:
    """List the data sets that have a name: those that come with cliplab, and the prepared ones."""
    place = home_of(home)
    entries, made_of = {}, {}
    for entry, member in members():
        entries[entry.name] = entry
        made_of[entry.name] = getattr(member, "parts", lambda _name: ())(entry.name)
    prepared = {entry.name: entry for entry in _prepared(place)}
    for name, entry in prepared.items():
        known = entries.get(name)
        if known is None or known.state != EMBEDDED:
            entries[name] = entry
    for name, parts in made_of.items():  # joined and views: here when what they are made of is
        if parts and all(part in prepared for part in parts) and name not in prepared:
            entries[name] = entries[name]._replace(state=PREPARED, size=0)
    return list(entries.values())


class Archived(NamedTuple):
    """A member that reads archives, and the data sets of its that a name stands for."""

    member: FromArchives
    parts: tuple[str, ...]


def archived(name: str) -> Archived | None:
    """Give the member that makes the data set of that name out of archives; None if none does.

    A folder of that name comes first, as in `open_dataset`; a task after the colon is passed over.
    """
    for base in (name, name.rpartition(":")[0]):
        if os.path.isdir(_path(base)):  # noqa: PTH112 (never raises)
            return None
        for member in archive_members() if base else ():
            if parts := _parts(member, base):
                return Archived(member, parts)
    return None


def _parts(member: FromArchives, name: str) -> tuple[str, ...]:
    parts = tuple(member.parts(name)) if hasattr(member, "parts") else ()
    is_one = any(entry.name == name for entry in member.ENTRIES)
    return parts or ((name,) if is_one else ())


def archive_members() -> list[FromArchives]:
    """List the members that read archives."""
    found = (module for module in _modules() if hasattr(module, "read_archives"))
    return [cast(FromArchives, module) for module in found]


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # ~ of somebody unknown
        return Path(name)


def _with_task(dataset: Dataset, task: str | None, name: str | None, home: Path) -> Opened:
    """Choose the task; prompts are those of the files that go by `name`, where there are some."""
    from cliplab.datasets.words import with_prompts

    found = dataset if name is None else with_prompts(dataset, name, home)
    return Opened(found, found.task(task).name)


def _name_under(folder: Path, home: Path) -> str | None:
    """Name of the data set that was prepared in this folder; None: a folder of the user's."""
    root, place = (home / "datasets").absolute(), folder.absolute()
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else None


def _open_folder(base: str, home: Path, task: str | None) -> Dataset:
    from cliplab.datasets import (
        captions_csv,
        drawing_files,
        folder,
        huggingface,
        labels_csv,
        webdataset,
    )

    path = _path(base)
    folder.check_folder(path)
    if base in {entry.name for entry, _member in members()}:
        say(f"{base}: the folder here is taken, not cliplab's data set of that name.")
    lists = (labels_csv.LABELS_CSV, captions_csv.CAPTIONS_CSV)
    has_list = any((path / name).is_file() for name in lists)
    if not has_list and huggingface.holds_tables(path):
        return huggingface.open_local(path, name=base, home=home, label=task)
    if not has_list and drawing_files.holds_drawings(path):
        return drawing_files.open_drawings(path, name=base, home=home)
    if not has_list and webdataset.is_webdataset(path):
        return webdataset.open_webdataset(path, name=base, home=home)
    return folder.open_folder(path, name=base, home=home)


def _open_hub(spec: str, home: Path) -> Opened:
    from cliplab.datasets.huggingface import open_hub

    repository, _, label = spec.removeprefix(HUB).partition(":")
    if not repository:
        raise UsageError(f"{spec!r} names no data set of the hub; write hf:owner/name.")
    dataset = open_hub(HUB + repository, home=home, label=label or None)
    return _with_task(dataset, label or None, HUB + repository, home)


def _open_wds(spec: str, home: Path) -> Opened:
    from cliplab.datasets.webdataset import TASK
    from cliplab.datasets.webdataset_fetch import open_wds

    base, _, task = spec.rpartition(":")
    if base in ("", WDS.rstrip(":")) or task not in (TASK, CAPTIONS_ALONE.name):
        base, task = spec, ""
    return _with_task(open_wds(base, home=home), task or None, base, home)


def _open_named(name: str, home: Path) -> Dataset | None:
    """Open a data set of the catalogue or a prepared one; None if there is no such name."""
    from cliplab.datasets.parquet import open_parquet

    entry, member = next((found for found in members() if found[0].name == name), (None, None))
    folder = _prepared_folder(name, home)
    if folder and not (entry and entry.state == EMBEDDED):
        return open_parquet(folder, name=name, home=home)
    options = name.partition("@")[2]
    if member is None and options and ":" not in options and (found := archived(name)) is not None:
        member = found.member
    return member.open_entry(name, home=home) if member else None


def _prepared_folder(name: str, home: Path) -> Path | None:
    from cliplab.datasets.prepare import prepared_folder

    folder = prepared_folder(name, home)
    inside = (
        bool(name.strip("./")) and ".." not in Path(name).parts and not Path(name).is_absolute()
    )
    return folder if inside and os.path.isdir(folder / "data") else None  # noqa: PTH112


def members() -> Iterator[tuple[CatalogueEntry, Member]]:
    """Give each entry of the catalogue with the module that serves it; a first name wins."""
    seen = set()
    for module in _modules():
        for entry in getattr(module, "ENTRIES", ()) if hasattr(module, "open_entry") else ():
            if entry.name not in seen:
                seen.add(entry.name)
                yield entry, cast(Member, module)


def _modules() -> Iterator[Any]:
    import cliplab.datasets as package

    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        yield importlib.import_module(found.name)
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            yield point.load()
        except Exception as error:  # another package's fault must not take ours along
            say(f"The data sets of {point.value} cannot be loaded: {error!r}. Is it up to date?")


def _prepared(home: Path) -> Iterator[CatalogueEntry]:
    """Give the data sets that were prepared under `home` and are whole."""
    from cliplab.datasets.manifest import MANIFEST, is_whole, manifest_or_none

    root = home / "datasets"
    for path in sorted(root.glob(f"**/{MANIFEST}")):
        manifest = manifest_or_none(path.parent)
        if manifest is not None and is_whole(path.parent):
            name = path.parent.relative_to(root).as_posix()
            name = HUB + name.removeprefix("hf/") if name.startswith("hf/") else name
            name = manifest.get("name", name) if name.startswith("wds/") else name
            yield _prepared_entry(name, manifest)


def _prepared_entry(name: str, manifest: dict[str, Any]) -> CatalogueEntry:
    rows: Counter[str] = Counter()
    for shard in manifest["shards"]:
        rows[shard["split"]] += shard["rows"]
    return CatalogueEntry(
        name=name,
        description=manifest["card"]["description"].partition("\n")[0],
        tasks={task["name"]: len(task["class_names"]) for task in manifest["tasks"]},
        pictures=sum(rows.values()),
        splits=manifest.get("splits", dict(rows)),
        licence=manifest["card"]["licence"],
        size=sum(shard["size"] for shard in manifest["shards"]),
        state=PREPARED,
        unreadable=len(manifest["unreadable"]) if "unreadable" in manifest else None,
    )
