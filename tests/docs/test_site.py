"""The site: generated text is current, it builds without a warning, and its pages ask no other machine for anything."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import pytest
from browser import browser

from kinprint import transforms
from kinprint.checkpoints.quantizations import quantizations
from kinprint.methods import known

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """docs/generate.py."""
    pytest.importorskip("nbconvert")
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_text_is_current(generate: ModuleType) -> None:
    stale = [path.name for path, text in generate.generated().items() if not path.exists() or path.read_text("utf-8") != text]
    assert stale == [], "run: python docs/generate.py"


def test_no_page_of_a_method_is_left_over(generate: ModuleType) -> None:
    assert {path.stem for path in (DOCS / "methods").glob("*.md")} == {method.name for method in known()}


def test_every_block_is_known(generate: ModuleType) -> None:
    """A block whose name is misspelt, or which is not closed, would stay as it is for ever."""
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- generated: ") == len(generate.BLOCK.findall(text)), page.name


def test_written_tables_name_everything() -> None:
    """What the code finds by itself stands in the tables that people write, too."""
    methods, formats, changes = (
        (DOCS / f"{page}.md").read_text(encoding="utf-8") for page in ("methods", "formats", "transforms")
    )
    assert [method.name for method in known() if f"| [`{method.name}`](methods/{method.name}.md) |" not in methods] == []
    assert [found.name for found in quantizations() if f"| {found.name} |" not in formats] == []
    assert [name for name in transforms.known() if f"| `{name}` |" not in changes] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors: links, anchors and pages that no menu names."""
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_need_no_network(site: Path) -> None:
    """Links may lead elsewhere; what a browser loads by itself may not."""
    loads = re.compile(
        r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
    )
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    assert [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))] == []


def test_styles_need_no_network(site: Path) -> None:
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert styles
    assert not any(re.search(r"""url\(["']?(?:https?:)?//|@import""", text) for text in styles)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on a port of this machine."""
    handler = partial(SilentHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


PAGES = ("index", "tutorial", "p-values", "methods", "methods/matched-neurons", "disputes")
"""One of each kind; the reference of Python names is left out, of which axe-core takes a minute."""


@pytest.mark.parametrize(("place", "scheme"), [(place, ("light", "dark")[number % 2]) for number, place in enumerate(PAGES)])
def test_pages_can_be_read_by_everyone(address: str, place: str, scheme: str) -> None:
    """No complaint of a browser, no serious finding of axe-core, by day or by night."""
    with browser(viewport={"width": 1100, "height": 900}, color_scheme=scheme) as watched:
        watched.page.goto(f"{address}/{place}.html")
        assert watched.violations() == []
        assert watched.complaints == []


def test_the_reference_has_the_public_names(site: Path) -> None:
    import kinprint

    page = (site / "api.html").read_text(encoding="utf-8")
    assert [name for name in kinprint.__all__ if f'id="kinprint.{name}"' not in page] == []


def test_nothing_but_pages_is_published(site: Path) -> None:
    assert list(site.rglob("*.py")) == []


def test_a_rate_that_a_page_no_longer_counts_is_an_error(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = generate._beside("docs", "error_rates")
    monkeypatch.setattr(rates, "MEASURED", (rates.Measured("pairs", "zoo.md", "larger", r"(?P<accused>\d+) accused"),))
    with pytest.raises(ValueError, match="no longer counts pairs"):
        rates.rate_table()


def test_bounds_of_rates(generate: ModuleType) -> None:
    """None of n: 1 - 0.05 ** (1 / n); all of n: the same from above."""
    rates = generate._beside("docs", "error_rates")
    assert rates.at_most(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert rates.at_least(100, 100) == pytest.approx(0.05 ** (1 / 100))
    assert rates.at_most(5, 5) == 1
