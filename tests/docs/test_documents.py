"""What the documents say is so: paths and links exist, commands parse, blocks run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.docs.documents import (
    ROOT,
    Call,
    blocks,
    calls,
    documents,
    links,
    prose,
    text_of,
    written,
)

PATH = re.compile(
    r"`((?:src|tests|docs|benchmarks|recipes|notebooks|\.ci)/[\w./-]*|[\w]+\.(?:md|txt|toml))`"
)
MADE_BY_RUNS = {"docs/_build/html"}
MADE_BY_READERS = {"names.txt"}
RUN = ("python", "bash")  # languages of blocks that are run, in the order in which they stand


@pytest.mark.parametrize("name", written())
def test_paths_named_in_prose_exist(name):
    named = set(PATH.findall(text_of(name))) - MADE_BY_RUNS - MADE_BY_READERS
    missing = [path for path in sorted(named) if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("name", documents())
def test_links_lead_somewhere(name):
    place = (ROOT / name).parent
    missing = [target for target in links(text_of(name)) if not (place / target).exists()]
    assert not missing


@pytest.mark.parametrize("name", written())
def test_targets_of_make_exist(name):
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = text_of(name)
    named = re.findall(r"^ *(?:\$ )?make ([a-z -]+?)(?:  |$)", text, re.MULTILINE)
    named += re.findall(r"`make ([a-z -]+)`", text)
    for target in " ".join(named).split():
        assert re.search(rf"^{target}:", rules, re.MULTILINE), f"make {target}"


# ------------------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def command_line() -> Any:
    import typer

    from cliplab.cli.app import app, register

    register()
    return typer.main.get_command(app)


def parse(root: Any, call: Call) -> None:
    """Parse a call as the command line would, without running it; a mention, its options alone."""
    command, words, name = root, list(call.words), "cliplab"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"there is no `cliplab {' '.join(call.words)}`"
        command = command.commands[name]
    if "--help" in words:
        return
    if call.whole:
        command.make_context(name, words)
        return
    known = {option for parameter in command.params for option in parameter.opts} | {"-h"}
    unknown = {word for word in words if word.startswith("-")} - known
    assert not unknown, f"no option {unknown} in `cliplab {' '.join(call.words)}`"


@pytest.mark.parametrize("name", documents())
def test_commands_parse(name, command_line):
    for call in calls(text_of(name)):
        parse(command_line, call)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("```\ncliplab evaluate photos/ --no-such-option\n```", "option"),
        ("```console\n$ cliplab evaluate\n```", "missing"),
        ("```bash\ncliplab evalute photos/\n```", "there is no"),
        ("```text\n$ cliplab evaluate photos/ --batch-size many\n```", "integer"),
        ("say `cliplab evaluate --no-such-option`", "no option"),
    ],
)
def test_a_wrong_command_is_seen(line, message, command_line):
    found = calls(line)
    assert len(found) == 1
    with pytest.raises(Exception, match=f"(?i){message}"):
        parse(command_line, found[0])


def test_the_readme_and_the_guides_show_commands():
    shown = {name: len(calls(text_of(name))) for name in documents()}
    assert shown["README.md"] > 10
    assert shown["docs/tutorial.md"] > 5


# ------------------------------------------------------------------------------- names


def test_architecture_names_every_stage():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "cliplab"
    stages = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    stages -= {"__init__", "__main__", "__pycache__", "py"}
    assert not [stage for stage in sorted(stages) if not re.search(rf"\b{stage}\b", text)]


def test_readme_lists_the_public_names():
    import cliplab

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(cliplab.__all__) <= 20
    assert not [name for name in cliplab.__all__ if f"`{name}`" not in text]
    assert all(getattr(cliplab, name) is not None for name in cliplab.__all__)


# ------------------------------------------------------------------------------- blocks


def steps(text: str, place: Path) -> list[tuple[str, str]]:
    """Blocks to run in order, neighbours of one language joined; files that others need written.

    A Python block that begins with `# NAME.py` is that file. The entry points of a block of TOML
    are put where an installed package has them.
    """
    found: list[tuple[str, str]] = []
    for language, content in blocks(text):
        if language == "toml" and "entry-points" in content:
            _install(tomllib.loads(content), place)
        named = re.match(r"# (\w+\.py)\n", content) if language == "python" else None
        if named:
            (place / named[1]).write_text(content, encoding="utf-8")
        elif language in RUN and found and found[-1][0] == language:
            found[-1] = (language, f"{found[-1][1]}\n{content}")
        elif language in RUN:
            found.append((language, content))
    return found


def _install(project: dict[str, Any], place: Path) -> None:
    about = project["project"]
    folder = place / f"{about['name']}-{about['version']}.dist-info"
    folder.mkdir()
    lines = [f"Name: {about['name']}", f"Version: {about['version']}"]
    (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines]))
    points = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in entries.items())
        for group, entries in about["entry-points"].items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(points))


def with_code(name: str) -> bool:
    return name.endswith(".md") and any(block.language in RUN for block in blocks(text_of(name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in written() if with_code(name)])
def test_blocks_run(name, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    tool = tools / "cliplab"
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m cliplab "$@"\n')
    tool.chmod(0o755)
    place = tmp_path / "here"
    place.mkdir()
    environment = {
        **os.environ,
        "CLIPLAB_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")])),
    }
    for language, code in steps(text_of(name), place):
        run = [sys.executable, "-c", code] if language == "python" else ["bash", "-euc", code]
        done = subprocess.run(
            run, cwd=place, env=environment, capture_output=True, text=True, timeout=540
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"


def test_no_prose_is_taken_for_code():
    assert prose("a\n```python\nb\n```\nc").split() == ["a", "c"]
