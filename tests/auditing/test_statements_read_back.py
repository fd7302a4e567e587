"""Documents of an audit read back: the end of the chain and no other model, and a conclusion that follows from its findings."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoint_chains import LLAMA, llama, trained, write
from command_line import kinprint as run

import kinprint
from kinprint.auditing import Stage
from kinprint.auditing.statements import AuditCheck, check_audit, read_audit
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.hashes import hashes
from kinprint.errors import CheckpointError
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.in_toto import PAYLOAD_TYPE
from kinprint.reports.audit_in_toto import audit_statement

STEPS = (0, 100, 200, 300)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("chain")
    return [
        write(each, folder / f"step{step}", LLAMA) for step, each in zip(STEPS, trained(llama(1), 1, len(STEPS)), strict=True)
    ]


@pytest.fixture(scope="module")
def written(chain: list[Path]) -> str:
    """The document of an audit that holds."""
    stages = [
        Stage(str(at), at.name, step, f"2026-03-{day:02}") for day, (at, step) in enumerate(zip(chain, STEPS, strict=True), 1)
    ]
    return audit_statement(kinprint.audit(stages), [hashes(open_checkpoint(each)) for each in chain])


@pytest.fixture
def check(chain: list[Path], written: str, tmp_path: Path) -> Callable[..., AuditCheck]:
    """What is found about the document, changed, and a model."""

    def found(change: Callable[[dict[str, Any]], None] = lambda audit: None, model: Path | None = None) -> AuditCheck:
        document = json.loads(written)
        change(document["predicate"]["audit"])
        (tmp_path / "audit.json").write_text(json.dumps(document))
        place = model or chain[-1]
        files = () if place.suffix else hashes(open_checkpoint(place))
        return check_audit(read_audit(tmp_path / "audit.json"), AtHand(files, lambda: kinprint.fingerprint(place)))

    return found


def outcomes(found: AuditCheck) -> dict[str, str]:
    return {each.what: each.status for each in found.checks}


def test_what_was_written_holds(check: Callable[..., AuditCheck], chain: list[Path], tmp_path: Path) -> None:
    """For the release's files; for its weights beside another card; for its fingerprint."""
    assert (check().conclusion, outcomes(check())) == ("holds", {"files": "holds", "chain": "holds", "conclusion": "holds"})
    assert "dated 2026-03-01 to 2026-03-04" in check().checks[1].reason
    edited = shutil.copytree(chain[-1], tmp_path / "edited")
    (edited / "config.json").write_text(json.dumps({**LLAMA, "bos_token_id": 1}))
    found = check(model=edited)
    assert (found.conclusion, outcomes(found)["files"]) == ("holds", "not-checked")
    kinprint.fingerprint(chain[-1]).save(tmp_path / "release.kinprint")
    assert outcomes(check(model=tmp_path / "release.kinprint"))["fingerprint"] == "holds"


def test_another_model_contradicts(check: Callable[..., AuditCheck], chain: list[Path], tmp_path: Path) -> None:
    """A stranger; a checkpoint of the chain that is not its end is named."""
    found = check(model=chain[1])
    assert (found.conclusion, found.checks[0].reason) == (
        "contradicted",
        "it is checkpoint 2 of 4 of the chain (step 100), not its end",
    )
    assert check(model=write(llama(9), tmp_path / "stranger", LLAMA)).conclusion == "contradicted"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda audit: audit.update(conclusion="broken"), "it says broken, but its findings say holds"),
        (lambda audit: audit["findings"][0].update(log10_p=-2.0), "said to be holds, against its p-value"),
        (lambda audit: audit["findings"].pop(1), "not every link"),
        (lambda audit: audit.update(findings=[f for f in audit["findings"] if f["about"] != "start"]), "shows no training"),
        (lambda audit: audit["findings"][0].update(log10_p=None), "has no p-value"),
        (lambda audit: audit.update(searched=7), "neither end is kin"),
    ],
)
def test_findings_that_do_not_add_up(
    check: Callable[..., AuditCheck], change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    """Whoever changes what was found, or leaves a question out, contradicts himself."""
    found = check(change)
    assert found.conclusion == "contradicted"
    assert reason in found.checks[-1].reason


def test_a_lenient_level_is_not_taken(check: Callable[..., AuditCheck]) -> None:
    assert check(lambda audit: audit.update(alpha=0.01)).conclusion == "not-testable"


def test_steps_and_dates_go_forwards(check: Callable[..., AuditCheck]) -> None:
    found = check(lambda audit: audit["chain"][2].update(date="2026-01-01"))
    assert (found.conclusion, outcomes(found)["chain"]) == ("contradicted", "contradicted")


@pytest.mark.parametrize(
    "change",
    [
        lambda audit: audit.update(format="kinprint-audit/2"),
        lambda audit: audit.update(alpha=2),
        lambda audit: audit.update(chain=audit["chain"][-1:]),
        lambda audit: audit["chain"][-1].update(files=[]),
        lambda audit: audit["chain"][0].update(fingerprint="0"),
        lambda audit: audit["chain"][0].update(step=-1),
        lambda audit: audit["chain"][0].update(date="soon"),
        lambda audit: audit.update(findings=[1]),
        lambda audit: audit["findings"][0].update(log10_p=3),
        lambda audit: audit["findings"][0].update(log10_p=10**400),
        lambda audit: audit["findings"][0].update(about="weather"),
    ],
)
def test_what_is_no_audit_is_refused(check: Callable[..., AuditCheck], change: Callable[[dict[str, Any]], None]) -> None:
    with pytest.raises(CheckpointError, match="kinprint audit --in-toto"):
        check(change)


def test_the_command(chain: list[Path], written: str, tmp_path: Path) -> None:
    """Bare or in an envelope; what was found is shown; options of other documents are wrong use."""
    file = tmp_path / "audit.json"
    envelope = {"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(written.encode()).decode(), "signatures": []}
    for text in (written, json.dumps(envelope)):
        file.write_text(text)
        shown = run("verify", chain[-1], "--statement", file)
        assert shown.returncode == 0
        assert "an audit of 4 checkpoints, step 0 to step 300: holds" in " ".join(shown.stdout.split())
        assert "each is kin to the next" in shown.stdout
    told = json.loads(run("verify", chain[0], "--statement", file, "--json").stdout)
    assert (told["format"], told["conclusion"], told["audit"]["conclusion"]) == (
        "kinprint-audit-check/1",
        "contradicted",
        "holds",
    )
    assert run("verify", chain[0], "--statement", file).returncode == 3
    assert run("verify", chain[-1], "--statement", file, "--reference", chain[0]).returncode == 2
    assert run("verify", chain[-1], "--statement", file, "--opening", file).returncode == 2
