"""The pages are built with warnings as errors, and need nothing from anywhere else."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser

import pytest
from tests.docs.documents import ROOT

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Fetches(HTMLParser):
    """Addresses elsewhere that a browser would ask for when it opens a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        address = dict(attrs).get(FETCHED.get(tag, ""), "") or ""
        if address.startswith(("http:", "https:", "//")) and dict(attrs).get("rel") != "canonical":
            self.found.append(address)


def test_a_fetched_script_is_seen():
    assert Fetches('<script src="https://a/b.js"></script><a href="https://c">').found == [
        "https://a/b.js"
    ]


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    caches = ["-d", str(tmp_path / "trees")]
    out = tmp_path / "html"
    built = subprocess.run(
        [*sphinx, *caches, str(ROOT / "docs"), str(out)],
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert built.returncode == 0, built.stderr
    pages = sorted(out.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert Fetches(page.read_text(encoding="utf-8")).found == [], page
