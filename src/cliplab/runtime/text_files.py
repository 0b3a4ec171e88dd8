"""Files of the user's that hold prompts or class names: plain lines, or JSON.

CLIP_benchmark keeps both in JSON files keyed by data set. Its reader takes ImageNet's entry where
the data set has none; here the entry has to be the data set's own, or the only one.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliplab.runtime.errors import UsageError

EXAMPLE = "a photo of a {}."
_PER_CLASS_HINT = (
    "Texts written out for each class go into a JSON file, "
    '--prompts FILE: {"first class": ["text", …], …}.'
)


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, without the surrounding space, empty ones and `#` comments."""
    lines = (line.strip() for line in _read_text(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def read_json_file(path: Path) -> Any:
    """Value of a JSON file; a key that stands twice in an object is refused."""
    try:
        return json.loads(_read_text(path), object_pairs_hook=_distinct)
    except ValueError as error:
        raise UsageError(
            f"{path} is not valid JSON: {error}. Correct it, or give a text file instead "
            "(one entry a line, named otherwise than .json)."
        ) from error


def entry_for(dataset_name: str, entries: Mapping[str, Any], path: Path) -> Any:
    """Entry of a JSON object keyed by data set: the one of that name, else the only one.

    `photos/`, `hf:owner/photos` and `photos` all find the key `photos`, the full name first.
    """
    full = dataset_name.rstrip("/")
    for name in (full, full.removeprefix("hf:"), full.rpartition("/")[2]):
        for key in entries:
            if key.casefold() == name.casefold():
                return entries[key]
    if len(entries) == 1:
        return next(iter(entries.values()))
    shown = ", ".join(list(entries)[:12]) + (", …" if len(entries) > 12 else "")
    raise UsageError(
        f"{path} has no entry for the data set {dataset_name!r}. It has: {shown}. "
        "Copy the entry that you want into a file of its own."
    )


def checked_templates(templates: Sequence[str], origin: object) -> tuple[str, ...]:
    """Give the templates back; refuse none at all, and one with no place for the class name."""
    if not templates:
        raise UsageError(f"{origin} holds no templates. Write one a line, e.g. {EXAMPLE!r}.")
    for template in templates:
        if "{}" not in template and "{c}" not in template:
            raise UsageError(
                f"{origin}: the template {template!r} has no place for the class name, so all "
                f"classes would get the same text. Put {{}} where it goes, e.g. {EXAMPLE!r}. "
                + _PER_CLASS_HINT
            )
    return tuple(templates)


def is_texts(value: object) -> bool:
    """Whether a JSON value is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def missing_with_closest(missing: list[str], found: list[str], holder: str = "the file") -> str:
    """Say which names are missing, with the closest there is: `'dog' (the file has 'dogs')`."""
    shown = []
    for name in missing[:8]:
        close = difflib.get_close_matches(name, found, n=1, cutoff=0.75)
        shown.append(f"{name!r} ({holder} has {close[0]!r})" if close else repr(name))
    more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
    return ", ".join(shown) + more


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text ({error}). Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check the path.") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice")
        found[key] = value
    return found
