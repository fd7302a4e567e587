"""The pages in a real browser: every one opened, the main ways through them walked, nothing complained of."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched, browser
from served import MODELS, Running, serve

from kinprint import Fingerprint
from kinprint.library import Library
from kinprint.library.identify import Identification, identify
from kinprint.server import service
from kinprint.server.settings import Settings

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>\'"&amp;{{7*7}}'


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with browser(viewport={"width": 900, "height": 900}) as found:
        yield found


def require_fine(watched: Watched) -> None:
    """No complaint of the browser, no serious finding of axe-core."""
    assert watched.violations() == []
    assert watched.complaints == []


@pytest.mark.parametrize("place", ["/", "/?q=twin", "/?q=nothing", "/compare", "/upload", "/runs", "/reports", "/login"])
def test_every_page(running: Running, watched: Watched, place: str) -> None:
    watched.page.goto(running.url + place)
    assert watched.page.title().startswith("kinprint")
    require_fine(watched)


def test_from_the_library_to_a_verdict(running: Running, watched: Watched) -> None:
    """Search a name, open the model, find its relatives, read the comparison."""
    page = watched.page
    page.goto(running.url)
    page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first.fill("finetune")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="finetune").click()
    require_fine(watched)
    page.get_by_role("button", name="Find relatives").click()
    assert page.locator(".verdict strong").inner_text().casefold() == "1 relative: base"
    require_fine(watched)
    page.get_by_role("link", name="Tree of the nearest").click()
    assert page.locator("figure svg").count() == 1
    require_fine(watched)
    page.go_back()
    page.get_by_role("link", name="compare with base").click()
    assert page.locator(".verdict strong").inner_text().lower() == "related"
    require_fine(watched)


def test_a_search_is_watched(settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that takes long shows how far it is, can be stopped, and gives way to its result."""
    go_on = threading.Event()

    def slow(*args: Any, progress: Callable[[str, int, int], None], **more: Any) -> Identification:
        progress("some model", 1, 3)
        while not go_on.wait(0.05):
            progress("some model", 1, 3)
        return identify(*args, progress=progress, **more)

    monkeypatch.setattr(service, "identify", slow)
    monkeypatch.setattr(service, "AT_MOST", 0.1)
    page = watched.page
    with serve(settings) as running:
        place = f"{running.url}/models/{running.digests['finetune']}/relatives"
        page.goto(place)
        page.get_by_text("1 of 3 models").wait_for()
        require_fine(watched)
        page.get_by_role("button", name="stop").click()
        page.get_by_text("cancelled").wait_for()
        page.goto(place)
        page.get_by_text("1 of 3 models").wait_for()
        go_on.set()
        page.locator(".verdict strong").wait_for()
        require_fine(watched)


def test_two_names(running: Running, watched: Watched) -> None:
    """Names lead to the report; where a word means several models, the page asks which."""
    page = watched.page
    page.goto(running.url + "/compare")
    page.get_by_label("Reference").fill("base")
    page.get_by_label("Suspect").fill("llama")
    page.get_by_role("button", name="Compare").click()
    assert "Which suspect do you mean?" in page.content()
    require_fine(watched)
    page.get_by_role("link", name="twin").click()
    assert page.locator(".verdict strong").inner_text().lower() == "no-evidence"


def test_an_upload(running: Running, watched: Watched, tmp_path: Path) -> None:
    """A fingerprint is uploaded and shown; what is none is refused in a sentence."""
    page = watched.page
    fingerprint = Fingerprint("from elsewhere", {"gains.final": np.ones(64)})
    fingerprint.save(tmp_path / "mine.kinprint")
    (tmp_path / "no.kinprint").write_bytes(b"nothing")
    page.goto(running.url + "/upload")
    page.locator("input[type=file]").set_input_files(tmp_path / "no.kinprint")
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("not a fingerprint").wait_for()
    watched.complaints.clear()  # the browser reports the refusal
    page.locator("input[type=file]").set_input_files(tmp_path / "mine.kinprint")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url(re.compile(fingerprint.digest))
    assert page.get_by_role("heading", name="from elsewhere").count() == 1
    require_fine(watched)


def test_a_run_is_watched(running: Running, watched: Watched) -> None:
    page = watched.page
    page.goto(running.url + "/runs")
    page.locator("li", has_text="models/twin").get_by_role("button", name="fingerprint").click()
    page.get_by_role("link", name="open").first.click()
    assert page.get_by_role("heading", name="twin").count() == 1
    require_fine(watched)


def test_reports_are_read_without_their_scripts(running: Running, watched: Watched) -> None:
    """A page of the folder of reports is shown; no script of it runs; links in that folder are not followed."""
    page = watched.page
    page.goto(running.url + "/reports")
    assert page.locator("main li").all_inner_texts() == ["one & two.html"]
    page.get_by_role("link", name="one & two.html").click()
    assert page.get_by_text("read me").count() == 1
    assert page.title() != "ran"
    watched.complaints.clear()  # the browser reports the script that it did not run


def test_the_token(settings: Settings) -> None:
    with serve(replace(settings, token="right-token", hosts=())) as guarded, browser() as watched:
        page = watched.page
        page.goto(guarded.url + "/compare")
        page.get_by_label("The token").fill("wrong")
        page.get_by_role("button", name="Enter").click()
        assert page.get_by_role("alert").inner_text() == "That is not the token."
        watched.complaints.clear()
        page.get_by_label("The token").fill("right-token")
        page.get_by_role("button", name="Enter").click()
        assert page.get_by_role("heading", name="Library").count() == 1
        require_fine(watched)


def test_names_of_strangers(tmp_path: Path) -> None:
    """Markup in names, facts and provenance is shown as text on every page."""
    rng = np.random.default_rng(0)
    traits = {"gains.input": rng.normal(1, 0.1, (4, 64)), "moments.q": rng.normal(1, 0.1, (4, 6))}
    told = {"source": EVIL, "notes": [EVIL], "base_model": EVIL, "revision": EVIL}
    fingerprint = Fingerprint(EVIL, traits, {"family": EVIL, "model_type": EVIL, EVIL: EVIL}, told)
    Library.open(tmp_path / "library", create=True).add([fingerprint])
    with serve(Settings(str(tmp_path / "library"), (MODELS,))) as running, browser() as watched:
        watched.page.on("dialog", lambda dialog: watched.complaints.append(dialog.message) or dialog.dismiss())
        digest = fingerprint.digest
        mine = f"/models/{digest}"
        places = ("/", f"/?q={digest}", mine, f"{mine}/relatives", f"{mine}/tree", f"/compare/{digest}/{digest}",
                  f"/compare?reference={digest}&suspect=<script>alert(3)</script>")  # fmt: skip
        for place in places:
            watched.page.goto(running.url + place)
            assert watched.page.locator("main img").count() == 0
            assert watched.complaints == []
        assert watched.page.get_by_text("No model is called “<script>alert(3)</script>”").count() == 1
