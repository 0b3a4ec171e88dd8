"""How the classes are called in captions: the data set's names, or a file's instead of them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cliplab.nouns import Task
from cliplab.runtime.errors import UsageError
from cliplab.runtime.text_files import (
    entry_for,
    is_texts,
    missing_with_closest,
    read_json_file,
    read_lines,
)


def resolve_class_names(task: Task, file: Path | None, dataset_name: str) -> tuple[str, ...]:
    """Give the C class names in label order: the task's own, or those of the file of `--classes`.

    The file takes one of these forms:

    - text, one name a line, in label order;
    - text, `code,name` or `code<TAB>name` a line, where a code is the data set's own name of a
      class; `code name` where every class has such a line (ImageNet's synset list). Other codes
      in the file are passed over, so that a list of all classes serves a subset;
    - `.json` list of names, in label order; `.json` object of names by code;
    - `.json` object of lists by data set, CLIP_benchmark's form.

    In text files, empty lines and lines that start with `#` are left out.

    Raises
    ------
    UsageError
        Another count than C, a class that the file does not name, an unreadable file.
    """
    if file is None:
        return task.class_names
    path = Path(file).expanduser()
    if path.suffix.lower() == ".json":
        found = _from_json(read_json_file(path), task.class_names, dataset_name, path)
    else:
        found = _from_lines(read_lines(path), task.class_names)
    names = _translated(found, task.class_names, path) if isinstance(found, dict) else tuple(found)
    _check(names, task, path)
    return names


def _from_json(
    value: object, present: Sequence[str], dataset_name: str, path: Path
) -> dict[str, str] | list[str]:
    if isinstance(value, dict) and value and all(isinstance(v, str) for v in value.values()):
        return value
    if isinstance(value, dict):
        value = entry_for(dataset_name, value, path)
    if is_texts(value):
        assert isinstance(value, list)
        return value
    raise UsageError(
        f"{path} holds no class names: expected a list of {len(present)} names in label order, "
        f"an object of names by code, or lists by data set, found {type(value).__name__}."
    )


def _from_lines(lines: Sequence[str], present: Sequence[str]) -> dict[str, str] | list[str]:
    known = set(present)
    for separator in ("\t", ",", " "):
        fields = [line.partition(separator) for line in lines]
        mapping = {
            code.strip(): name.strip().strip('"').strip() for code, _, name in fields if name
        }
        known_enough = {
            "\t": True,  # a name holds no tab, so that the line can mean nothing else
            ",": bool(known & mapping.keys()),
            " ": known <= mapping.keys(),
        }
        if known_enough[separator] and mapping and len(mapping) == len(lines):
            return mapping
    return list(lines)


def _translated(names: Mapping[str, str], present: Sequence[str], path: Path) -> tuple[str, ...]:
    if missing := [code for code in present if code not in names]:
        raise UsageError(
            f"{path} does not name {missing_with_closest(missing, list(names))}. Every class of "
            "the data set needs a line: its present name, then the one to use."
        )
    return tuple(names[code] for code in present)


def _check(names: tuple[str, ...], task: Task, path: Path) -> None:
    expected = len(task.class_names)
    if len(names) != expected:
        raise UsageError(
            f"{path} has {len(names)} class names, task {task.name!r} has {expected} classes "
            f"({task.class_names[0]!r}, …). Give one name a line in label order, or "
            "'present name,new name' lines."
        )
    if empty := [task.class_names[i] for i, name in enumerate(names) if not name.strip()]:
        raise UsageError(f"{path} gives an empty name to {empty[0]!r}. Give it a name.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        warnings.warn(
            f"{path}: {', '.join(map(repr, twice[:8]))} name more than one class, which zero-shot "
            "cannot tell apart; the first of them wins.",
            UserWarning,
            stacklevel=3,
        )
