"""Which captions stand for a class: one precedence rule, named ensembles and files.

The rule, first match wins:

1. what the call gives: `--prompt TEXT` (repeated), or `--prompts NAME|FILE`; never both;
2. the data set's own prompts (`Task.prompts`): of files, the user's before those that ship
   (`datasets/words.py`), else of its module;
3. `simple`: "a photo of a {}."
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliplab.nouns import Prompts, Task
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.runtime.text_files import (
    EXAMPLE,
    checked_templates,
    entry_for,
    is_texts,
    missing_with_closest,
    read_json_file,
    read_lines,
)

PROMPT_NAMES = ("simple", "openai-7", "openai-80")
"""Ensembles known by name: one template; OpenAI's seven best and all eighty for ImageNet."""

_SIMPLE = (EXAMPLE,)


def resolve_prompts(
    given: Sequence[str], named: str | None, task: Task, dataset_name: str
) -> Prompts:
    """Prompts in force, by the precedence rule at the head of this module.

    Parameters
    ----------
    given
        Templates of `--prompt`, each with `{}` or `{c}` where the class name goes; may be empty.
    named
        What `--prompts` holds: one of `PROMPT_NAMES`, else the path of a file (see
        `prompts_from_file`). `./simple` is the way to a file named like an ensemble.
    task
        The task with the class names in use (those of `--classes`, where given).
    dataset_name
        Picks the entry of a file that serves several data sets.

    Raises
    ------
    UsageError
        Both `given` and `named`; a template with no place for the class name; an unknown name; a
        file that cannot be read, or that leaves classes without a text.
    """
    if given and named:
        raise UsageError(
            "Both --prompt and --prompts were given. Keep one: --prompt TEXT for a template "
            "(repeat it for more), --prompts NAME|FILE for a whole set."
        )
    if given:
        return Prompts("given", checked_templates(given, "--prompt"))
    if named in PROMPT_NAMES:
        return named_prompts(named)
    if named:
        return prompts_from_file(_file_called(named), task.class_names, dataset_name)
    return task.prompts or named_prompts("simple")


def named_prompts(name: str) -> Prompts:
    """Prompts of one of `PROMPT_NAMES`; OpenAI's templates come from open_clip."""
    if name == "simple":
        return Prompts("simple", _SIMPLE)
    if name not in PROMPT_NAMES:
        raise UnknownName("set of prompts", name, PROMPT_NAMES)
    import open_clip

    published = {
        "openai-7": open_clip.SIMPLE_IMAGENET_TEMPLATES,
        "openai-80": open_clip.OPENAI_IMAGENET_TEMPLATES,
    }[name]
    return Prompts(name, tuple(fill("{}") for fill in published))


def prompts_from_file(path: Path, class_names: Sequence[str], dataset_name: str) -> Prompts:
    """Prompts of a file, in whichever of these forms it is.

    - text: one template a line; empty lines and lines that start with `#` are left out;
    - `.json` list: templates;
    - `.json` object keyed by class: the texts (or templates) of each class;
    - `.json` object keyed by data set, CLIP_benchmark's form: templates, or an object by class.

    An object is keyed by class if one of its keys is a class of the data set.
    """
    if path.suffix.lower() != ".json":
        return Prompts(str(path), checked_templates(read_lines(path), path))
    value = read_json_file(path)
    if isinstance(value, dict) and not set(value) & set(class_names):
        value = entry_for(dataset_name, value, path)
    if isinstance(value, str):
        value = [value]
    if is_texts(value):
        return Prompts(str(path), checked_templates(value, path))
    if isinstance(value, dict):
        return Prompts(str(path), per_class=_per_class(value, class_names, path))
    raise UsageError(
        f"{path} holds no prompts: expected a list of templates, or an object of them by class "
        f"or by data set, found {type(value).__name__}."
    )


def _file_called(named: str) -> Path:
    path = Path(named).expanduser()
    if path.is_file():
        return path
    if path.suffix or path.exists() or len(path.parts) > 1:
        kind = "a folder, not a file" if path.is_dir() else "not there"
        raise UsageError(
            f"--prompts {named}: that file is {kind}. Give a file or one of "
            f"{', '.join(PROMPT_NAMES)}."
        )
    raise UnknownName("set of prompts", named, PROMPT_NAMES, hint="(nor is there such a file)")


def _per_class(
    entries: Mapping[str, Any], class_names: Sequence[str], path: Path
) -> dict[str, tuple[str, ...]]:
    if missing := [name for name in class_names if not entries.get(name)]:
        raise UsageError(
            f"{path} has no texts for {missing_with_closest(missing, list(entries))}. Every class "
            "of the data set needs an entry under its name."
        )
    texts = {name: [entries[name]] if isinstance(entries[name], str) else entries[name]
             for name in class_names}  # fmt: skip
    if wrong := [name for name in class_names if not is_texts(texts[name])]:
        raise UsageError(f"{path}: the entry of {wrong[0]!r} is not a text or a list of texts.")
    return {name: tuple(of_class) for name, of_class in texts.items()}
