"""Findings of every command in every format; relatives that are accepted."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from command_line import kinprint
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kinprint import Library, fingerprint
from kinprint.blackbox.result import BlackBoxResult
from kinprint.checkpoints.hashes import FileHash
from kinprint.errors import ReportError
from kinprint.reports.findings import Finding, Findings, Model, mark, names, of_black_box, read_accepted, rendered
from kinprint.terms import FORMATS, BlackBoxVerdict

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
BASE, TWIN, FINETUNE = (EXAMPLES / name for name in ("base", "twin", "finetune"))
PAGE = Path(__file__).parents[2] / "docs" / "pipelines.md"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("library") / "models.lib"
    Library.open(where, create=True).add([fingerprint(model) for model in (BASE, TWIN)])
    return where


@pytest.fixture(scope="module")
def run(library: Path) -> dict[str, list[object]]:
    """Command -> its arguments."""
    return {
        "compare": ["compare", BASE, FINETUNE],
        "identify": ["identify", FINETUNE, "--library", library],
        "verify": ["verify", FINETUNE, "--models", EXAMPLES, "--offline"],
        "matrix": ["matrix", BASE, FINETUNE, TWIN],
        "tree": ["tree", BASE, FINETUNE, TWIN],
        "gather": ["gather", FINETUNE, "--among", BASE, "--among", TWIN],
        "diff": ["diff", BASE, FINETUNE],
    }


COMMANDS = ("compare", "identify", "verify", "matrix", "tree", "gather", "diff")
OF_ONE_MODEL = ("compare", "identify", "verify", "gather")


def test_the_formats_are_those_that_there_are() -> None:
    assert [*FORMATS[:2], *names()] == list(FORMATS)


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_hold_what_the_command_found(command: str, run: dict[str, list[object]]) -> None:
    done = kinprint(*run[command], "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    word = {"verify": "confirmed", "gather": "part", "diff": "fine-tune"}.get(command, "related")
    assert {row["finding"] for row in rows if {row["model"], row["other"]} == {"finetune", "base"}} == {word}
    assert not any("twin" in (row["model"], row["other"]) and row["finding"] in (word, "identical") for row in rows)
    markdown = kinprint(*run[command], "--format", "markdown").stdout
    assert markdown.count("\n|") == len(rows) + 2


@pytest.mark.parametrize("command", COMMANDS)
def test_sarif_is_complete(command: str, run: dict[str, list[object]]) -> None:
    """What the schema (OASIS, SARIF 2.1.0) wants of a run and of a result; a level belongs to failures alone (3.27.10)."""
    done = kinprint(*run[command], "--format", "sarif")
    log = json.loads(done.stdout)
    (one,) = log["runs"]
    assert (log["version"], one["tool"]["driver"]["name"]) == ("2.1.0", "kinprint")
    rules = [rule["id"] for rule in one["tool"]["driver"]["rules"]]
    assert one["results"]
    for result in one["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["kind"] in ("pass", "open", "review", "fail")
        assert (result["level"] == "none") == (result["kind"] != "fail")
        assert result["message"]["text"]
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert str(Path.cwd()) not in json.dumps(result)
    assert len({result["partialFingerprints"]["kinprint/v1"] for result in one["results"]}) == len(one["results"])


@pytest.mark.parametrize("command", OF_ONE_MODEL)
def test_documents_about_one_model(command: str, run: dict[str, list[object]]) -> None:
    bom = kinprint(*run[command], "--format", "cyclonedx").stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bom) is None
    pedigree = json.loads(bom)["components"][0]["pedigree"]
    assert [model["name"] for where in ("variants", "ancestors") for model in pedigree.get(where, ())] == ["base"]
    statement = json.loads(kinprint(*run[command], "--format", "in-toto").stdout)
    assert {file["name"] for file in statement["subject"]} >= {"model.safetensors", "config.json"}


@pytest.mark.parametrize("form", ["cyclonedx", "in-toto"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["diff", BASE, FINETUNE],
        ["black-box", "palimpsest", "run.jsonl", "m", "--api", "http://127.0.0.1:9/v1"],
        ["black-box", "head-span", BASE, TWIN],
        ["black-box", "same-endpoint", BASE, "m", "--api", "http://127.0.0.1:9/v1"],
        ["black-box", "controls", BASE, FINETUNE, TWIN],
    ],
)
def test_what_tests_no_weights_writes_no_document_about_them(form: str, arguments: list[object]) -> None:
    """It is said before anything is asked or read."""
    done = kinprint(*arguments, "--format", form)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"kinprint: {' '.join(map(str, arguments[: 1 if arguments[0] == 'diff' else 2]))}: {form} ")
    assert "use --format json" in done.stderr


def test_every_answer_of_a_test_asks_something_of_a_reader() -> None:
    """A server that serves another model than it says contradicts a statement; a head that is not a model's is no relative."""

    def outcome(test: str, verdict: BlackBoxVerdict) -> str:
        (one,) = of_black_box(BlackBoxResult(test, "a", "m", verdict, "a sentence", "null", log10_p=-7.0), "").findings
        assert (one.word, one.sentence, one.log10_p) == (verdict, "a sentence", -7.0)
        return one.outcome

    outcomes = {verdict: outcome("any", verdict) for verdict in get_args(BlackBoxVerdict)}
    assert {verdict for verdict, said in outcomes.items() if said == "shared"} == {"descends", "same-head"}
    assert outcomes["closer-than-controls"] == outcomes["untestable"] == "open"
    assert (outcome("same-endpoint", "refuted"), outcome("head-span", "refuted")) == ("contradicted", "clear")


@pytest.mark.parametrize("form", ["cyclonedx", "in-toto"])
def test_documents_about_several_models_are_refused(form: str, run: dict[str, list[object]]) -> None:
    done = kinprint(*run["matrix"], "--format", form)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "one model" in done.stderr


def test_a_format_that_is_none() -> None:
    done = kinprint("compare", BASE, TWIN, "--format", "sarf")
    assert done.returncode == 2
    assert "did you mean 'sarif'" in done.stderr
    assert kinprint("compare", BASE, TWIN, "--json", "--format", "csv").returncode == 2


def accepted(folder: Path, text: str) -> Path:
    path = folder / "accepted.toml"
    path.write_text(text)
    return path


ENTRY = '[[accepted]]\nrelative = "{}"\nreason = "our base"\nexpires = {}\n'


def test_an_accepted_relative_opens_the_gate_and_changes_no_verdict(library: Path, tmp_path: Path) -> None:
    gate = ["identify", FINETUNE, "--library", library, "--fail-on", "related", "--json"]
    before = kinprint(*gate)
    known = accepted(tmp_path, ENTRY.format("base", "2999-12-31"))
    after = kinprint(*gate, "--accepted", known)
    assert (before.returncode, after.returncode) == (3, 0)
    was, now = json.loads(before.stdout), json.loads(after.stdout)
    assert now.pop("accepted") == [{"model": "finetune", "relative": "base", "reason": "our base", "expires": "2999-12-31"}]
    assert now == was
    digest = f"blake3:{was['relatives'][0]['digest']}"
    assert kinprint(*gate, "--accepted", accepted(tmp_path, ENTRY.format(digest, "2999-12-31"))).returncode == 0
    assert kinprint(*gate, "--accepted", accepted(tmp_path, ENTRY.format("twin", "2999-12-31"))).returncode == 3
    past = kinprint(*gate, "--accepted", accepted(tmp_path, ENTRY.format("base", "2001-01-01")))
    assert past.returncode == 3
    assert "until 2001-01-01 and no longer: base" in past.stderr


def test_sarif_suppresses_what_is_accepted(library: Path, tmp_path: Path) -> None:
    known = accepted(tmp_path, ENTRY.format("base", "2999-12-31"))
    done = kinprint("identify", FINETUNE, "--library", library, "--accepted", known, "--format", "sarif")
    suppressed = {r["properties"]["other"]: r["suppressions"] for r in json.loads(done.stdout)["runs"][0]["results"]}
    assert suppressed["twin"] == []
    assert suppressed["base"][0]["justification"] == "our base (until 2999-12-31)"


def test_an_undeclared_relative_may_be_accepted_and_a_contradicted_declaration_not(tmp_path: Path) -> None:
    pair = Model("suspect", "1" * 64), Model("base", "2" * 64)
    found = Findings(
        "verify",
        "",
        (
            Finding(*pair, "undeclared-relative", "contradicted", -9.0, "shares"),
            Finding(*pair, "contradicted", "contradicted", 0.0, "does not"),
        ),
        dict,
    )
    entries = read_accepted(accepted(tmp_path, ENTRY.format("base", "2999-12-31")))
    marked, expired = mark(found, entries, date(2026, 12, 1))
    assert [finding.accepted is None for finding in marked.findings] == [False, True]
    assert expired == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has to consist of"),
        ("accepted = 1", "has to consist of"),
        ("[[accepted]]\nrelative = 'a'\nreason = 'b'", "no last day"),
        ("[[accepted]]\nrelative = 'a'\nreason = 'b'\nexpires = '2027-01-01'", "no last day"),
        ("[[accepted]]\nrelative = 'a'\nreason = ' '\nexpires = 2027-01-01", "no reason"),
        ("[[accepted]]\nreason = 'b'\nexpires = 2027-01-01", "no relative"),
        ("[[accepted]]\nrelativ = 'a'\nreason = 'b'\nexpires = 2027-01-01", "means nothing"),
        ("accepted = [1]", "no table"),
        ("[[", "no TOML"),
    ],
)
def test_entries_that_lack_something(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=says):
        read_accepted(accepted(tmp_path, text))


def test_the_page_shows_a_file_that_is_read(tmp_path: Path) -> None:
    text = PAGE.read_text().split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(text)
    assert [entry.model for entry in read_accepted(accepted(tmp_path, text))] == ["finetune"]


def test_words_of_strangers_stay_words() -> None:
    """A model's name is free: no formula in a spreadsheet, no link and no mention in Markdown, no address in SARIF."""
    name = '=HYPERLINK("https://example.org")[x](https://example.org)@all|<b>'
    found = Findings("compare", name, (Finding(Model(name, place=f"/abs/{name}"), None, "related", "shared", -9, name),), dict)
    (row,) = csv.DictReader(io.StringIO(rendered(found, "csv")))
    assert row["model"].startswith("'=")
    table = rendered(found, "markdown").splitlines()[-1]
    assert table.replace("\\|", "").count("|") == 5
    assert all(word in table for word in ("\\[x\\]", "\\@all", "\\<b\\>"))
    (where,) = json.loads(rendered(found, "sarif"))["runs"][0]["results"][0]["locations"]
    assert not re.search(":|/abs", where["physicalLocation"]["artifactLocation"]["uri"])


def test_what_is_no_number_is_none_in_documents() -> None:
    """A p-value of zero has no logarithm that JSON could hold."""
    one = Finding(Model("a"), Model("b"), "related", "shared", float("-inf"), "a and b share weights")
    files = [FileHash("model.safetensors", 1, "ab" * 32)]
    found = Findings("identify", "a has a relative", (one,), dict, lambda: files)
    for form in ("in-toto", "cyclonedx", "sarif"):
        assert "Infinity" not in rendered(found, form)
    assert ",-inf," in rendered(found, "csv")
