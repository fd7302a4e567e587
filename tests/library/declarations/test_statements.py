"""Statements read back: what holds holds, what was changed is contradicted, and what cannot be told is not claimed."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

import kinprint
from kinprint import Fingerprint
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.hashes import FileHash, hashes
from kinprint.cli import main
from kinprint.comparison import Comparison
from kinprint.errors import CheckpointError
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.in_toto import PAYLOAD_TYPE
from kinprint.library.declarations.statements import EVIDENCE, StatementCheck, check_statement, read_statement
from kinprint.reports import cyclonedx_bom, in_toto_statement

MODELS = Path(__file__).parents[3] / "examples" / "models"
WRITERS = {"in-toto": in_toto_statement, "cyclonedx": cyclonedx_bom}


@cache
def written(kind: str, suspect: str = "finetune") -> str:
    return WRITERS[kind](compared(suspect), {"reference": files("base"), "suspect": files(suspect)})


@cache
def files(name: str) -> tuple[FileHash, ...]:
    return hashes(open_checkpoint(MODELS / name))


@cache
def measured(name: str) -> Fingerprint:
    return kinprint.fingerprint(MODELS / name)


@cache
def compared(suspect: str) -> Comparison:
    return kinprint.compare(measured("base"), measured(suspect))


def at_hand(name: str) -> AtHand:
    return AtHand(files(name), lambda: measured(name))


def never() -> Fingerprint:
    pytest.fail("measured, where digests had decided")


def changed(kind: str, change: Callable[[dict[str, Any]], None], suspect: str = "finetune") -> str:
    """A document with a change to what a predicate holds, as somebody would make it who knows the format."""
    document = json.loads(written(kind, suspect))
    if kind == "in-toto":
        change(document["predicate"])
        return json.dumps(document)
    properties = document["components"][0]["properties"]
    (evidence,) = (one for one in properties if one["name"] == EVIDENCE)
    predicate = json.loads(evidence["value"])
    change(predicate)
    evidence["value"] = json.dumps(predicate)
    for one in properties:
        name = one["name"].removeprefix("kinprint:")
        if name in ("verdict", "sentence"):
            one["value"] = predicate["comparison"][name]
        elif name in ("log10_p", "alpha"):
            one["value"] = json.dumps(predicate["comparison"][name])
    return json.dumps(document)


def check(text: str, tmp_path: Path, model: AtHand | None = None, **arguments: Any) -> StatementCheck:
    file = tmp_path / "document.json"
    file.write_text(text)
    return check_statement(read_statement(file), model or AtHand(files("finetune"), never), **arguments)


def outcomes(found: StatementCheck) -> dict[str, str]:
    return {one.what: one.status for one in found.checks}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("suspect", ["finetune", "twin"])
def test_what_was_written_holds(kind: str, suspect: str, tmp_path: Path) -> None:
    """Both kinds of document, related or not, hold for the files they were written about; nothing is measured for that."""
    found = check(written(kind, suspect), tmp_path, AtHand(files(suspect), never))
    assert found.conclusion == "holds"
    assert outcomes(found) == {"files": "holds", "verdict": "holds"}
    assert not found.statement.signed


@pytest.mark.parametrize("kind", WRITERS)
def test_another_model_contradicts(kind: str, tmp_path: Path) -> None:
    """A statement about one model says nothing about another, be it of the same shape."""
    found = check(written(kind), tmp_path, AtHand(files("twin"), never))
    assert found.conclusion == "contradicted"
    assert "model.safetensors differs from the statement's file" in found.checks[0].reason


@pytest.mark.parametrize("kind", WRITERS)
def test_tampered_files_contradict(kind: str, tmp_path: Path) -> None:
    """One changed bit of the weights, a file more, a file less."""
    folder = shutil.copytree(MODELS / "finetune", tmp_path / "finetune")
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    found = check(written(kind), tmp_path, AtHand(hashes(open_checkpoint(folder)), never))
    assert (found.conclusion, found.checks[0].reason) == (
        "contradicted", "model.safetensors differs from the statement's file",
    )  # fmt: skip
    more = (*files("finetune"), FileHash("more.safetensors", 1, "0" * 64))
    assert check(written(kind), tmp_path, AtHand(more, never)).conclusion == "contradicted"
    assert check(written(kind), tmp_path, AtHand(files("finetune")[1:], never)).conclusion == "contradicted"


def test_files_of_one_name(tmp_path: Path) -> None:
    """Of a base with an adapter two files bear one name; neither may be exchanged or left out."""
    both = tuple(FileHash("config.json", 1, digit * 64) for digit in "ab")
    text = in_toto_statement(compared("finetune"), {"reference": files("base"), "suspect": both})
    assert check(text, tmp_path, AtHand(both, never)).conclusion == "holds"
    assert check(text, tmp_path, AtHand(both[:1], never)).conclusion == "contradicted"
    other = FileHash("config.json", 1, "c" * 64)
    assert check(text, tmp_path, AtHand((both[0], other), never)).conclusion == "contradicted"


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("suspect", "values"),
    [
        ("finetune", {"verdict": "no-evidence"}),
        ("finetune", {"verdict": "untestable"}),
        ("finetune", {"verdict": "no-evidence", "log10_p": -0.2}),
        ("finetune", {"log10_p": -900.0}),
        ("finetune", {"log10_p": None}),
        ("twin", {"verdict": "related"}),
        ("twin", {"verdict": "related", "log10_p": -700.0}),
        ("twin", {"evidence": []}),
    ],
)
def test_a_changed_verdict_contradicts(kind: str, suspect: str, values: dict[str, Any], tmp_path: Path) -> None:
    """A verdict or a p-value that does not follow from the tests beside it."""
    text = changed(kind, lambda predicate: predicate["comparison"].update(values), suspect)
    found = check(text, tmp_path, AtHand(files(suspect), never))
    assert found.conclusion == "contradicted"
    assert outcomes(found)["verdict"] == "contradicted"


@pytest.mark.parametrize("kind", WRITERS)
def test_a_level_of_significance_of_ones_own_is_not_followed(kind: str, tmp_path: Path) -> None:
    """Whoever writes alpha 0.9 makes relatives of strangers; that does not hold by itself."""
    text = changed(kind, lambda predicate: predicate["comparison"].update(alpha=0.9))
    assert check(text, tmp_path).conclusion == "not-testable"


def test_what_is_shown_is_what_is_checked(tmp_path: Path) -> None:
    """A property, a pedigree or a digest in it that differs from the evidence."""

    def bom(change: Callable[[dict[str, Any]], object], suspect: str = "finetune") -> str:
        document = json.loads(written("cyclonedx", suspect))
        change(document["components"][0])
        return json.dumps(document)

    def said(component: dict[str, Any], name: str, value: str) -> None:
        next(one for one in component["properties"] if one["name"] == name)["value"] = value

    ancestor = json.loads(written("cyclonedx"))["components"][0]["pedigree"]
    for text, suspect in (
        (bom(lambda one: said(one, "kinprint:verdict", "identical")), "finetune"),
        (bom(lambda one: said(one, "kinprint:sentence", "Nothing was found.")), "finetune"),
        (bom(lambda one: said(one, "kinprint:log10_p", "-1e9")), "finetune"),
        (bom(lambda one: one.pop("pedigree")), "finetune"),
        (bom(lambda one: one["pedigree"]["ancestors"].append(one["pedigree"]["ancestors"][0])), "finetune"),
        (bom(lambda one: one["pedigree"]["ancestors"][0]["components"].pop()), "finetune"),
        (bom(lambda one: one.update(pedigree=ancestor), "twin"), "twin"),
    ):
        assert check(text, tmp_path, AtHand(files(suspect), never)).conclusion == "contradicted"
    with pytest.raises(CheckpointError, match="given twice"):
        check(bom(lambda one: one["properties"].append({"name": "kinprint:verdict", "value": "identical"})), tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_with_the_reference_at_hand(kind: str, tmp_path: Path) -> None:
    """The comparison comes out again; a verdict changed together with all p-values does not; another reference is seen."""
    versions = check(written(kind), tmp_path).statement.measured_with

    def full(text: str, reference: str = "base") -> StatementCheck:
        return check(text, tmp_path, reference=at_hand(reference), again=lambda: compared("finetune"), versions=versions)

    assert outcomes(full(written(kind))) == dict.fromkeys(("files", "verdict", "reference", "comparison"), "holds")
    assert outcomes(full(written(kind), "twin"))["reference"] == "contradicted"

    def forged(predicate: dict[str, Any]) -> None:
        comparison = predicate["comparison"]
        tests = [one for one in comparison["evidence"] if one["kind"] == "test" and one["log10_p"] is not None]
        for one in tests:
            one["log10_p"] = -0.01
        comparison.update(verdict="no-evidence", log10_p=0.0)

    def of_another_version(predicate: dict[str, Any]) -> None:
        forged(predicate)
        predicate["measured_with"]["kinprint"] = "0.0.1"

    text = changed("in-toto", forged)
    assert check(text, tmp_path).conclusion == "holds"  # nothing in it tells; hence signatures
    assert outcomes(full(text))["comparison"] == "contradicted"
    assert outcomes(full(changed("in-toto", of_another_version)))["comparison"] == "not-checked"


def test_identical_takes_the_reference(tmp_path: Path) -> None:
    """That weights agree up to rounding does not follow from p-values; of one fingerprint it does."""
    text = changed("in-toto", lambda predicate: predicate["comparison"].update(verdict="identical"))
    assert check(text, tmp_path).conclusion == "not-testable"
    assert check(written("in-toto", "base"), tmp_path, AtHand(files("base"), never)).conclusion == "holds"


def test_a_fingerprint_at_hand(tmp_path: Path) -> None:
    """It has no files; the digest of its traits decides."""
    for name, conclusion in (("finetune", "holds"), ("twin", "contradicted")):
        assert check(written("in-toto"), tmp_path, AtHand((), partial(measured, name))).conclusion == conclusion
    nothing = cyclonedx_bom(compared("finetune"), {"reference": files("base"), "suspect": ()})
    assert check(nothing, tmp_path, at_hand("finetune")).conclusion == "holds"
    assert check(nothing, tmp_path, at_hand("twin")).conclusion == "not-testable"  # floats may differ elsewhere


@pytest.mark.parametrize("bundle", [False, True])
def test_envelopes(bundle: bool, tmp_path: Path) -> None:
    """DSSE and Sigstore's bundle around it; that it is signed is said, and that nobody checked."""
    envelope = {
        "payload": base64.b64encode(written("in-toto").encode()).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [],
    }
    found = check(json.dumps({"dsseEnvelope": envelope} if bundle else envelope), tmp_path)
    assert found.conclusion == "holds"
    assert found.to_json()["signature"] == "not checked"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"bomFormat": "CycloneDX"}', '{"payload": "!", "payloadType": "application/vnd.in-toto+json"}',
        '{"payload": "", "payloadType": "text/plain"}', '{"dsseEnvelope": 1}', '{"_type": "https://in-toto.io/Statement/v1"}',
        '{"bomFormat": "CycloneDX", "components": 1}', '{"bomFormat": "CycloneDX", "metadata": []}',
        '{"bomFormat": "CycloneDX", "components": [{"properties": [{"name": "kinprint:evidence", "value": "{}"}]}]}',
        '{"bomFormat": "CycloneDX", "components": [{"properties": [{"name": "kinprint:evidence"}]}]}',
        '{"_type": 1, "_type": 2}',
    ],
)  # fmt: skip
def test_what_is_no_statement(text: str, tmp_path: Path) -> None:
    """One clear error that names the file."""
    with pytest.raises(CheckpointError, match=r"document\.json"):
        check(text, tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "value", [None, True, 1, -1, 10**400, 1e308, "", "x", [], [[]], [None], {}, {"": 1}, "\x1b[31m\u202e<script>"]
)
def test_hostile_values(kind: str, value: Any, tmp_path: Path) -> None:
    """Any value in any place ends in an error of ours or in a check, and the document it came from cannot hold by accident."""
    paths: list[tuple[str, ...]] = [("format",), ("comparison",), ("reference_files",), ("measured_with",)]
    keys = ("format", "reference", "suspect", "verdict", "alpha", "log10_p", "evidence", "context")
    paths += [("comparison", key) for key in keys] + [("comparison", "suspect", "digest"), ("comparison", "context", "quick")]
    for path in paths:

        def change(predicate: dict[str, Any], path: tuple[str, ...] = path) -> None:
            for key in path[:-1]:
                predicate = predicate[key]
            predicate[path[-1]] = value

        try:
            found = check(changed(kind, change), tmp_path, at_hand("finetune"))
        except (CheckpointError, KeyError, TypeError) as error:
            if not isinstance(error, CheckpointError):  # the change broke this test's own rewriting of properties
                assert path == ("comparison",)
            continue
        json.dumps(found.to_json(), allow_nan=False)
        if path[-1] in ("verdict", "alpha", "evidence", "log10_p", "format"):
            assert found.conclusion != "holds"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["kinprint", "verify", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 where it holds, 3 where it does not, 1 for what is no statement, 2 for wrong use."""
    file = tmp_path / "finetune.intoto.json"
    file.write_text(written("in-toto"))
    assert run(monkeypatch, MODELS / "finetune", "--statement", file, "--reference", MODELS / "base", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["conclusion"]) == ("kinprint-statement-check/1", "holds")
    assert [one["what"] for one in found["checks"]] == ["files", "verdict", "reference", "comparison"]
    assert run(monkeypatch, MODELS / "twin", "--statement", file) == 3
    assert "CONTRADICTED" in capsys.readouterr().out
    file.write_text(changed("in-toto", lambda predicate: predicate["comparison"].update(verdict="identical")))
    assert run(monkeypatch, MODELS / "finetune", "--statement", file) == 0
    assert run(monkeypatch, MODELS / "finetune", "--statement", file, "--strict") == 4
    capsys.readouterr()
    assert run(monkeypatch, MODELS / "finetune", "--statement", MODELS / "base" / "config.json") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert run(monkeypatch, MODELS / "finetune", "--reference", MODELS / "base") == 2
    assert run(monkeypatch, "--all", MODELS, "--statement", file) == 2


def test_a_pedigree_of_ours_is_a_declaration_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kinprint verify` without --statement finds the ancestor in the document beside the model, and measures it."""
    folder = shutil.copytree(MODELS / "finetune", tmp_path / "finetune")
    (folder / "README.md").unlink()
    (folder / "finetune.cdx.json").write_text(written("cyclonedx"))
    assert run(monkeypatch, folder, "--models", MODELS, "--offline", "--strict") == 0
