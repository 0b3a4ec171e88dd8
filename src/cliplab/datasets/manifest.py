"""`cliplab.json`: what a prepared folder holds; written last, so where it is all is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.datasets.shards import Bounds
from cliplab.nouns import Card, Dataset, Prompts, Query, Skipped, Task, digest_of
from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import read_json

FORMAT_VERSION = 1
MANIFEST = "cliplab.json"
IMAGE, ID, CAPTION, SPLIT = "image", "id", "caption", "split_"  # columns beside the tasks


def identity_of(dataset: Dataset, bounds: Bounds) -> str:
    """Hex SHA-256 of all that changes the bytes of a preparation."""
    captions = dataset.captions
    value = {
        "format_version": FORMAT_VERSION,
        "name": dataset.name,
        "content": dataset.content_digest(),
        "captions": None if captions is None else digest_of([list(texts) for texts in captions]),
        "tasks": _tasks_json(dataset),
        "card": asdict(dataset.card),
        "split_origin": dataset.split_origin,
        "archives": dict(dataset.archives),
        "queries": _queries_json(dataset),
        "bounds": asdict(bounds),
    }
    return digest_of(value)


def is_whole(folder: Path, identity: str | None = None) -> bool:
    """Whether a preparation (of that identity) is complete: manifest there, shards of its sizes."""
    manifest = manifest_or_none(folder)
    if manifest is None or (identity is not None and manifest["identity"] != identity):
        return False
    files = ((folder / shard["file"], shard["size"]) for shard in manifest["shards"])
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


def manifest_or_none(folder: Path) -> dict[str, Any] | None:
    """Give the manifest of a prepared folder; None where there is none or it is damaged.

    Raises
    ------
    FormatTooNew
        If a newer cliplab wrote it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        found = read_json(path, FORMAT_VERSION)
    except DataError:
        return None
    needed = {"identity", "shards", "tasks", "captions", "split_origin", "card"}
    return found if isinstance(found, dict) and needed <= set(found) else None


def manifest_json(
    dataset: Dataset,
    order: np.ndarray,
    digests: Sequence[str],
    unreadable: Sequence[Skipped],
    shards: Sequence[dict[str, Any]],
    identity: str,
) -> dict[str, Any]:
    """Give the manifest of a data set written in `order`, whose pictures have these digests.

    `unreadable` are the pictures that did not decode as they were written, with the reason.
    `content_digest` is that of the data set as it will be read from the shards, `splits` the
    number of pictures in each split of the default task.
    """
    default = next(iter(dataset.tasks))
    prepared = replace(
        dataset,
        ids=dataset.ids[order],
        labels={task: values[order] for task, values in dataset.labels.items()},
        splits={task: values[order] for task, values in dataset.splits.items()},
        digests=np.array(digests, dtype=object),
    )
    return {
        "format_version": FORMAT_VERSION,
        "name": dataset.name,
        "identity": identity,
        "content_digest": prepared.content_digest(),
        "split_origin": dataset.split_origin,
        "captions": dataset.captions is not None,
        "card": asdict(dataset.card),
        "tasks": _tasks_json(dataset),
        "archives": dict(dataset.archives),
        "splits": dict(Counter(str(split) for split in dataset.splits[default] if split)),
        "queries": _queries_json(dataset),
        "unreadable": [skipped._asdict() for skipped in unreadable],
        "shards": list(shards),
    }


def tasks_of(manifest: dict[str, Any]) -> dict[str, Task]:
    """Tasks with their class names and prompts, as the manifest tells of them."""
    return {task["name"]: _task(task) for task in manifest["tasks"]}


def card_of(manifest: dict[str, Any]) -> Card:
    """Where the data set comes from, as the manifest tells."""
    return Card(**manifest["card"])


def queries_of(manifest: dict[str, Any]) -> tuple[Query, ...]:
    """Give the queries of the retrieval benchmark, as the manifest tells of them; often ()."""
    found = []
    for query in manifest.get("queries", ()):
        lists = {key: tuple(query[key]) for key in ("box", "good", "ok", "junk")}
        found.append(Query(**{**query, **lists}))
    return tuple(found)


def unreadable_of(manifest: dict[str, Any]) -> tuple[Skipped, ...]:
    """Pictures that did not decode as they were written, with the reason."""
    return tuple(Skipped(**found) for found in manifest.get("unreadable", ()))


def _queries_json(dataset: Dataset) -> list[dict[str, Any]]:
    queries = [query._asdict() for query in dataset.queries]
    return [{k: list(v) if isinstance(v, tuple) else v for k, v in q.items()} for q in queries]


def _task(found: dict[str, Any]) -> Task:
    prompts = found["prompts"]
    if prompts is not None:
        per_class = {name: tuple(texts) for name, texts in prompts["per_class"].items()}
        prompts = Prompts(prompts["name"], tuple(prompts["templates"]), per_class)
    may_lack, catch_all = found.get("may_lack_training", False), found.get("catch_all", ())
    return Task(found["name"], tuple(found["class_names"]), prompts, may_lack, tuple(catch_all))


def _tasks_json(dataset: Dataset) -> list[dict[str, Any]]:
    found = []
    for name, task in dataset.tasks.items():
        prompts = None if task.prompts is None else asdict(task.prompts)
        told: dict[str, Any] = {"name": name, "class_names": list(task.class_names)}
        told["prompts"] = prompts
        told |= {"may_lack_training": True} if task.may_lack_training else {}
        found.append(told | ({"catch_all": list(task.catch_all)} if task.catch_all else {}))
    return found
