"""Pictures that lie in archives, read as streams; nothing is unpacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cliplab.runtime.archives import (
    Member,
    Refused,
    TarStream,
    is_zip_member,
    open_tar,
    read_member,
    read_tar_member,
)


@dataclass(frozen=True, slots=True, eq=False)
class ArchivePictures:
    """The `PictureSource` (and `SizedSource`) of members of archives, one a row.

    A zip is read at any place by whoever calls, in any thread. A tar.gz is read forward as the
    iterator advances, one picture at a time; it begins again at its start where a row stands before
    the last one read, so rows in the order of the archives are read in one pass.
    """

    members: Sequence[Member | Refused]  # N; a `Refused` row cannot be read, for its reason
    paths: Mapping[str, Path]  # `Member.archive` → where the archive lies

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64, bytes of each of `rows`; 0 where a picture cannot be read."""
        found = (self.members[int(row)] for row in rows)
        sizes = [member.size if isinstance(member, Member) else 0 for member in found]
        return np.array(sizes, dtype=np.int64)

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its encoded bytes; see `nouns.PictureSource`."""
        stream: TarStream | None = None
        archive = ""
        try:
            for row in rows:
                member = self.members[int(row)]
                if isinstance(member, Refused):
                    yield partial(_refuse, member.reason)
                elif is_zip_member(member):
                    yield partial(read_member, self.paths[member.archive], member)
                else:
                    if stream is None or archive != member.archive:
                        if stream is not None:
                            stream.close()
                        archive = member.archive
                        stream = open_tar(self.paths[archive])
                    yield _read_now(stream, member)
        finally:
            if stream is not None:
                stream.close()


def _read_now(stream: TarStream, member: Member) -> Callable[[], bytes]:
    try:
        content = read_tar_member(stream, member)
    except OSError as error:
        return partial(_refuse, str(error))
    return partial(bytes, content)


def _refuse(reason: str) -> bytes:
    raise OSError(reason)
