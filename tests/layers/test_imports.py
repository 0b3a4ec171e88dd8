"""Arrows point down only: a test reads the imports and fails on one that points up or sideways."""

from __future__ import annotations

import ast
from pathlib import Path

import cliplab

PACKAGE = Path(cliplab.__file__).parent
LEVELS = [
    {"display", "drawing_nouns"},
    {"nouns"},
    {"runtime"},
    {"metrics", "pictures"},
    {"training", "datasets"},
    {"encoders", "tokenizers", "recognizers"},
    {"embeddings", "priors"},
    {"classifiers", "report"},
    {"lesson", "few_shot", "conditions"},
    {"protocol"},
    {"retrieval", "drawing_requests", "drawings"},
    {"evaluation", "classification", "reconstruction", "audit"}
    | {"drawing", "prior_training", "matchup"},
    {"suite", "transfer", "demo", "kept_drawings"},
    {"reproduction", "drawing_evaluation"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names}
# nouns raise the project's errors; the errors import nothing of ours.
ALLOWED_UP = {("nouns", "cliplab.runtime.errors")}


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
            if node.module == "cliplab":
                found += [f"cliplab.{alias.name}" for alias in node.names]
    return [name for name in found if name.startswith("cliplab.")]


def upward(stage: str, imports: list[str]) -> list[str]:
    """Those of `imports` that a module of `stage` must not have."""
    bad = []
    for name in imports:
        target = name.split(".")[1]
        if target == stage or target not in LEVEL or (stage, name) in ALLOWED_UP:
            continue
        if LEVEL[target] >= LEVEL[stage]:
            bad.append(name)
    return bad


def test_no_import_points_up_or_sideways():
    faults = []
    for path in sorted(PACKAGE.rglob("*.py")):
        stage = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if stage == "__init__":
            continue
        assert stage in LEVEL, f"{path}: say in LEVELS and ARCHITECTURE.md where {stage!r} stands"
        faults += [f"{path.relative_to(PACKAGE)} → {n}" for n in upward(stage, _imports(path))]
    assert not faults, "\n".join(faults)


def test_the_rule_sees_an_upward_arrow():
    assert upward("metrics", ["cliplab.nouns", "cliplab.cli"]) == ["cliplab.cli"]
    assert upward("metrics", ["cliplab.pictures.decode"]) == ["cliplab.pictures.decode"]
