"""Settings of the documentation: `make docs` builds it into docs/_build, without a network."""

from __future__ import annotations

import shutil
from pathlib import Path

import cliplab

DOCS = Path(__file__).parent

# Sphinx reads below docs/ alone; the notebooks are shown as they were committed, never run here.
shown = DOCS / "notebooks"
shown.mkdir(exist_ok=True)
for stale in shown.glob("*.ipynb"):
    stale.unlink()
for notebook in sorted((DOCS.parent / "notebooks").glob("*.ipynb")):
    shutil.copyfile(notebook, shown / notebook.name)

project = "cliplab"
author = "the cliplab authors"
copyright = author
version = release = cliplab.__version__
language = "en"

extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
suppress_warnings = ["config.cache"]
default_role = "literal"

myst_heading_anchors = 3
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # would be fetched from elsewhere

autodoc_typehints = "none"  # shapes and types stand in the text, where they can be read
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "cliplab"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "footer_start": [],
    "footer_end": [],
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "explanation/other_tools": []},  # wide
    "navigation_with_keys": False,
}


def show_formulas(_app, _what, _name, _object, _options, lines: list[str]) -> None:
    """Show what stands indented before a docstring's sections as it is: formulas, and layouts."""
    shown: list[str] = []
    before = ""
    for number, line in enumerate(lines):
        if set(line.strip()) == {"-"} and before and len(line) == len(before):
            shown += lines[number:]
            break
        begins = line.startswith("    ") and not before.strip()
        if begins and shown and not _inside(shown):
            shown += ["::", ""]
        shown.append(line)
        before = line
    lines[:] = shown


def _inside(shown: list[str]) -> bool:
    """Tell whether the last line that is not empty is indented: the block goes on."""
    last = next((line for line in reversed(shown) if line.strip()), "")
    return last.startswith("    ") or last.endswith("::")


def setup(app) -> None:
    """Connect what is above."""
    app.connect("autodoc-process-docstring", show_formulas, priority=400)
