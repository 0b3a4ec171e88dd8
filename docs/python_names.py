"""Writes docs/api.md: the public names by what they are for, each from its docstring.

What a function says is brought in by autodoc as the pages are built; the fields of a class of
settings, whose meaning stands in comments of the source, are read from there.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import io
import tokenize
from collections.abc import Iterator

SECTIONS = {
    "Data sets": ("open_dataset", "prepare", "Dataset"),
    "Encoders and embeddings": (
        "load_encoder",
        "train_clip",
        "ContrastiveConfig",
        "Encoder",
        "embed",
        "Embeddings",
    ),
    "Evaluation": (
        "evaluate",
        "EvaluateConfig",
        "Record",
        "Predictions",
        "read_run",
        "compare_runs",
        "classify",
        "ClassifyConfig",
        "LinearProbe",
    ),
    "Tokens and drawings": (
        "load_tokenizer",
        "train_tokenizer",
        "TokenizerConfig",
        "ImageTokenizer",
        "train_prior",
        "PriorConfig",
        "Prior",
        "load_prior",
        "draw",
        "DrawConfig",
        "Drawings",
    ),
}


def api_reference(note: str) -> str:
    """Markdown of the public names."""
    import cliplab

    told = {name for names in SECTIONS.values() for name in names}
    left = tuple(name for name in cliplab.__all__ if name not in told)
    sections = SECTIONS | ({"Further names": left} if left else {})
    lines = [note, "# Python", ""]
    lines += ["`import cliplab` imports nothing heavy; each name brings what it needs when it is"]
    lines += ["first used. Errors of the project are `cliplab.runtime.errors.CliplabError`, whose"]
    lines += ["message says what to do.", ""]
    for title, names in sections.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += [*_entry(name), ""]
    return "\n".join(lines).rstrip() + "\n"


def _entry(name: str) -> Iterator[str]:
    import cliplab

    found = getattr(cliplab, name)
    kind = "autoclass" if inspect.isclass(found) else "autofunction"
    yield f"### {name}"
    yield ""
    yield "```{eval-rst}"
    yield f".. {kind}:: cliplab.{name}"
    if kind == "autoclass" and (own := ", ".join(_methods(found))):
        yield f"   :members: {own}"
    yield "```"
    if dataclasses.is_dataclass(found):
        yield ""
        yield "| field | what it is |"
        yield "|---|---|"
        for field, told in _fields(found):
            yield f"| `{field}` | {told} |"


def _source(found: type) -> tuple[str, ast.ClassDef]:
    """Text of a class's module, and where the class stands in it."""
    source = inspect.getsource(importlib.import_module(found.__module__))
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef))
    return source, next(node for node in nodes if node.name == found.__name__)


def _methods(found: type) -> list[str]:
    """Names of the public methods and properties that a class defines itself."""
    _text, node = _source(found)
    methods = [line.name for line in node.body if isinstance(line, ast.FunctionDef)]
    return [name for name in methods if not name.startswith("_")]


def _fields(found: type) -> Iterator[tuple[str, str]]:
    """Names of a dataclass's fields with their default, and what the source says of them."""
    source, node = _source(found)
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa")
    }
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            assert line.end_lineno is not None
            told = [comments[n] for n in range(line.lineno, line.end_lineno + 1) if n in comments]
            after = line.end_lineno + 1
            while told and after in comments and source.splitlines()[after - 1].strip()[0] == "#":
                told.append(comments[after])
                after += 1
            default = "" if line.value is None else f" = {ast.unparse(line.value)}"
            sentence = " ".join(told)
            yield (
                f"{line.target.id}: {ast.unparse(line.annotation)}{default}".replace("|", "\\|"),
                (sentence[:1].upper() + sentence[1:]).replace("|", "\\|"),
            )
