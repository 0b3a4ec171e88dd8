"""Where tokens lie: `HOME/tokens/<digest>/`, Parquet that any tool reads.

    manifest.json                   tokenizer, data set, class names, how many parts; format_version
    part-00000-of-00012.parquet     id, digest, a label and a split column a task, tokens

`tokens` is list<uint16> (int32 where the vocabulary is larger), row by row of the grid; grid, codes
and identity stand in each part's metadata. The folder's name is a digest of all that changes the
tokens: the tokenizer's identity, the device's kind, PyTorch's version, the data set's content.
Pictures that could not be read are no rows of a part but stand in its metadata. A part holds the
pictures of so many rows of the data set; it appears by rename, and a killed run makes only those
that are missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.nouns import Dataset, Skipped, digest_of
from cliplab.runtime.errors import DataError, FormatTooNew
from cliplab.runtime.machine import versions
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import atomic_write, locked, read_json, sweep_parts, write_json
from cliplab.tokenizers.evaluation import pictures_at_once, token_dtype
from cliplab.tokenizers.pixel_store import source_marks
from cliplab.tokenizers.pixel_stream import stream_pixels
from cliplab.tokenizers.saved import Tokenizer

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PART = 4096  # rows of the data set for a part
_OWN = ("id", "digest", "tokens")


class Tokenized(NamedTuple):
    """What a data set's tokens came to."""

    folder: Path
    n: int  # pictures that have tokens
    n_made: int  # pictures seen in this run
    n_skipped: int  # pictures that cannot be read
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A data set's pictures as tokens."""

    ids: np.ndarray  # (N,) str objects
    digests: np.ndarray  # (N,) str objects
    tokens: np.ndarray  # (N, h, w) uint16 or int32, in 0..codes-1
    labels: Mapping[str, np.ndarray]  # task → (N,) int64, -1 is unlabelled
    splits: Mapping[str, np.ndarray]  # task → (N,) str objects
    class_names: Mapping[str, tuple[str, ...]]  # task → C names
    codes: int  # K
    identity: Mapping[str, Any]  # of the tokenizer

    def __len__(self) -> int:
        return len(self.ids)


def tokenize_dataset(
    dataset: Dataset,
    tokenizer: Tokenizer,
    *,
    home: Path,
    workers: int | None = None,
    on_bad: str = "list",
) -> Tokenized:
    """Write the tokens of every picture of a data set; parts that are there are not made again.

    Parameters
    ----------
    dataset
        All of its pictures are taken, whatever their split, labelled or not.
    tokenizer
        What makes the tokens.
    home
        Folder of what is kept; tokens lie below `tokens/`.
    workers
        Threads that decode; None: one a core.
    on_bad
        "list": an unreadable picture is listed; "fail": it ends the work.

    Raises
    ------
    DataError
        None of the pictures can be read; or, with `on_bad="fail"`, one cannot.
    """
    folder = home / "tokens" / _digest(dataset, tokenizer)
    n_parts = -(-len(dataset) // PART)
    made = there = 0
    skipped: list[Skipped] = []
    with locked(folder, lambda: say(f"Waiting for another process that fills {folder} …")):
        folder.mkdir(parents=True, exist_ok=True)
        sweep_parts(folder)
        write_json(folder / MANIFEST, _manifest(dataset, tokenizer, n_parts))
        with progress("tokenizing", len(dataset)) as advance:
            for part in range(n_parts):
                rows = np.arange(part * PART, min((part + 1) * PART, len(dataset)))
                path = _path(folder, part, n_parts)
                found = _head(path, len(rows))
                if found is None or (found and on_bad == "fail"):
                    found = _make(path, dataset, rows, tokenizer, workers, on_bad)
                    made += len(rows) - len(found)
                skipped += found
                there += len(rows) - len(found)
                advance(len(rows))
    if not there:
        first = f" ({skipped[0].id}: {skipped[0].reason})" if skipped else ""
        raise DataError(
            f"None of the {len(dataset)} pictures of {dataset.name!r} can be read{first}."
        )
    return Tokenized(folder, there, made, len(skipped), tuple(skipped))


def read_tokens(folder: str | Path) -> Tokens:
    """Read the tokens of a folder that `tokenize_dataset` filled.

    Raises
    ------
    DataError
        It holds none, parts are missing, or one is damaged.
    FormatTooNew
        A newer cliplab wrote it.
    """
    place = Path(folder)
    if not (place / MANIFEST).is_file():
        raise DataError(f"{place} holds no tokens; `cliplab tokenize DATASET` makes them.")
    manifest = read_json(place / MANIFEST, FORMAT_VERSION)
    n_parts, (h, w) = manifest["n_parts"], manifest["grid"]
    tables = [_table(_path(place, part, n_parts)) for part in range(n_parts)]
    tasks = manifest["class_names"]

    def column(name: str) -> np.ndarray:
        parts = [table.column(name).to_numpy(zero_copy_only=False) for table in tables]
        found: np.ndarray = np.concatenate(parts)
        return found

    flat = [
        table.column("tokens").combine_chunks().flatten().to_numpy(zero_copy_only=False)
        for table in tables
    ]
    tokens = np.concatenate(flat).astype(token_dtype(manifest["codes"]))
    if len(tokens) and int(tokens.max()) >= manifest["codes"]:
        raise DataError(f"{place} holds tokens outside 0..{manifest['codes'] - 1}. Remove it.")
    return Tokens(
        ids=column("id"),
        digests=column("digest"),
        tokens=tokens.reshape(-1, h, w),
        labels={task: column(label_column(task)).astype(np.int64) for task in tasks},
        splits={task: column(split_column(task)) for task in tasks},
        class_names={task: tuple(names) for task, names in tasks.items()},
        codes=manifest["codes"],
        identity=manifest["tokenizer"],
    )


def label_column(task: str) -> str:
    """Name of a task's column: the task's, unless another column has that name."""
    return f"label_{task}" if task in _OWN or task.startswith("split_") else task


def split_column(task: str) -> str:
    """Name of the column of a task's splits."""
    return f"split_{task}"


# ------------------------------------------------------------------------------- the files


def _digest(dataset: Dataset, tokenizer: Tokenizer) -> str:
    parts = (
        FORMAT_VERSION,
        tokenizer.identity,
        tokenizer.device.partition(":")[0],
        versions()["torch"],
        dataset.content_digest(),
        source_marks(dataset),
    )
    return digest_of(list(parts))[:16]


def _manifest(dataset: Dataset, tokenizer: Tokenizer, n_parts: int) -> dict[str, object]:
    return {
        "format_version": FORMAT_VERSION,
        "dataset": dataset.name,
        "content": dataset.content_digest(),
        "n": len(dataset),
        "n_parts": n_parts,
        "codes": tokenizer.codes,
        "grid": list(tokenizer.grid),
        "shape": list(tokenizer.shape),
        "class_names": {name: list(task.class_names) for name, task in dataset.tasks.items()},
        "tokenizer": tokenizer.identity,
        "device": tokenizer.device.partition(":")[0],
        "versions": versions(),
    }


def _path(folder: Path, part: int, n_parts: int) -> Path:
    return folder / f"part-{part:05d}-of-{n_parts:05d}.parquet"


def _make(
    path: Path,
    dataset: Dataset,
    rows: np.ndarray,
    tokenizer: Tokenizer,
    workers: int | None,
    on_bad: str,
) -> list[Skipped]:
    kept, tokens = [np.zeros(0, np.int64)], [np.zeros((0, *tokenizer.grid), np.int64)]
    skipped: list[Skipped] = []
    for batch in stream_pixels(
        dataset,
        rows,
        tokenizer.shape,
        batch_size=pictures_at_once(tokenizer),
        workers=workers,
        on_bad=on_bad,
    ):
        skipped += batch.skipped
        if len(batch.rows):
            kept.append(batch.rows)
            tokens.append(tokenizer.encode(np.ascontiguousarray(batch.pixels)))
    _write(path, dataset, np.concatenate(kept), np.concatenate(tokens), tokenizer, skipped)
    return skipped


def _write(
    path: Path,
    dataset: Dataset,
    rows: np.ndarray,
    tokens: np.ndarray,
    tokenizer: Tokenizer,
    skipped: list[Skipped],
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    length = tokens[0].size if len(tokens) else 0
    values = pa.array(tokens.ravel().astype(token_dtype(tokenizer.codes)))
    offsets = pa.array(np.arange(len(tokens) + 1, dtype=np.int32) * length)
    columns: dict[str, Any] = {
        "id": pa.array(dataset.ids[rows], pa.string()),
        "digest": pa.array(dataset.digests[rows], pa.string()),
    }
    for task, labels in dataset.labels.items():
        columns[label_column(task)] = pa.array(labels[rows], pa.int64())
        columns[split_column(task)] = pa.array(dataset.splits[task][rows], pa.string())
    columns["tokens"] = pa.ListArray.from_arrays(offsets, values)
    about = {
        "format_version": str(FORMAT_VERSION),
        "grid": json.dumps(list(tokenizer.grid)),
        "codes": str(tokenizer.codes),
        "identity": json.dumps(tokenizer.identity),
        "skipped": json.dumps([one._asdict() for one in skipped], ensure_ascii=False),
    }
    table = pa.table(columns).replace_schema_metadata(about)
    with atomic_write(path) as stream:
        pq.write_table(table, stream, compression="zstd", write_page_checksum=True)


def _head(path: Path, n: int) -> list[Skipped] | None:
    """Give the unreadable pictures of a part of n rows; None if it is not there, or not whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    try:
        footer = pq.read_metadata(path)
        about = pq.read_schema(path).metadata or {}
        skipped = [Skipped(**one) for one in json.loads(about[b"skipped"])]
        if footer.num_rows + len(skipped) != n:
            raise ValueError("it does not hold the pictures planned for it")
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        say(f"{path} is damaged ({str(error).partition(chr(10))[0]}); it is made again.")
        return None
    return skipped


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(
            f"{path.parent} lacks {path.name}: its tokenizing was cut off. Run the same `cliplab "
            "tokenize` again; it makes only what is missing."
        )
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            version = int((file.schema_arrow.metadata or {})[b"format_version"])
            if version > FORMAT_VERSION:
                raise FormatTooNew(path, version, FORMAT_VERSION)
            return file.read()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(
            f"{path} is damaged ({str(error).partition(chr(10))[0]}). Remove it and run the same "
            "`cliplab tokenize` again."
        ) from error
