"""Functions stay under about 60 lines and files under about 400; the longest are printed."""

from __future__ import annotations

import ast
from pathlib import Path

import cliplab

ROOT = Path(cliplab.__file__).parent
LONGEST_FUNCTION, LONGEST_FILE = 60, 400


def _functions(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _code_lines(node), f"{path.relative_to(ROOT)}:{node.name}"


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring, which may be as long as it needs."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return lines - (first.end_lineno - first.lineno + 1 if is_docstring else 0)


def test_longest_function():
    longest = sorted((f for p in ROOT.rglob("*.py") for f in _functions(p)), reverse=True)[:5]
    print("longest functions:", longest)
    assert longest[0][0] <= LONGEST_FUNCTION, longest


def test_longest_file():
    sizes = (
        (len(p.read_text().splitlines()), str(p.relative_to(ROOT))) for p in ROOT.rglob("*.py")
    )
    longest = sorted(sizes, reverse=True)[:5]
    print("longest files:", longest)
    assert longest[0][0] <= LONGEST_FILE, longest


def test_no_file_is_a_drawer():
    drawers = {"utils.py", "common.py", "helpers.py", "misc.py", "util.py"}
    assert not [p for p in ROOT.rglob("*.py") if p.name in drawers]
