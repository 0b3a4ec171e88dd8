"""Writes `docs/datasets.md`: every data set that has a name, from what the package itself knows."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

NOWHERE = Path("nowhere")  # a home in which nothing is prepared
WIDTH = 100
MOST_FILES = 24  # of a family that are named one by one

INTRODUCTION = """
`cliplab prepare NAME` downloads, verifies and writes a data set as Parquet; `--archives FOLDER`
takes the archives from a folder where they lie already. `cliplab datasets` says what is at hand,
and `cliplab datasets --check` whether the addresses still answer.

Any folder of class folders, of split folders, or with a `labels.csv` is a data set where it lies,
and `hf:owner/name` is one of the Hugging Face hub.
"""

PROMPTS = """
## Prompts, and how to replace them

The captions of a task come from the first of these:

1. what the call gives: `--prompt TEXT` (repeated), or `--prompts NAME|FILE`;
2. the user's files in `CLIPLAB_HOME/prompts`;
3. the files that ship, in `src/cliplab/datasets/prompts`, shown below for each data set;
4. `simple`: "a photo of a {}."

Up to three files tell of a task, each of which is replaced on its own, by one of the same name.
In text files `#` begins a comment; classes that the last two leave out keep names and templates.

| file | what it holds |
|---|---|
| `DATASET.TASK.txt` | templates, one a line; `{}` stands for the class in words |
| `DATASET.TASK.words.txt` | a class, a tab, and what `{}` becomes: `ant`, `an ant` |
| `DATASET.TASK.json` | `{"class": ["text", …]}`: captions of a class's own |

`domainnet/clipart` is looked for as `domainnet/clipart.label.txt`, then as `domainnet.label.txt`.
So `CLIPLAB_HOME/prompts/domainnet.label.txt` replaces the templates of all six domains, and the
words of the classes stay. What was used stands in the record.
"""

CATCH_ALL = """
## Catch-all classes

Some classes hold whatever fits no other: the photographs of Paris and of Oxford whose search word
was the city. What is right for them says little of the encoder, so headlines are given with and
without them. *Without* means: the test pictures whose label is such a class are left out. The
class stays a candidate, so that a picture of the Louvre that is taken for "Paris" is wrong, and
the probe is the same. In the record it is `without_catch_all` of each result.
"""

REPORTED = """
## Reported results

`cliplab compare RUN --reported` sets a run beside the results that were reported of its task, row
by row; `cliplab reproduce` measures all of them anew on what is prepared. The report gives
neither counts of the pictures scored nor intervals; the mark ≈ says that the reported value (give
or take half its last digit) lies in the 95 % interval of the run, so that the difference may be
noise.
"""


def datasets_reference(note: str) -> str:
    """Markdown of all data sets: a table, then a section for each family of them."""
    from cliplab.datasets.family import members

    groups: dict[str, tuple[Any, list[Any]]] = {}
    for entry, module in members():
        assert isinstance(module, ModuleType)
        groups.setdefault(module.__name__, (module, []))[1].append(entry)
    entries = [entry for _module, group in groups.values() for entry in group]
    lines = [note, "# Data sets", INTRODUCTION, *_overview(entries), PROMPTS, CATCH_ALL, REPORTED]
    lines += [*_reported(), ""]
    for module, group in groups.values():
        lines += _section(module, group)
    return "\n".join(lines).rstrip() + "\n"


def _overview(entries: list[Any]) -> Iterator[str]:
    yield "| name | tasks (classes) | splits of the first task | MB | licence |"
    yield "|---|---|---|---|---|"
    for entry in entries:
        tasks = ", ".join(f"{task} ({n})" for task, n in entry.tasks.items())
        splits = ", ".join(f"{split} {n:,}" for split, n in entry.splits.items())
        size = "–" if entry.size is None else f"{entry.size / 1e6:,.1f}"
        yield f"| `{entry.name}` | {tasks} | {splits} | {size} | {entry.licence} |"


def _reported() -> Iterator[str]:
    from cliplab.report.reported import OVERALL, reported_tables

    yield "| data set and task | rows | zero-shot, all | linear probe, all | pictures |"
    yield "|---|---|---|---|---|"
    for table in reported_tables():
        zero_shot, probe = (
            f"{100 * table.overall.values[name].value:.2f}"
            for name in ("zero_shot", "linear_probe")
        )
        rows = len(table.rows) or OVERALL
        images = "not said" if table.images is None else f"{table.images:,}"
        name = f"`{table.dataset}:{table.task}`"
        yield f"| {name} | {rows} | {zero_shot} | {probe} | {images} |"


def _section(module: Any, entries: list[Any]) -> list[str]:
    title, _, rest = inspect.cleandoc(module.__doc__ or "").partition("\n\n")
    name, _, told = title.partition(": ")
    card = module.card(entries[0].name) if hasattr(module, "card") else module.CARD
    lines = [f"## {name}", "", *_wrapped(f"{told[:1].upper()}{told[1:]}"), ""]
    lines += [rest, ""] if rest else []
    lines += ["What to know before believing a number:", ""]
    for trap in module.TRAPS:
        lines += textwrap.wrap(f"- {trap}", WIDTH, subsequent_indent="  ")
    lines += ["", f"Licence: {card.licence}. Source: <{card.homepage}>. Please cite:", ""]
    lines += ["```bibtex", card.citation, "```", ""]
    if hasattr(module, "remotes"):
        lines += [*_archives(module, entries), ""]
    lines += [*_prompts(module, entries), ""]
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), WIDTH)


def _archives(module: Any, entries: list[Any]) -> Iterator[str]:
    remotes = {}
    for entry in entries:
        remotes |= {remote.name: remote for remote in module.remotes(entry.name)}
    yield "| file (or its name elsewhere) | bytes | digest | where from |"
    yield "|---|---|---|---|"
    for remote in list(remotes.values())[:MOST_FILES]:
        names = ", ".join(f"`{name}`" for name in (remote.name, *remote.other_names))
        size = "–" if remote.size is None else f"{remote.size:,}"
        places = "<br>".join(f"<{url}>" for url in remote.urls) or "by hand"
        yield f"| {names} | {size} | {remote.digest or 'kept at first use'} | {places} |"
    if len(remotes) > MOST_FILES:
        yield f"| … {len(remotes):,} files in all | | | |"
    for remote in remotes.values():
        if remote.by_hand:
            yield ""
            yield from _wrapped(f"`{remote.name}` by hand: {remote.by_hand}")


def _prompts(module: Any, entries: list[Any]) -> Iterator[str]:
    from cliplab.datasets.words import files_of

    yield "| prompts of | templates | classes in words | captions of their own |"
    yield "|---|---|---|---|"
    served: dict[Any, list[str]] = {}
    for entry in entries:
        for task in entry.tasks:
            files = files_of(entry.name, task, NOWHERE)
            paths = tuple(file and file.path for file in files)
            served.setdefault(paths, []).append(f"{entry.name}:{task}")
    for names in served.values():
        yield _prompt_row(module, names)


def _prompt_row(module: Any, names: list[str]) -> str:
    from cliplab.datasets.words import SHIPPED, files_of, read_texts, read_words
    from cliplab.runtime.text_files import read_lines

    name, _, task = names[0].rpartition(":")
    called = ", ".join(f"`{name}`" for name in names)
    files = files_of(name, task, NOWHERE)
    if not any(files):
        templates = module.open_entry(name, home=NOWHERE).task(task).prompts.templates
        return f"| {called} | {'<br>'.join(templates)} | – | – |"
    cells = ["–", "–", "–"]
    if files.templates:
        cells[0] = "<br>".join(read_lines(files.templates.path))
    if files.words:
        found = read_words(files.words.path)
        first = next(iter(found.items()))
        cells[1] = f"{len(found)}, such as {first[0]}: {first[1]}"
    if files.texts:
        texts = read_texts(files.texts.path)
        shown = "; ".join(f"{key}: “{value[0]}”, …" for key, value in texts.items())
        cells[2] = shown if len(texts) < 3 else f"all {len(texts)}: {shown}"
    kept = ", ".join(f.path.relative_to(SHIPPED).as_posix() for f in files if f)
    return f"| {called}<br>{kept} | {' | '.join(cells)} |"
