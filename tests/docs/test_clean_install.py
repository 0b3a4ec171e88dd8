"""A wheel installed into a clean environment: `--help`, import, and the shipped files."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet"]
    subprocess.run([*pip, "--wheel-dir", str(out), str(ROOT)], check=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_what_the_code_reads(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "src" / "cliplab").rglob("*"):
        if path.is_file() and path.suffix not in (".pyc",):
            assert f"cliplab/{path.relative_to(ROOT / 'src' / 'cliplab').as_posix()}" in names


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(wheel, tmp_path):
    """The environment sees the installed libraries, and cliplab from the wheel alone."""
    place = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    inside = next((place / "lib").glob("python*/site-packages"))
    (inside / "libraries.pth").write_text(_libraries())
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    found = subprocess.run(
        [str(place / "bin" / "python"), "-P", "-c", "import cliplab; print(cliplab.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert str(inside) in found.stdout
    for arguments in (["--help"], ["demo", "--home", str(tmp_path / "home")]):
        run = subprocess.run(
            [str(place / "bin" / "cliplab"), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=540,
        )
        assert run.returncode == 0, run.stderr
    assert "zero-shot" in run.stdout


def _libraries() -> str:
    """Site folder of the libraries; an editable cliplab in it is passed over by the copy above."""
    import numpy

    return str(Path(numpy.__file__).parents[1]) + "\n"


def test_what_the_code_imports_is_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {_normal(re.split("[^A-Za-z0-9._-]", line)[0]) for line in project["dependencies"]}
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert asked <= {_normal(line.partition("==")[0]) for line in pinned}
    owners = importlib.metadata.packages_distributions()
    for name in sorted(_imported() - sys.stdlib_module_names - {"cliplab"}):
        assert asked & set(map(_normal, owners.get(name, [name]))), f"{name} is not asked for"


def _imported() -> set[str]:
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def _normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()
