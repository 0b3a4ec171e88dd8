"""Pictures in columns of Parquet and Arrow files, read batch by batch with bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.runtime.errors import DataError

BATCH = 100  # pictures held at once
BUFFER = 1 << 20  # bytes read at once from a column, so that a large row group is never whole


@contextmanager
def readable(path: Path, remedy: str) -> Iterator[None]:
    """Turn what Arrow says of a file that it cannot read into a `DataError` with the way out."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. {remedy}") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read (permission). {remedy}") from error
    except (pa.ArrowException, OSError, EOFError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(f"{path} is damaged or no Parquet ({reason}). {remedy}") from error


@dataclass(frozen=True, slots=True, eq=False)
class TableFile:
    """A Parquet or Arrow file: how many rows it has and where reading can begin."""

    path: Path
    rows: int
    starts: np.ndarray  # (G,) int64, first row of each row group or record batch
    remedy: str  # what to do when the file cannot be read
    schema: Any  # pyarrow.Schema

    @property
    def is_arrow(self) -> bool:
        """Whether this is an Arrow stream, as `datasets` keeps it, rather than Parquet."""
        return self.path.suffix == ".arrow"

    def read(self, columns: Sequence[str]) -> Any:
        """Give a `pyarrow.Table` of these columns; `"image.path"` reads one field of a struct."""
        with readable(self.path, self.remedy):
            if self.is_arrow:
                names = [column.partition(".")[0] for column in columns]
                return _arrow_stream(self.path).read_all().select(names)
            with _parquet_file(self.path) as file:
                return file.read(columns=list(columns), use_threads=False)

    def batches(self, column: str, start: int) -> Generator[tuple[int, Any], None, None]:
        """Pictures from the group that holds row `start` on: (first row, `pyarrow.Array`)."""
        with readable(self.path, self.remedy):
            yield from (_arrow if self.is_arrow else _parquet)(self, column, start)


def table_file(path: Path, remedy: str) -> TableFile:
    """Open a file far enough to know its rows and schema.

    Raises
    ------
    DataError
        If it is missing, cut short or something else; the message ends in `remedy`.
    """
    with readable(path, remedy):
        if path.suffix == ".arrow":
            stream = _arrow_stream(path)
            counts = [batch.num_rows for batch in stream]
            schema = stream.schema
        else:
            with _parquet_file(path) as file:
                groups = range(file.metadata.num_row_groups)
                counts = [file.metadata.row_group(group).num_rows for group in groups]
                schema = file.schema_arrow
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    return TableFile(path, int(starts[-1]), starts[:-1], remedy, schema)


def _parquet_file(path: Path) -> Any:
    import pyarrow.parquet as pq

    # No pre-buffering: it would hold a whole column of a row group, which may be gigabytes.
    return pq.ParquetFile(
        path, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True
    )


def _arrow_stream(path: Path) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(path)))


def _group(file: TableFile, row: int) -> int:
    return int(np.searchsorted(file.starts, row, side="right")) - 1


def _parquet(file: TableFile, column: str, start: int) -> Iterator[tuple[int, Any]]:
    group = _group(file, start)
    first = int(file.starts[group])
    groups = list(range(group, len(file.starts)))
    with _parquet_file(file.path) as opened:
        options = {"row_groups": groups, "columns": [column], "use_threads": False}
        for batch in opened.iter_batches(batch_size=BATCH, **options):
            yield first, batch.column(0)
            first += len(batch)


def _arrow(file: TableFile, column: str, start: int) -> Iterator[tuple[int, Any]]:
    group = _group(file, start)
    for number, batch in enumerate(_arrow_stream(file.path)):
        if number < group:
            continue
        pictures = batch.column(column)
        for offset in range(0, len(pictures), BATCH):
            yield int(file.starts[number]) + offset, pictures.slice(offset, BATCH)


@dataclass(frozen=True, slots=True)
class TablePictures:
    """The `PictureSource` of pictures kept in table files, whose rows follow one another.

    Rows in ascending order read each file once, holding at most `BATCH` pictures; any other order
    is right too, and slower.
    """

    files: tuple[TableFile, ...]
    column: str
    folders: tuple[Path, ...] = ()  # within which pictures given by path alone may lie

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its encoded bytes; see `nouns.PictureSource`."""
        starts = np.cumsum([0] + [file.rows for file in self.files])
        current, first = -1, 0
        pictures: Any = ()
        batches: Generator[tuple[int, Any], None, None] | None = None
        try:
            for row in rows:
                number = int(np.searchsorted(starts, row, side="right")) - 1
                place = int(row) - int(starts[number])
                if batches is None or number != current or self._is_far(number, place, first):
                    if batches is not None:
                        batches.close()
                    batches = self.files[number].batches(self.column, place)
                    current, first, pictures = number, 0, ()
                while place >= first + len(pictures):
                    first, pictures = _following(batches, self.files[number])
                yield partial(stored_picture, pictures, place - first, self.folders)
        finally:
            if batches is not None:
                batches.close()

    def _is_far(self, number: int, place: int, first: int) -> bool:
        """Whether the place lies behind, or so far ahead that jumping is less work than reading."""
        file = self.files[number]
        return place < first or _group(file, place) > _group(file, first) + 1


def _following(batches: Iterator[tuple[int, Any]], file: TableFile) -> tuple[int, Any]:
    found = next(batches, None)
    if found is None:
        raise DataError(f"{file.path} ends before its {file.rows} rows. {file.remedy}")
    return found


def stored_picture(pictures: Any, index: int, folders: Sequence[Path] = ()) -> bytes:
    """Give the encoded bytes of one row of a picture column: struct{bytes, path} or binary.

    Raises
    ------
    OSError
        If the row holds no picture, or names a file that is not to be had or lies outside
        `folders`: a path in a table is not trusted to point elsewhere.
    """
    value = pictures[index].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    if content is not None:
        return bytes(content)
    path = value.get("path") if isinstance(value, dict) else None
    if not path:
        raise OSError("the table holds no picture in this row")
    if not folders:
        raise OSError(f"the table holds only the path {path!r}, not the picture")
    return inside(folders, path).read_bytes()


def inside(folders: Sequence[Path], path: str) -> Path:
    """Give the resolved path of a file within one of `folders`; an `OSError` if it lies outside."""
    for folder in folders:
        found = (folder / path).resolve()
        if found.is_relative_to(folder.resolve()) and found.is_file():
            return found
    raise OSError(f"the table points to {path!r}, which is not a file within {folders[0]}")


def stored_digests(file: TableFile, column: str) -> list[str]:
    """Hex SHA-256 of each picture's encoded bytes; "" where the table does not hold them."""
    digests: list[str] = []
    for _first, pictures in file.batches(column, 0):
        digests += [_digest(pictures, index) for index in range(len(pictures))]
    return digests


def _digest(pictures: Any, index: int) -> str:
    try:
        return hashlib.sha256(stored_picture(pictures, index)).hexdigest()
    except OSError:
        return ""
