"""The folders of runs: a new one's name, what there is, and which one a name means."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.nouns import digest_of
from cliplab.report.record import FILE, read_unchecked
from cliplab.runtime.errors import CliplabError, DataError, UnknownName, UsageError
from cliplab.runtime.storage import make_folder, storage_faults

RUNS = Path("runs")
LATEST = "latest"
COMPLETE, INCOMPLETE = "complete", "incomplete"
OF_A_TOKENIZER = "of a tokenizer"  # whole, and not to be compared with runs of encoders
OF_DRAWINGS = "of drawings"  # likewise

_STAMPED = re.compile(r"-\d{8}-\d{6}(-\d+)?$")  # how the name of every run's folder ends


class RunEntry(NamedTuple):
    """A run as a list shows it; what an unfinished or unreadable one does not tell is None."""

    folder: Path
    state: str  # "complete", "incomplete", or why it cannot be read
    created: datetime  # UTC; of an incomplete run, when its folder last changed
    dataset: str | None = None
    task: str | None = None
    split: str | None = None
    n: int | None = None  # pictures scored
    encoder: str | None = None
    top1: dict[str, float | None] | None = None  # by classifier, in 0..1; of retrieval its measure
    test_set: str | None = None  # digest of pictures and labels: equal, then comparable

    @property
    def name(self) -> str:
        """The folder's own name, which `find_run` takes."""
        return self.folder.name

    @property
    def complete(self) -> bool:
        """Whether the run finished and can be read."""
        return self.state == COMPLETE


def new_run_folder(
    root: Path, dataset_name: str, encoder_name: str, now: datetime | None = None
) -> Path:
    """Create `root/DATASET-ENCODER-DATE` for a new run and give it back.

    Of a path the last part is taken; whatever does not belong in a file name becomes "-". The
    folder is this caller's alone: where the name is taken, even by a process that starts in the
    same second, -2, -3, … is added.

    Parameters
    ----------
    root
        Folder of the runs; created if need be.
    dataset_name, encoder_name
        As the user gave them.
    now
        The run's date; default: the local time now.
    """
    stamp = (now or datetime.now()).strftime("%Y%m%d-%H%M%S")
    name = f"{file_name(dataset_name)}-{file_name(encoder_name)}-{stamp}"
    make_folder(root)
    attempts = (name if n == 1 else f"{name}-{n}" for n in itertools.count(1))
    with storage_faults(root):
        while True:
            with suppress(FileExistsError):
                folder = root / next(attempts)
                folder.mkdir()
                return folder


def file_name(name: str, limit: int = 80) -> str:
    """Give a name that is safe in a path: at most `limit` bytes of letters, digits and . _ + -."""
    if name.startswith(("/", ".", "~")) or name.endswith("/") or os.path.lexists(name):
        name = Path(name).expanduser().resolve().name
    safe = re.sub(r"[^\w.+-]+", "-", name).strip("-.")
    return safe.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore") or "unnamed"


def list_runs(root: Path = RUNS) -> list[RunEntry]:
    """List the runs in a folder, newest first; incomplete and unreadable ones are shown as such.

    A folder without a record whose name does not end in a run's date is none of ours (TensorBoard
    writes to ./runs too) and is left out. A folder that is not there holds no runs.
    """
    if not root.is_dir():
        return []
    entries = [_entry(folder) for folder in root.iterdir() if _is_run(folder)]
    return sorted(entries, key=lambda entry: (entry.created, entry.name), reverse=True)


def _is_run(folder: Path) -> bool:
    return (folder / FILE).is_file() or (folder.is_dir() and bool(_STAMPED.search(folder.name)))


def _entry(folder: Path) -> RunEntry:
    changed = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    if not (folder / FILE).is_file():
        return RunEntry(folder, INCOMPLETE, changed)
    try:
        return _complete_entry(folder, read_unchecked(folder))
    except (CliplabError, OSError) as error:
        return RunEntry(folder, str(error), changed)
    except (KeyError, TypeError, ValueError, AttributeError):
        return RunEntry(folder, f"{FILE} does not have the shape of a record", changed)


def _complete_entry(folder: Path, data: dict[str, Any]) -> RunEntry:
    created = datetime.fromisoformat(data["created"])
    if data.get("kind") == "tokenizer":
        return RunEntry(
            folder=folder,
            state=OF_A_TOKENIZER,
            created=created,
            dataset=data["dataset"]["name"],
            task=data["dataset"]["task"],
            split=data["dataset"]["split"],
            n=data["dataset"]["n"],
            encoder=data["tokenizer"]["name"],
        )
    if data.get("kind") == "drawings":
        return RunEntry(
            folder=folder,
            state=OF_DRAWINGS,
            created=created,
            dataset=data["dataset"]["name"],
            task=data["dataset"]["task"],
            n=data["drawings"]["n"],
            encoder=data["drawings"]["name"],
        )
    results = data["results"]
    told = {r["classifier"]["name"]: r["metrics"]["top1"]["value"] for r in results}
    for name, measure in list(data.get("retrieval", {}).get("metrics", {}).items())[:1]:
        told[name] = measure["value"]
    return RunEntry(
        folder=folder,
        state=COMPLETE,
        created=created if created.tzinfo else created.replace(tzinfo=UTC),
        dataset=data["dataset"]["name"],
        task=data["dataset"]["task"],
        split=data["dataset"]["split"],
        n=data["dataset"]["n"],
        encoder=data["encoder"]["name"],
        top1=told,
        test_set=_test_set(data),
    )


def _test_set(data: dict[str, Any]) -> str | None:
    pictures, results = data["dataset"].get("pictures_digest"), data["results"]
    if pictures is None or not results:
        return None
    return digest_of([pictures, len(results[0]["per_class"])])


def find_run(name_or_path: str | Path, root: Path = RUNS) -> Path:
    """Folder of the run that is meant.

    Parameters
    ----------
    name_or_path
        "latest" (the newest complete run), a run's folder or its record.json, the name of a folder
        in `root`, or the beginning of one that fits no other.
    root
        Folder of the runs.

    Raises
    ------
    UnknownName
        If nothing fits; the message names the closest.
    UsageError
        If the beginning of a name fits several.
    DataError
        If a folder is meant that holds no record.
    """
    if str(name_or_path) == LATEST:
        return latest_run(root)
    name = str(name_or_path).rstrip("/")
    for path in (Path(name).expanduser(), root / name):
        if path.name == FILE and path.is_file():
            return path.parent
        if (path / FILE).is_file():
            return path
    return _by_prefix(name, root)


def _by_prefix(name: str, root: Path) -> Path:
    entries = list_runs(root)
    found = [e for e in entries if e.name == name] or [
        e for e in entries if e.name.startswith(name)
    ]
    if len(found) == 1 and not found[0].complete:
        raise DataError(
            f"The run {found[0].folder} did not finish (no {FILE}). Run the same evaluation again; "
            "embeddings that were made are kept."
        )
    if len(found) == 1:
        return found[0].folder
    if found:
        raise UsageError(f"{name!r} is the beginning of several runs: {_names(found)}. Give more.")
    if Path(name).is_dir():
        raise DataError(f"The folder {name} holds no {FILE}: it is no run, or it did not finish.")
    known = [LATEST, *(e.name for e in entries if e.complete)] if entries else []
    hint = f"in {root}" if entries else f"({root} holds no runs; `cliplab evaluate` makes one)"
    raise UnknownName("run", name, known, hint=hint)


def _names(entries: Sequence[RunEntry], limit: int = 10) -> str:
    shown = ", ".join(entry.name for entry in entries[:limit])
    return shown if len(entries) <= limit else f"{shown}, … ({len(entries)} in all)"


def latest_run(root: Path = RUNS) -> Path:
    """Folder of the newest complete run in `root`."""
    for entry in list_runs(root):
        if entry.complete:
            return entry.folder
    raise DataError(f"{root} holds no complete run yet. `cliplab evaluate DATASET` makes one.")
