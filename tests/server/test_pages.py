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
from browser import Watched, browser, expect
from served import MODELS, Running, serve

from kinprint import Fingerprint
from kinprint.library import Library
from kinprint.library.identify import Identification, identify
from kinprint.library.records import data_of
from kinprint.server import pages, service
from kinprint.server.settings import MAX_UPLOAD, Settings

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>\'"&amp;{{7*7}}'


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with browser(viewport={"width": 900, "height": 900}) as found:
        yield found


PHONE, SCREEN = {"width": 390, "height": 800}, {"width": 900, "height": 900}


def require_fine(watched: Watched) -> None:
    """No complaint of the browser, no serious finding of axe-core, and on a phone nothing wider than the screen."""
    assert watched.violations() == []
    assert watched.complaints == []
    watched.page.set_viewport_size(PHONE)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    watched.page.set_viewport_size(SCREEN)


@pytest.mark.parametrize(
    "place", ["/", "/?q=nothing", "/compare", "/find?suspect=llama", "/upload", "/jobs", "/reports", "/docs", "/login"]
)
def test_every_page(running: Running, watched: Watched, place: str) -> None:
    watched.page.goto(running.url + place)
    assert watched.page.title().startswith("kinprint")
    for only in ("h1", "main"):
        expect(watched.page.locator(only)).to_have_count(1)
    require_fine(watched)


def test_docs_have_every_operation(running: Running, watched: Watched) -> None:
    """The page of the API says of each request what the description for programs says."""
    described = running.get("/openapi.json").json()["paths"]
    watched.page.goto(running.url + "/docs")
    told = watched.page.locator("h2 code").all_inner_texts()
    assert {f"{method.upper()} {path}" for path, methods in described.items() for method in methods} == set(told) - {"Objects"}


def test_a_long_list(running: Running, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted by a click on a column, filtered, in pages; the address has it all."""
    monkeypatch.setattr(pages, "A_PAGE", 2)
    page = watched.page
    names = page.locator("tbody td:first-child")
    page.goto(running.url)
    expect(names).to_have_text(["base", "finetune"])
    page.get_by_role("link", name="later").click()
    expect(names).to_have_text(["twin"])
    require_fine(watched)
    page.get_by_role("link", name="name").click()
    expect(names).to_have_text(["twin", "finetune"])
    page.locator("select[name=family]").select_option("llama")
    page.locator("select[name=size]").select_option("under 1 billion parameters")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile("family=llama"))
    expect(names).to_have_text(["twin", "finetune"])
    page.locator("select[name=reading]").select_option("quick")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("0 models of 3")).to_have_count(1)
    require_fine(watched)


def test_from_the_library_to_a_verdict(running: Running, watched: Watched) -> None:
    """Search a name, open the model, find its relatives, read the comparison."""
    page = watched.page
    page.goto(running.url)
    page.get_by_role("searchbox").or_(page.locator("input[name=q]")).first.fill("finetune")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="finetune", exact=True).click()
    page.get_by_role("heading", name="finetune", exact=True).wait_for()
    require_fine(watched)
    page.get_by_role("button", name="Find relatives").click()
    page.locator(".verdict strong").wait_for()
    assert page.locator(".verdict strong").inner_text().casefold() == "1 relative: base"
    require_fine(watched)
    page.get_by_role("link", name="Tree of the nearest").click()
    page.locator("figure svg").wait_for()
    require_fine(watched)
    page.go_back()
    page.get_by_role("link", name="compare with base").click()
    page.locator(".verdict strong").wait_for()
    assert page.locator(".verdict strong").inner_text().lower() == "related"
    require_fine(watched)


def test_a_job_survives_a_reload(settings: Settings, watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that takes long has an address, where it shows how far it is: after a reload too, and to others. It can be
    stopped and begun again, and gives way to its result. A server that was started again says that it is gone."""
    go_on = threading.Event()

    def slow(*args: Any, progress: Callable[[str, int, int], None], **more: Any) -> Identification:
        progress("some model", 1, 3)
        while not go_on.wait(0.05):
            progress("some model", 1, 3)
        return identify(*args, progress=progress, **more)

    monkeypatch.setattr("kinprint.library.identify.identify", slow)
    monkeypatch.setattr(service, "AT_MOST", 0.1)
    page = watched.page
    with serve(settings) as running:
        page.goto(f"{running.url}/models/{running.digests['finetune']}/relatives")
        page.get_by_text("1 of 3 models").wait_for()
        place = page.url
        assert "/jobs/" in place
        require_fine(watched)
        page.reload()
        page.get_by_text("1 of 3 models").wait_for()
        expect(page).to_have_url(place)
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("cancelled").wait_for()
        page.reload()
        page.get_by_role("link", name="Begin again").click()
        page.get_by_text("1 of 3 models").wait_for()
        expect(page).not_to_have_url(place)
        go_on.set()
        page.locator(".verdict strong").wait_for()
        require_fine(watched)
    with serve(settings) as running:
        page.goto(f"{running.url}{place[place.index('/jobs/') :]}")
        expect(page.get_by_role("heading", name="This job is gone")).to_have_count(1)
        watched.complaints.clear()  # the browser reports the status 404
        require_fine(watched)


def test_without_scripts(running: Running, tmp_path: Path) -> None:
    """Choosing, uploading, fingerprinting and waiting need none."""
    fingerprint = Fingerprint("without scripts", {"gains.final": np.full(64, 2.0)})
    fingerprint.save(tmp_path / "mine.kinprint")
    with browser(java_script_enabled=False) as watched:
        page = watched.page
        page.goto(running.url + "/find")
        page.get_by_label("Search by name").fill("twin")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("radio").check()
        page.get_by_role("button", name="Find relatives").click()
        page.locator(".verdict strong").wait_for()
        page.goto(running.url + "/upload")
        page.get_by_label("A .kinprint file").set_input_files(tmp_path / "mine.kinprint")
        page.get_by_role("button", name="Upload").click()
        page.get_by_role("heading", name="without scripts").wait_for()
        page.goto(running.url + "/jobs")
        page.get_by_role("button", name="fingerprint models/twin").click()
        page.get_by_role("heading", name="twin", exact=True).wait_for()
        assert watched.complaints == []


def test_two_models_are_chosen(running: Running, watched: Watched) -> None:
    """From two lists, which follow what is typed; what was chosen stays."""
    page = watched.page
    page.goto(running.url + "/compare")
    reference, suspect = page.locator("fieldset").all()
    reference.get_by_role("searchbox").fill("base")
    reference.get_by_text("1 model with").wait_for()
    reference.get_by_role("radio").check()
    reference.get_by_role("searchbox").fill("twin")
    reference.get_by_text("1 model with “twin”").wait_for()
    expect(reference.get_by_role("radio")).to_have_count(2)
    require_fine(watched)
    suspect.get_by_role("radio", name="twin").check()
    page.get_by_role("button", name="Compare").click()
    page.locator(".verdict strong").wait_for()
    assert page.locator(".verdict strong").inner_text().lower() == "no-evidence"
    require_fine(watched)
    page.get_by_role("link", name="kinprint: library").click()
    expect(page.get_by_role("heading", name="Library")).to_have_count(1)
    page.goto(running.url + "/compare?reference=base&suspect=llama")
    expect(page.locator("input:checked")).to_have_count(1)
    expect(page.get_by_text("3 models with “llama”")).to_have_count(1)


def test_an_upload(running: Running, watched: Watched, tmp_path: Path) -> None:
    """A fingerprint is uploaded and shown; weights are refused in a sentence that says what to do, large ones before they are
    sent."""
    page = watched.page
    fingerprint = Fingerprint("from elsewhere", {"gains.final": np.ones(64)})
    fingerprint.save(tmp_path / "mine.kinprint")
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    with open(tmp_path / "large.safetensors", "wb") as large:
        large.truncate(MAX_UPLOAD + 1)
    page.goto(running.url + "/upload")
    chosen = page.get_by_label("A .kinprint file")
    chosen.set_input_files(tmp_path / "large.safetensors")
    page.get_by_text("large.safetensors has 64.0 MB, more than can be uploaded; make a .kinprint first").wait_for()
    page.get_by_role("button", name="Upload").click()
    require_fine(watched)
    chosen.set_input_files(tmp_path / "small.gguf")
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("a GGUF file, not a fingerprint; make a .kinprint first").wait_for()
    watched.complaints.clear()  # the browser reports the refusal
    require_fine(watched)
    chosen.set_input_files(tmp_path / "mine.kinprint")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url(re.compile(fingerprint.digest))
    expect(page.get_by_role("heading", name="from elsewhere")).to_have_count(1)
    require_fine(watched)


def test_a_fingerprint_is_watched(running: Running, watched: Watched) -> None:
    """It is begun from the list, and its page gives way to that of the model; the list of jobs leads there too."""
    page = watched.page
    page.goto(running.url + "/jobs?q=twin")
    page.get_by_role("button", name="fingerprint models/twin").click()
    page.get_by_role("heading", name="twin", exact=True).wait_for()
    require_fine(watched)
    page.goto(running.url + "/jobs")
    require_fine(watched)
    page.get_by_role("link", name="models/twin").first.click()
    expect(page.get_by_role("heading", name="twin", exact=True)).to_have_count(1)


def test_the_report_of_a_model(running: Running, watched: Watched, tmp_path: Path) -> None:
    """It has the relatives, the tree and the card of the model, and can be kept as a file that asks for nothing."""
    page = watched.page
    page.goto(f"{running.url}/models/{running.digests['finetune']}")
    page.get_by_role("button", name="Report").click()
    page.get_by_text("kinprint report of a model").wait_for()
    assert page.locator(".verdict strong").inner_text().casefold() == "1 relative: base"
    expect(page.get_by_role("region", name="card").get_by_text("apache-2.0")).to_have_count(1)
    expect(page.locator("figure svg")).to_have_count(1)
    require_fine(watched)
    with page.expect_download() as kept:
        page.get_by_role("link", name="Save this page").click()
    kept.value.save_as(tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    expect(page.locator("figure svg")).to_have_count(1)
    expect(page.locator("a[href^='/']")).to_have_count(0)
    require_fine(watched)


def test_reports_are_read_without_their_scripts(running: Running, watched: Watched) -> None:
    """A page of the folder of reports is shown; no script of it runs; links in that folder are not followed."""
    page = watched.page
    page.goto(running.url + "/reports")
    expect(page.locator("main li")).to_have_text(["one & two.html"])
    page.get_by_role("link", name="one & two.html").click()
    expect(page.get_by_text("read me")).to_have_count(1)
    assert page.title() != "ran"
    watched.complaints.clear()  # the browser reports the script that it did not run


def test_the_token(settings: Settings) -> None:
    with serve(replace(settings, token="right-token", hosts=())) as guarded, browser() as watched:
        page = watched.page
        page.goto(guarded.url + "/compare")
        page.get_by_label("The token").fill("wrong")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the token.")
        watched.complaints.clear()
        page.get_by_label("The token").fill("right-token")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("heading", name="Library")).to_have_count(1)
        require_fine(watched)


def test_names_of_strangers(settings: Settings, running: Running) -> None:
    """Markup in names, facts and provenance is shown as text on every page."""
    rng = np.random.default_rng(0)
    traits = {"gains.input": rng.normal(1, 0.1, (4, 64)), "moments.q": rng.normal(1, 0.1, (4, 6))}
    told = {"source": EVIL, "notes": [EVIL], "base_model": EVIL, "license": EVIL, "revision": EVIL}
    fingerprint = Fingerprint(EVIL, traits, {"family": EVIL, "model_type": EVIL, EVIL: EVIL}, told)
    library = Path(settings.library).with_name("evil")
    Library.open(library, create=True).add([fingerprint])
    digest = running.post("/api/fingerprints", content=data_of(fingerprint)).json()["digest"]
    mine = f"/models/{digest}"
    shared = (mine, f"{mine}/relatives", f"{mine}/tree", f"{mine}/report", f"/compare/{digest}/{digest}",
              f"/compare?reference={digest}&suspect=<script>alert(3)</script>", f"/find?suspect_q={digest}")  # fmt: skip
    with serve(Settings(str(library), (MODELS,))) as stored, browser() as watched:
        watched.page.on("dialog", lambda dialog: watched.complaints.append(dialog.message) or dialog.dismiss())
        for server, places in ((stored, ("/", f"/?q={digest}", *shared)), (running, shared)):
            for place in places:
                watched.page.goto(server.url + place)
                if "/jobs/" in watched.page.url:
                    watched.page.wait_for_url(server.url + place)
                expect(watched.page.locator("main img")).to_have_count(0)
                assert watched.complaints == []
        watched.page.goto(f"{stored.url}/compare")
        watched.page.get_by_role("searchbox").first.fill("img")
        watched.page.get_by_text("1 model with “img”").wait_for()
        expect(watched.page.locator("main img")).to_have_count(0)
        watched.page.goto(f"{stored.url}/compare?reference=<script>alert(3)</script>")
        expect(watched.page.get_by_text("No model is called “<script>alert(3)</script>”")).to_have_count(1)
        assert watched.complaints == []
