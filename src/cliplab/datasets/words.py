"""The captions of data sets that have a name, in files that a person can read and replace.

Up to three files tell of a task, in the forms that `--prompts` and `--classes` take too:

    DATASET.TASK.txt         templates, one a line; `{}` stands for the class in words
    DATASET.TASK.words.txt   `class<TAB>words` a line: what `{}` becomes, "ant" → "an ant"
    DATASET.TASK.json        an object of texts (or templates) by class, in place of the templates

The last two may leave classes out: their own names and the templates then serve. A data set
`a/b` is looked for in `a/b.TASK.…`, then in `a.TASK.…`.

One rule says which file counts: of each kind the first that is there, in `HOME/prompts`, then among
those that come with cliplab (`cliplab/datasets/prompts`). What the call gives (`--prompt`,
`--prompts`) comes before either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from cliplab.nouns import Dataset, Prompts, Task
from cliplab.runtime.errors import UsageError
from cliplab.runtime.text_files import (
    checked_templates,
    is_texts,
    missing_with_closest,
    read_json_file,
    read_lines,
)

SHIPPED = Path(__file__).parent / "prompts"
FOLDER = "prompts"  # of HOME: the user's own, which come first
TEMPLATES, WORDS, TEXTS = ".txt", ".words.txt", ".json"
NAME = "data set"  # of the prompts where no file of the user's has a part in them
BARE = "a photo of {}."  # where words are given and no templates

Entry = TypeVar("Entry")

# Data sets of the same classes and the same look as another, whose files serve them too.
_SERVED_BY = {"quickdraw": "domainnet/quickdraw"}


def with_prompts(dataset: Dataset, name: str, home: Path) -> Dataset:
    """Give the data set with the prompts of the files for its tasks; other tasks stay as they are.

    `name` is what the files go by: that of the catalogue, or `hf:owner/name`.
    """
    found = {key: prompts_of(name, task, home) for key, task in dataset.tasks.items()}
    tasks = {
        key: replace(task, prompts=found[key] or task.prompts)
        for key, task in dataset.tasks.items()
    }
    return replace(dataset, tasks=tasks)


def prompts_of(dataset_name: str, task: Task, home: Path) -> Prompts | None:
    """Prompts that the files hold for a task; None where there is no file.

    Parameters
    ----------
    dataset_name
        As the catalogue has it: `domainnet/clipart`, `hf:owner/name`.
    task
        Its class names are those that the files go by; case, underscores and hyphens are the same
        as spaces there.
    home
        Folder of what is kept between runs.

    Raises
    ------
    UsageError
        A file of the user's that cannot be read, has a template without `{}`, or names what is no
        class.
    """
    files = files_of(dataset_name, task.name, home)
    if not any(files):
        return None
    templates, words, texts = files
    given = checked_templates(read_lines(templates.path), templates.path) if templates else (BARE,)
    called = _by_class(task, words, read_words) if words else {}
    own = _by_class(task, texts, read_texts) if texts else {}
    per_class = {}
    for class_name in task.class_names:
        if class_name in own or class_name in called:
            said = called.get(class_name, class_name)
            lines = own.get(class_name, given)
            per_class[class_name] = tuple(_put(line, said) for line in lines)
    users = [str(file.path) for file in files if file and file.is_users]
    return Prompts(", ".join(users) or NAME, given, per_class)


class PromptFile(NamedTuple):
    """A file that tells of a task's captions."""

    path: Path
    is_users: bool  # from HOME, not one that comes with cliplab
    is_shared: bool  # of several data sets, so that it may name classes that this one lacks


class PromptFiles(NamedTuple):
    """The files that count for a task; None: there is none of the kind."""

    templates: PromptFile | None
    words: PromptFile | None
    texts: PromptFile | None


def files_of(dataset_name: str, task: str, home: Path) -> PromptFiles:
    """Find the files of a task by the rule at the head of this module."""
    name = dataset_name.replace(":", "/")
    kinds = (TEMPLATES, WORDS, TEXTS)
    return PromptFiles(*(_first(name, task, kind, home) for kind in kinds))


def _first(name: str, task: str, kind: str, home: Path) -> PromptFile | None:
    for root in (home / FOLDER, SHIPPED):
        for stem in _stems(name):
            path = root / f"{stem}.{task}{kind}"
            if path.is_file():
                return PromptFile(path, root != SHIPPED, stem != name)
    return None


def _stems(name: str) -> list[str]:
    """`a/b/c` → a/b/c, a/b, a; then those of the data set whose files serve it as well."""
    parts = name.partition("@")[0].split("/")  # without the options of drawings
    stems = ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]
    others = [_SERVED_BY[stem] for stem in stems if stem in _SERVED_BY]
    return stems + [stem for other in others for stem in _stems(other)]


def _by_class(
    task: Task, file: PromptFile, read: Callable[[Path], Mapping[str, Entry]]
) -> dict[str, Entry]:
    """Give what a file says of each class, under the task's own name of it."""
    names = {_alike(name): name for name in task.class_names}
    entries = read(file.path)
    unknown = [name for name in entries if _alike(name) not in names]
    if unknown and file.is_users and not file.is_shared:
        raise UsageError(
            f"{file.path} names what is no class of task {task.name!r}: "
            f"{missing_with_closest(unknown, list(task.class_names), 'the task')}. "
            "Correct the names, or remove those lines."
        )
    return {names[_alike(key)]: entry for key, entry in entries.items() if _alike(key) in names}


def _alike(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def read_words(path: Path) -> dict[str, str]:
    """Read `class<TAB>words` lines."""
    found = {}
    for line in read_lines(path):
        name, _tab, words = (part.strip() for part in line.partition("\t"))
        if not (name and words):
            raise UsageError(
                f"{path}: the line {line!r} does not say how a class is called. Write the class, "
                "a tab, and its words."
            )
        found[name] = words
    return found


def read_texts(path: Path) -> dict[str, Sequence[str]]:
    """Read an object of texts by class."""
    value = read_json_file(path)
    if not isinstance(value, dict):
        raise UsageError(
            f"{path} is to hold texts by class, found {type(value).__name__}. Templates for all "
            f"classes go into {path.with_suffix('.txt').name}."
        )
    for name, texts in value.items():
        if not (is_texts(texts) and texts):
            raise UsageError(f"{path}: the entry of {name!r} is not a list of texts.")
    return value


def _put(template: str, words: str) -> str:
    return template.replace("{c}", words).replace("{}", words)
