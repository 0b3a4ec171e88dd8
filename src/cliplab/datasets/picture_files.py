"""A few pictures of the user's, named one by one or by their folders, without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cliplab.datasets.tree import walk
from cliplab.runtime.errors import UsageError


def picture_files(pictures: Sequence[str | Path]) -> list[Path]:
    """Give the files that paths of pictures and of folders mean, each once, in their order.

    Raises
    ------
    UsageError
        No such file, or no pictures in a folder.
    """
    found: list[Path] = []
    for given in map(Path, pictures):
        path = given.expanduser()
        if path.is_dir():
            inside = sorted(walk(path).pictures)
            if not inside:
                raise UsageError(f"There are no pictures in the folder {given}.")
            found += [path / name for name in inside]
        elif path.is_file():
            found.append(path)
        else:
            raise UsageError(f"There is no picture or folder {given}.")
    return list(dict.fromkeys(found))


class PictureFiles:
    """Picture files as a `PictureSource`, read when asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that reads its file; see `nouns.PictureSource`."""
        for row in rows:
            yield self._files[row].read_bytes
