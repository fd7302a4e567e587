"""A real browser for pages: Debian's chromium, driven by playwright, with axe-core's rules of accessibility."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from waiting import PATIENCE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Watched:
    """A page of the browser and what it complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def violations(self) -> list[str]:
        """What axe-core finds serious or critical."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]


def expect(what: Any) -> Any:
    """Playwright's assertions about a place of a page, or a page, which wait until they hold: a click returns before what it
    leads to is shown."""
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * PATIENCE)
    return expect(what)


@cache
def _running() -> Any:
    """One browser for the whole process."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    driver = sync.sync_playwright().start()
    running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=1000 * PATIENCE)
    atexit.register(lambda: (running.close(), driver.stop()))
    return running


def _broken(request: Any) -> bool:
    """Not what was given up because the page was left."""
    return request.failure != "net::ERR_ABORTED"


@contextmanager
def browser(**context: Any) -> Iterator[Watched]:
    """A fresh page; console errors, failed requests and exceptions are collected."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    fresh = _running().new_context(**context)
    fresh.set_default_timeout(1000 * PATIENCE)
    page = fresh.new_page()
    watched = Watched(page)
    page.on("console", lambda said: watched.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on("requestfailed", lambda request: watched.complaints.append(f"failed: {request.url}") if _broken(request) else None)
    try:
        yield watched
    finally:
        fresh.close()
