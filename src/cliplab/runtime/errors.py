"""Errors that say what happened, what was expected, and what to do next.

`CliplabError` ends a command with exit code 1, `UsageError` with 2; neither shows a traceback.
Each inherits the ecosystem's own exception, so that callers need not know ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class CliplabError(Exception):
    """The work failed; the message says what to do."""

    exit_code = 1


class UsageError(CliplabError, ValueError):
    """The call was wrong: a name, an option or a combination that cannot be."""

    exit_code = 2


class DataError(CliplabError, ValueError):
    """The data cannot be used as they are."""


class NotPrepared(DataError):
    """A data set of the catalogue that is not on this machine yet."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)  # what is to be prepared for it


class StorageError(CliplabError, OSError):
    """The disk is full, read-only or not ours to write."""

    def __str__(self) -> str:  # OSError would put its number first
        return str(self.args[-1]) if self.args else ""


class DownloadFailed(CliplabError, ConnectionError):
    """A file of the web that is not here and is not to be had."""

    def __str__(self) -> str:  # OSError would put a number first
        return str(self.args[-1]) if self.args else ""


class MissingWeights(CliplabError, FileNotFoundError):
    """Weights that are neither here nor to be had."""


class FormatTooNew(CliplabError, ValueError):
    """A file written by a newer cliplab."""

    def __init__(self, path: object, found: object, known: int) -> None:
        super().__init__(
            f"{path} has format version {found}; this cliplab reads up to {known}. "
            "Upgrade cliplab, or move the file away and let it be made again."
        )


class UnknownName(UsageError, KeyError):
    """A name that is not in the list; the message gives the closest ones, then the list."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        closest = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        listing = f" Known: {_listing(names)}." if names else ""
        where = f" {hint}" if hint else ""
        self.message = f"Unknown {kind} {name!r}{where}.{closest}{listing}"
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would show the repr
        return self.message


def _listing(names: Sequence[str], limit: int = 24) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown}, … ({len(names)} in all)"


class Faults:
    """Gathers all faults of one input, then raises once."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, message: str) -> None:
        """Note one fault."""
        self._found.append(message)

    def raise_any(self, heading: str, error: type[CliplabError] = DataError) -> None:
        """Raise `error` with every fault noted, if there is any."""
        if self._found:
            shown = "\n".join(f"  - {m}" for m in self._found[:20])
            more = f"\n  … and {len(self._found) - 20} more" if len(self._found) > 20 else ""
            raise error(f"{heading}\n{shown}{more}")
