"""Parquet files that are whole or refused: written by rename, with checksums, read back checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.runtime.errors import DataError, FormatTooNew
from cliplab.runtime.storage import atomic_write

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


class DamagedFile(DataError):
    """A file of the store that is not what was written; whoever meets it makes it again."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path} is damaged ({reason}); it is made again.")
        self.path = path


def write_table(
    path: Path,
    columns: Mapping[str, object],
    format_version: int,
    metadata: Mapping[str, str] | None = None,
    *,
    repeating: Sequence[str] = (),
) -> None:
    """Write columns (Arrow arrays, or what becomes one) as one Parquet file, atomically.

    Columns named in `repeating` hold few distinct values and are stored through a dictionary. The
    bytes depend on the arguments and on pyarrow's version alone.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(dict(columns)).replace_schema_metadata(
        {"format_version": str(format_version), **(metadata or {})}
    )
    with atomic_write(path) as stream:
        pq.write_table(
            table,
            stream,
            compression="none",  # vectors do not compress
            use_dictionary=list(repeating) or False,
            write_page_checksum=True,
        )
    pa.default_memory_pool().release_unused()  # else memory creeps up over the first parts


def read_table(path: Path, known_version: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a file of `write_table`, or some of its columns; the metadata come along.

    Raises
    ------
    FileNotFoundError
        There is none.
    DamagedFile
        It is no Parquet, a page fails its checksum, or a column is missing.
    FormatTooNew
        A newer cliplab wrote it.
    """
    with _opened(path, known_version) as file:
        table = file.read(columns=None if columns is None else list(columns))
    if columns is not None and (missing := set(columns) - set(table.column_names)):
        raise DamagedFile(path, f"no column {', '.join(sorted(missing))}")
    return table


class Footer(NamedTuple):
    """What the end of a Parquet file tells without reading the columns."""

    n_rows: int
    metadata: Mapping[bytes, bytes]


def read_footer(path: Path, known_version: int) -> Footer:
    """Read how many rows a file of `write_table` has, and its metadata; raises as `read_table`."""
    with _opened(path, known_version) as file:
        return Footer(file.metadata.num_rows, file.schema_arrow.metadata)


@contextmanager
def _opened(path: Path, known_version: int) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            found = (file.schema_arrow.metadata or {}).get(b"format_version", b"").decode()
            if not found.isdigit():
                raise DamagedFile(path, "it carries no format version")
            if int(found) > known_version:
                raise FormatTooNew(path, found, known_version)
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(path, str(error).partition("\n")[0]) from error


def vector_column(matrix: np.ndarray) -> pa.Array:
    """(n, D) float32 → Arrow column of n fixed-size lists; its inverse is `vector_matrix`."""
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def vector_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Arrow column of n fixed-size lists → (n, D) float32."""
    width = column.type.list_size
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix: np.ndarray = flat.reshape(len(column), width)
    return matrix
