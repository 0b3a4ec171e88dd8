"""What an archive holds, without trusting it: members, those refused, and how much is too much."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from cliplab.runtime.errors import DataError, UsageError

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_DRIVE = re.compile("[A-Za-z]:")


class Member(NamedTuple):
    """A file inside an archive and where its bytes stand; `read_member` reads them."""

    archive: str  # file name of the archive: "clipart.zip"
    name: str  # POSIX path, relative, Unicode NFC: "clipart/aircraft_carrier/clipart_001.jpg"
    size: int  # bytes, uncompressed, as the archive states
    start: int  # byte of the archive (of the uncompressed stream, for tar.gz) where it begins
    packed: int  # bytes it takes in there
    method: int = 0  # zip's compression method: 0 stored, 8 deflated, 12 bzip2; tar: 0
    crc: int | None = None  # CRC-32 of the contents; None in a tar, which has none


class Refused(NamedTuple):
    """A file inside an archive that is not read, and why."""

    name: str  # as the archive has it, made printable
    reason: str


class Listing(NamedTuple):
    """What `list_members` found, in the order in which the archive holds it."""

    members: tuple[Member, ...]
    refused: tuple[Refused, ...]  # folders are in neither

    def by_name(self) -> dict[str, Member | Refused]:
        """Name → the member, or why it is refused."""
        found: dict[str, Member | Refused] = {refused.name: refused for refused in self.refused}
        return found | {member.name: member for member in self.members}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may unfold to; each can be raised by a variable of the environment."""

    member_size: int = 1 << 28  # bytes of one file: CLIPLAB_MAX_MEMBER_SIZE
    ratio: int = 250  # unpacked to packed, where more than 16 MiB come out: CLIPLAB_MAX_RATIO
    members: int = 5_000_000  # files in one archive: CLIPLAB_MAX_MEMBERS

    def __post_init__(self) -> None:
        if min(self.member_size, self.ratio, self.members) < 1:
            raise UsageError(f"Limits of archives are 1 or more, not {self}.")

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Limits:
        """Give the limits as the environment raises (or lowers) them."""
        given = os.environ if environment is None else environment
        values = {}
        for field in fields(cls):
            variable = f"CLIPLAB_MAX_{field.name.upper()}"
            if text := given.get(variable):
                if not text.isdecimal():
                    raise UsageError(f"{variable}={text}: give a whole number.")
                values[field.name] = int(text)
        return cls(**values)

    def refusal(self, size: int, packed: int) -> str | None:
        """Say why a file of that size, taking `packed` bytes, is not read; None if it is."""
        if size > self.member_size:
            return (
                f"{size:,} bytes are more than the limit of {self.member_size:,} "
                "(CLIPLAB_MAX_MEMBER_SIZE raises it)"
            )
        if self.is_bomb(size, packed):
            return (
                f"unfolds from {packed:,} to {size:,} bytes, more than {self.ratio} times "
                "(CLIPLAB_MAX_RATIO raises the limit)"
            )
        return None

    def is_bomb(self, size: int, packed: int) -> bool:
        """Whether so many bytes out of so few are too many."""
        return size > self.most_from(packed)

    def most_from(self, packed: int) -> int:
        """How many bytes may come out of `packed` ones."""
        return max(1 << 24, self.ratio * packed)


def name_refusal(name: str) -> str | None:
    """Say why a file of that name is not read; None if the name is harmless.

    >>> name_refusal("../../etc/passwd")
    "its path leads out of the archive ('..')"
    """
    if not name:
        return "it has no name"
    if "\0" in name:
        return "a NUL byte in its name"
    if _CONTROL.search(name):
        return "a control character in its name"
    if "\\" in name:
        return "a backslash in its name"
    if name.startswith("/") or _DRIVE.match(name):
        return "its path is absolute"
    if ".." in name.split("/"):
        return "its path leads out of the archive ('..')"
    return None


def tidy_name(name: str) -> str:
    """Give a harmless name in Unicode NFC, without `.` and empty steps."""
    steps = [step for step in name.split("/") if step not in ("", ".")]
    return unicodedata.normalize("NFC", "/".join(steps))


def printable(name: str) -> str:
    r"""Give a name as it can be shown and written: controls and lone surrogates as `\xNN`."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class Gathered:
    """Members as they are found: each name once, and not more than the limit."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        self.members: list[Member] = []
        self.refused: list[Refused] = []
        self._names: set[str] = set()

    def refuse(self, name: str, reason: str) -> None:
        """Note a file that is not read."""
        self.refused.append(Refused(printable(name), reason))
        self._count()

    def add(self, name: str, member: Member) -> None:
        r"""Note a file that can be read; what is not UTF-8 in its name becomes `\xNN`."""
        reason = name_refusal(name)
        tidy = "" if reason else tidy_name(printable(name))
        if reason is None and not tidy:
            reason = "it has no name"
        if reason is None and tidy in self._names:
            reason = "its name stands in the archive more than once; the first one is taken"
        reason = reason or self.limits.refusal(member.size, member.packed)
        if reason:
            self.refuse(name, reason)
            return
        self._names.add(tidy)
        self.members.append(member._replace(name=tidy))
        self._count()

    def listing(self) -> Listing:
        """Give all that was found."""
        return Listing(tuple(self.members), tuple(self.refused))

    def _count(self) -> None:
        if len(self.members) + len(self.refused) > self.limits.members:
            raise DataError(
                f"{self.path} holds more than {self.limits.members:,} files "
                "(CLIPLAB_MAX_MEMBERS raises the limit)."
            )
