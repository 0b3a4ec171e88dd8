"""What there is to read, and the blocks, commands and links in it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"docs/api.md", "docs/cli.md", "docs/datasets.md", "docs/families.md"}
FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"^ *(?:\$ )?(?:[A-Z_]+=\S+ )*(?:[\w./-]+/)?cliplab (?=\S)(.+)$", re.MULTILINE)
TYPED = re.compile(r"^ *\$ (?:[\w./-]+/)?cliplab (.+)$", re.MULTILINE)  # in an output, after `$`
SHELLS = {"", "bash", "sh", "console"}


class Block(NamedTuple):
    """A fenced block of a document."""

    language: str  # "" where none is named
    text: str


class Call(NamedTuple):
    """A `cliplab …` that a document shows."""

    words: tuple[str, ...]  # after `cliplab`
    whole: bool  # a line to be copied, and not a mention in a sentence


def documents() -> list[str]:
    """Paths of all that is written for readers, from the repository's root."""
    found = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")]
    found += sorted((ROOT / "docs").rglob("*.md"))
    found += sorted((ROOT / "notebooks").glob("*.ipynb"))
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if not name.startswith(("docs/_build", "docs/notebooks/"))]


def written() -> list[str]:
    """Those that are not generated from the code."""
    return [name for name in documents() if name not in GENERATED]


def text_of(name: str) -> str:
    """Text of a document; a notebook's cells one after the other, code in fences."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if not name.endswith(".ipynb"):
        return text
    cells = json.loads(text)["cells"]
    told = [("".join(cell["source"]), cell["cell_type"]) for cell in cells]
    return "\n\n".join(f"```python\n{t}\n```" if kind == "code" else t for t, kind in told)


def blocks(text: str) -> list[Block]:
    """Fenced blocks, in order."""
    return [Block(found[1], found[2]) for found in FENCE.finditer(text)]


def prose(text: str) -> str:
    """Give the text without its fenced blocks."""
    return FENCE.sub("", text)


def calls(text: str) -> list[Call]:
    """Every `cliplab …` of a document: lines of blocks, and mentions in sentences."""
    lines: list[str] = []
    for language, content in blocks(text):
        joined = content.replace("\\\n", " ")
        if language in SHELLS:
            lines += CALL.findall(joined)
        elif language == "text":
            lines += TYPED.findall(joined)
    outside = prose(text)
    lines += [line for line in CALL.findall(outside) if outside.count(f"    cliplab {line}")]
    mentions = re.findall(r"`cliplab ([^`]+)`", outside.replace("\n", " "))
    found = [Call(tuple(shlex.split(line, comments=True)), True) for line in lines]
    return found + [Call(tuple(shlex.split(words)), False) for words in mentions]


def links(text: str) -> list[str]:
    """Targets of links and pictures that lie in the repository, without anchors."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    local = [target.partition("#")[0] for target in found if "://" not in target]
    return [target for target in local if target]
