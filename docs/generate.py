"""Writes the generated references anew: `make docs`; `tests/docs` fails where they are stale.

docs/cli.md        every command and option, from the command line itself
docs/families.md   data sets, classifiers, prompts, tokenizers, quantizers: what there is
docs/datasets.md   each data set: tasks, traps, archives, licence, citation, prompts
docs/api.md        the public nouns and verbs of Python
"""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTE = "<!-- Written by `make docs`; change the code, not this file. -->\n"


def cli_reference() -> str:
    """Markdown of every command: usage, what it does, its options by panel."""
    import typer

    from cliplab.cli.app import app, register

    register()
    root: Any = typer.main.get_command(app)
    lines = [NOTE, "# Command line", "", root.help, ""]
    lines += ["Exit codes: 0 done; 1 the work failed; 2 the call was wrong.", ""]
    for name, command in _commands(root, "cliplab"):
        lines += [f"## {name}", "", inspect.cleandoc(command.help or ""), ""]
        lines += _options(command)
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _options(command: Any) -> list[str]:
    lines = ["| option | what it says |", "|---|---|"]
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_argument = parameter.param_type_name == "argument"
        shown = ", ".join(parameter.opts)
        if is_argument:
            shown = parameter.metavar or f"[{parameter.name.upper()}]"
        told = (parameter.help or "").replace("|", "\\|")
        default = parameter.default
        if not is_argument and default not in (None, False, ()) and not callable(default):
            told += f" Default: `{default}`."
        lines.append(f"| `{shown}` | {told} |")
    return [*lines, ""]


def families_reference() -> str:
    """Markdown tables of the families' members."""
    from cliplab.classifiers.family import classifier, classifier_names
    from cliplab.datasets.family import catalogue
    from cliplab.embeddings.prompts import PROMPT_NAMES, named_prompts

    lines = [NOTE, "# What there is", "", "## Data sets", ""]
    lines += ["| name | tasks (classes) | splits | licence |", "|---|---|---|---|"]
    for entry in catalogue(Path("nowhere")):
        tasks = ", ".join(f"{task} ({n})" for task, n in entry.tasks.items())
        splits = ", ".join(f"{split} {n:,}" for split, n in entry.splits.items())
        lines.append(f"| `{entry.name}` | {tasks} | {splits} | {entry.licence} |")
    lines += ["", "A folder of class folders, of split folders, or with a `labels.csv` is a data"]
    lines += ["set where it lies, with a `captions.csv` beside them or alone; so are files of"]
    lines += [
        "drawings (`.npy`, `.npz`, `.ndjson`). `hf:owner/name` is one of the Hugging Face hub,"
    ]
    lines += [
        "`wds:FOLDER`, `wds:URL` and `wds:NAME` are collections in CLIP_benchmark's layout.",
        "",
    ]
    lines += ["## Classifiers", "", "| name | needs | what it is |", "|---|---|---|"]
    for name in classifier_names():
        module = classifier(name)
        first = inspect.cleandoc(module.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        lines.append(f"| `{name}` | {', '.join(sorted(module.NEEDS))} | {first} |")
    lines += ["", "## Prompts", "", "| name | templates | the first |", "|---|---|---|"]
    for name in PROMPT_NAMES:
        templates = named_prompts(name).templates
        lines.append(f"| `{name}` | {len(templates)} | {templates[0]} |")
    lines += ["", *_tokenizers()]
    return "\n".join(lines).rstrip() + "\n"


def _tokenizers() -> list[str]:
    """Tables of the quantizers, and of what is trained where nothing is asked for."""
    from dataclasses import fields

    from cliplab.tokenizers.config import PRESETS, Preset
    from cliplab.tokenizers.opening import named_tokenizers
    from cliplab.tokenizers.quantizers.family import member, quantizer_names

    lines = ["## Tokenizers", "", "| name | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {what} |" for name, what in named_tokenizers().items()]
    lines += ["| a folder | what `cliplab train tokenizer` made, or OpenAI's two files |", ""]
    names = [field.name for field in fields(Preset)]
    lines += ["`cliplab train tokenizer --preset NAME`, each number an option of its own:", ""]
    lines += [
        f"| preset | {' | '.join(names).replace('_', ' ')} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for name, preset in PRESETS.items():
        values = (getattr(preset, field) for field in names)
        shown = " | ".join(f"{v:,}" if isinstance(v, int) else str(v) for v in values)
        lines.append(f"| `{name}` | {shown} |")
    lines += ["", "## Quantizers", "", "| name | what it is |", "|---|---|"]
    for name in quantizer_names():
        first = inspect.cleandoc(member(name).__doc__ or "").partition("\n\n")[0]
        lines.append(f"| `{name}` | {first.replace(chr(10), ' ')} |")
    return lines


def datasets_reference() -> str:
    """Markdown of every data set that has a name."""
    written: str = runpy.run_path(str(DOCS / "data_sets.py"))["datasets_reference"](NOTE)
    return written


def api_reference() -> str:
    """Markdown of the public Python names."""
    written: str = runpy.run_path(str(DOCS / "python_names.py"))["api_reference"](NOTE)
    return written


REFERENCES = {
    "api.md": api_reference,
    "cli.md": cli_reference,
    "families.md": families_reference,
    "datasets.md": datasets_reference,
}


def main() -> None:
    """Write every reference."""
    for name, write in REFERENCES.items():
        (DOCS / name).write_text(write(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
