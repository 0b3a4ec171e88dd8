"""A real browser: the system's Chromium by Playwright; without one, tests are skipped."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium() -> str | None:
    """Path of a Chromium: CLIPLAB_CHROMIUM if set, else what the system has."""
    found = (shutil.which(name) for name in NAMES)
    return os.environ.get("CLIPLAB_CHROMIUM") or next(filter(None, found), None)


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    if path is None:
        pytest.skip(
            f"no Chromium here (looked for {', '.join(NAMES)}): install the system's package "
            "`chromium`, or set CLIPLAB_CHROMIUM to one"
        )
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield opened
        opened.close()


class Opened:
    """A page in the browser, and all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        settings = {"viewport": {"width": 1280, "height": 900}, **settings}
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(
            120_000
        )  # a busy machine is slow, and no page is wrong for it
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.said.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.address = path.resolve().as_uri()
        self.page.goto(self.address)

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait until an expression is true; the page's own policy forbids Playwright's waiting."""
        end = time.monotonic() + seconds
        while not (found := self.page.evaluate(expression)):
            assert time.monotonic() < end, f"never true: {expression}"
            time.sleep(0.05)
        return found

    def draw_all(self) -> None:
        """Draw every chart, in view or not, and fill the galleries."""
        self.until("page.charts && page.charts.load().then(Boolean)")
        self.page.evaluate(
            "Promise.all([...document.querySelectorAll('.chart')].map((box) => box.draw()))"
        )
        self.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        self.page.evaluate("dispatchEvent(new Event('afterprint'))")
        self.page.evaluate("new Promise((done) => setTimeout(done, 200))")

    def texts(self, selector: str) -> list[str]:
        """Texts of the elements that are shown."""
        script = (
            "(s) => [...document.querySelectorAll(s)].filter((e) => e.checkVisibility())"
            ".map((e) => e.textContent.trim())"
        )
        return self.page.evaluate(script, selector)

    @property
    def outside(self) -> list[str]:
        """Requests that left the file."""
        inside = ("data:", "blob:")
        return [u for u in self.asked if u != self.address and not u.startswith(inside)]


@pytest.fixture
def open_page(browser):
    opened = []

    def open_it(path: Path, **settings: Any) -> Opened:
        opened.append(Opened(browser, path, **settings))
        return opened[-1]

    yield open_it
    for one in opened:
        one.context.close()
