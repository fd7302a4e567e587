"""The page of a comparison: complete, harmless, readable by everyone, the same without network."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path

import numpy as np
import pytest
from browser import browser

import kinprint
from kinprint import Fingerprint, methods
from kinprint.checkpoints.hashes import FileHash
from kinprint.cli import main
from kinprint.reports.comparison_html import comparison_html
from kinprint.reports.comparison_null import null_picture
from kinprint.reports.comparison_profiles import STRANGERS, profiles
from kinprint.reports.glossary import TERMS

MODELS = Path(__file__).parents[2] / "examples" / "models"
EVIL = '<img src=x onerror="alert(1)">\x1b[31m\u202e</style><script>alert(2)</script>'


@cache
def page(suspect: str = "finetune") -> str:
    found = kinprint.compare(MODELS / "base", MODELS / suspect)
    files = {"suspect": [FileHash("model.safetensors", 12, "ab" * 32)]}
    return comparison_html(found, command="kinprint compare base finetune", files=files, when="2026-01-02 03:04 UTC")


@cache
def hostile() -> str:
    """A comparison of models whose names, facts, cards and notes are markup and control characters."""
    facts = {"model_type": EVIL, "hidden_size": EVIL}
    told = {"source": EVIL, "base_model": EVIL, "revision": EVIL, "notes": [EVIL]}
    rng = np.random.default_rng(0)
    pair = [
        Fingerprint(
            "".join(c for c in EVIL if c.isprintable()),
            {"gains.input": rng.normal(1, 0.1, (4, 64)), "moments.q": rng.normal(1, 0.1, (4, 6))},
            facts,
            told,
        )
        for _ in range(2)
    ]
    files = {"reference": [FileHash(EVIL, 1, "", EVIL)]}
    return comparison_html(kinprint.compare(*pair), command=f"kinprint {EVIL}", files=files)


def test_everything_is_there() -> None:
    """Verdict, what it means and what not, every null hypothesis, digests, versions, seed, the command to repeat."""
    shown = page()
    assert "Trained independently: Llama-3.1-8B-Instruct and Mistral-7B-Instruct-v0.1: 0.98" in shown
    for text in ("What it does not mean", "kinprint compare base finetune", "ab" * 32, "seed 0x", "Reached by", "2026-01-02"):
        assert text in shown
    for method in methods.known():
        if method.kind == "test" and not method.deep:
            assert method.caveat.split("'")[0] in shown
    assert "no-evidence" in page("twin")


def test_the_picture_of_what_decides() -> None:
    """A bar for every test that applies and a dot for every layer; of strangers bars lie in the hill, left of the line; what
    lies beyond the scale, or is not finite, is drawn at its end or not at all."""
    alike, twin = (kinprint.compare(MODELS / "base", MODELS / name) for name in ("finetune", "twin"))
    for found in (alike, twin):
        drawn = str(null_picture(found.tests, 1e-6))
        applies = [item for item in found.tests if item.applies]
        assert drawn.count('class="pair"') == len(applies)
        assert drawn.count("<circle") == sum(math.isfinite(z) for item in applies for z in item.layers or ())
        assert "p = 1e-6" in drawn
    bars = [float(x) for x in re.findall(r'class="pair" x="([\d.]+)"', str(null_picture(twin.tests, 1e-6)))]
    line = float(re.findall(r'class="mark" x1="([\d.]+)"', str(null_picture(twin.tests, 1e-6)))[0])
    assert max(bars) < line
    far = [replace(item, statistic=1e9, layers=(math.nan, -1e9)) for item in alike.tests[:1]]
    assert 'x="814.0"' in str(null_picture(far, 1e-6))
    assert null_picture([replace(item, statistic=math.nan) for item in alike.tests], 1e-6) is None


def test_terms_are_explained_where_they_stand() -> None:
    """Every page ends with what its words mean."""
    shown = page()
    assert all(f"<dt>{escape(term)}</dt>" in shown for term in TERMS)


def test_nothing_is_loaded() -> None:
    """No address of anything outside the page."""
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:|//)""", page())


def test_what_strangers_say_is_text() -> None:
    """Markup and control characters of names, facts, cards, files and notes stay text."""
    shown = hostile()
    assert "<img" not in shown
    assert shown.count("<script>") == 1
    assert not {"\x1b", "\u202e"} & set(shown)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(scheme: str, tmp_path: Path) -> None:
    """No error, no serious finding of axe-core, figures that grow and shrink by keyboard, nothing wider than a phone."""
    file = tmp_path / "report.html"
    file.write_text(page(), encoding="utf-8")
    with browser(color_scheme=scheme, viewport={"width": 390, "height": 800}, offline=True) as watched:
        watched.page.goto(file.as_uri())
        assert watched.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        first = watched.page.locator("figure").first
        first.locator("button").press("Enter")
        assert "large" in (first.get_attribute("class") or "")
        watched.page.keyboard.press("Escape")
        assert "large" not in (first.get_attribute("class") or "")
        assert watched.violations() == []
        assert watched.complaints == []


def test_it_prints_on_one_page_with_the_case_on_top(tmp_path: Path) -> None:
    """Verdict, what it means, tests, digests; the button prints that, the other one everything."""
    found = kinprint.compare(MODELS / "base", MODELS / "finetune")
    path = tmp_path / "page.html"
    path.write_text(comparison_html(found, command="kinprint compare base finetune", case=EVIL, author="A. Expert"))
    with browser(offline=True) as watched:
        seen = watched.page
        seen.add_init_script("window.print = () => { window.printed = document.body.className; }")
        seen.goto(path.as_uri())
        assert "By: A. Expert" in seen.inner_text(".case")
        seen.click("text=print one page")
        assert seen.evaluate("window.printed") == "brief"
        seen.click("text=print everything")
        assert seen.evaluate("window.printed") == ""
        everything = sheets(seen.pdf(format="A4"))
        seen.evaluate("document.body.classList.add('brief')")
        assert (sheets(seen.pdf(format="A4")), everything > 3) == (1, True)
        seen.emulate_media(media="print")
        assert found.suspect.digest in seen.inner_text("main")
        assert watched.complaints == []


def sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


def test_hostile_names_in_a_browser(tmp_path: Path) -> None:
    """No script of a stranger runs."""
    file = tmp_path / "report.html"
    file.write_text(hostile(), encoding="utf-8")
    with browser() as watched:
        watched.page.on("dialog", lambda dialog: watched.complaints.append(dialog.message) or dialog.dismiss())
        watched.page.goto(file.as_uri())
        assert watched.page.locator("img").count() == 0
        assert watched.complaints == []


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--html writes the page with the files' digests as sha256sum gives them; a folder in its place is one clear error."""
    import hashlib

    arguments = ["kinprint", "compare", str(MODELS / "base"), str(MODELS / "twin"), "--json", "--html"]
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / "report.html")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    weights = (MODELS / "twin" / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads(capsys.readouterr().out)["verdict"] == "no-evidence"
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_strangers_are_what_the_shipped_models_show() -> None:
    """The stored profiles of the shipped models are theirs."""
    known = [profiles(kinprint.fingerprint(MODELS / name)) for name in ("base", "twin")]
    stored = {row["profile"]: row for row in json.loads(STRANGERS.read_text(encoding="utf-8"))["profiles"]}
    assert list(stored) == list(known[0])
    for name, row in stored.items():
        if row["models"] == ["base", "twin"]:
            for curves, curve in zip(known, row["curves"], strict=True):
                np.testing.assert_allclose(curves[name], curve, atol=1e-5)


def test_a_profile_without_strangers_is_drawn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score of a plug-in has curves that no stranger's are stored of."""
    monkeypatch.setattr("kinprint.reports.comparison_profiles._strangers", dict)
    found = kinprint.compare(MODELS / "base", MODELS / "finetune", methods=methods.tests())
    alone = comparison_html(found, command="x")
    assert "Standard deviation of Q" in alone
    assert "Trained independently" not in alone
