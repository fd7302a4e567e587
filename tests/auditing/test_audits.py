"""Audits of small chains, true ones and every kind of broken one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoint_chains import GPT2, LLAMA, Tensors, gpt2, llama, trained, write
from command_line import kinprint as run

import kinprint
from kinprint import transforms
from kinprint.auditing import CANNOT_SHOW, Audit, Stage
from kinprint.errors import ChainError, CheckpointError

STAGES = 5
STEPS = [100 * number for number in range(STAGES)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chains")


@pytest.fixture(scope="module")
def own(place: Path) -> list[Tensors]:
    return list(trained(llama(1), 1, STAGES))


@pytest.fixture(scope="module")
def other(place: Path) -> list[Tensors]:
    return list(trained(llama(2), 2, STAGES))


@pytest.fixture(scope="module")
def honest(own: list[Tensors], place: Path) -> list[Path]:
    return [write(each, place / "honest" / f"step{step}", LLAMA) for step, each in zip(STEPS, own, strict=True)]


@pytest.fixture(scope="module")
def strangers(other: list[Tensors], place: Path) -> list[Path]:
    return [write(each, place / "strangers" / f"step{step}", LLAMA) for step, each in zip(STEPS, other, strict=True)]


def audited(places: list[Path], steps: list[int] | None = None, **options: object) -> Audit:
    stages = [Stage(str(each), each.name, step) for each, step in zip(places, steps or STEPS, strict=False)]
    return kinprint.audit(stages, **options)  # type: ignore[arg-type]


def broken(audit: Audit) -> list[tuple[str, str]]:
    return [(finding.about, finding.where) for finding in audit.findings if finding.state == "broken"]


def test_a_true_chain_holds(honest: list[Path]) -> None:
    audit = audited(honest)
    assert (audit.conclusion, [each.words for each in audit.findings if each.state != "holds"]) == ("holds", [])
    assert audit.weakest is not None
    assert audit.weakest < -6
    assert "All 5 checkpoints are kin" in audit.sentence()


def test_fingerprints_show_all_but_the_spectra_of_the_start(honest: list[Path], tmp_path: Path) -> None:
    """Fingerprints of the same checkpoints: the same findings, but for what only weights say."""
    for each in honest:
        kinprint.fingerprint(each).save(tmp_path / f"{each.name}.kinprint")
    found = kinprint.audit([tmp_path / f"{each.name}.kinprint" for each in honest])
    assert found.conclusion == "not-testable"
    assert [each.words[:6] for each in found.findings if each.state == "not-testable"] == ["spikes"]
    held = kinprint.audit([kinprint.fingerprint(each) for each in honest])
    assert [each.to_json() for each in held.findings] == [each.to_json() for each in found.findings]


def test_a_foreign_start_is_named(honest: list[Path], strangers: list[Path]) -> None:
    audit = audited([strangers[0], *honest[1:]])
    assert broken(audit) == [("kinship", "step 0 to step 100")]
    assert "do not come from step 0" in audit.of("kinship")[0].words


def test_a_trained_start_is_named(honest: list[Path]) -> None:
    """A chain that begins in the middle of a training."""
    audit = audited(honest[2:])
    assert {where for _, where in broken(audit)} == {"step 0"}
    assert {about for about, _ in broken(audit)} == {"start"}


def test_weights_that_come_in_at_a_step_are_named(
    honest: list[Path], own: list[Tensors], other: list[Tensors], tmp_path: Path
) -> None:
    """One layer is a stranger's from the third checkpoint on."""
    mixed = [
        write({name: (b if "layers.1." in name else a)[name] for name in a}, tmp_path / str(i), LLAMA)
        for i, (a, b) in enumerate(zip(own[2:], other[2:], strict=True))
    ]
    audit = audited([*honest[:2], *mixed])
    assert broken(audit) == [("drift", "step 100 to step 200")]
    assert audit.of("drift")[0].words.startswith("layer 1 changed by")


def test_a_disguised_stranger_is_named(honest: list[Path], strangers: list[Path], tmp_path: Path) -> None:
    transforms.apply("disguise", strangers[2], tmp_path / "hidden", seed=3, steps="rotate,scale,permute", check=False)
    audit = audited([*honest[:2], tmp_path / "hidden", *honest[3:]])
    assert broken(audit) == [("kinship", "step 100 to step 200"), ("kinship", "step 200 to step 300")]
    assert "step 200 is a stranger, the checkpoints around it are kin" in audit.of("kinship")[1].words


def test_another_run_from_a_step_on_is_named(honest: list[Path], strangers: list[Path]) -> None:
    audit = audited([*honest[:3], *strangers[3:]])
    assert broken(audit) == [("kinship", "step 200 to step 300")]
    assert "what begins at step 300" in audit.of("kinship")[2].words


def test_a_missing_checkpoint_is_named(honest: list[Path]) -> None:
    audit = audited([*honest[:2], *honest[3:]], [0, 100, 300, 400])
    assert audit.conclusion == "not-testable"
    (found,) = audit.of("intervals")
    assert (found.state, found.where) == ("not-testable", "step 100 to step 300")
    assert "no checkpoint is missing" in audit.sentence()


def test_kin_of_either_end_are_named(honest: list[Path], strangers: list[Path]) -> None:
    """Others that are strangers do not matter, nor does the release itself; a descendant of others' start does."""
    assert audited(honest, against=[strangers[-1], honest[-1]]).conclusion == "holds"
    audit = audited(strangers[:1] + honest[1:], against=[strangers[-1]])
    assert ("outsiders", "step 0") in broken(audit)
    assert ("outsiders", "step 400") not in broken(audit)


def test_kin_in_a_library_are_named(honest: list[Path], strangers: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    library = kinprint.Library.open(tmp_path / "library", create=True)
    library.add([kinprint.fingerprint(each) for each in (honest[2], strangers[-1], honest[-1])])
    others = [strangers[0], strangers[1]]
    assert [finding.where for finding in audited(others, library=library).of("outsiders")] == ["step 0", "step 100"]
    chain = audited(honest, library=library)
    assert chain.searched == 3
    assert chain.state_of("outsiders") == "holds"


def test_another_family_in_the_middle_is_no_kin(honest: list[Path], tmp_path: Path) -> None:
    """Its matrices have no counterpart: the links are not called kin, and nothing fails."""
    audit = audited([*honest[:2], write(gpt2(9), tmp_path / "gpt2", GPT2), *honest[3:]])
    states = [finding.state for finding in audit.of("kinship")]
    assert [states[0], states[3]] == ["holds", "holds"]
    assert "holds" not in states[1:3]
    assert audit.conclusion != "holds"


def test_a_start_of_another_family_holds(tmp_path: Path) -> None:
    chain = [write(each, tmp_path / str(i), GPT2) for i, each in enumerate(trained(gpt2(5), 5, 4))]
    assert audited(chain).conclusion == "holds"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_an_error(honest: list[Path], own: list[Tensors], tmp_path: Path, value: float) -> None:
    damaged = {name: each.copy() for name, each in own[2].items()}
    damaged["model.layers.0.mlp.up_proj.weight"][3, 4] = value
    with pytest.raises(ChainError, match="damaged: 1 weights are not finite"):
        audited([*honest[:2], write(damaged, tmp_path / "damaged", LLAMA)])


def test_one_checkpoint_is_no_chain(honest: list[Path]) -> None:
    with pytest.raises(ChainError, match="two checkpoints or more"):
        kinprint.audit(honest[:1])


def test_an_unreadable_checkpoint_is_an_error(honest: list[Path], tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError):
        kinprint.audit([honest[0], tmp_path])


def test_the_command_writes_all_its_reports(honest: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text of at most 40 lines, JSON, a page without a script of others, and a statement about the release's files."""
    monkeypatch.setenv("COLUMNS", "120")
    chain = tmp_path / "chain.toml"
    chain.write_text("".join(f'[[checkpoint]]\npath = "{p}"\nstep = {s}\n' for p, s in zip(honest, STEPS, strict=True)))
    html, statement = tmp_path / "audit.html", tmp_path / "audit.json"
    shown = run("audit", "--chain", chain, "--html", html, "--in-toto", statement)
    assert shown.returncode == 0
    assert "HOLDS" in shown.stdout
    assert len(shown.stdout.splitlines()) <= 40
    assert all(each[:60] in page for page in (html.read_text().replace("&#39;", "'"),) for each in CANNOT_SHOW)
    stated = json.loads(statement.read_text())
    assert [each["name"] for each in stated["subject"]] == ["config.json", "model.safetensors"]
    assert [len(each["files"]) for each in stated["predicate"]["audit"]["chain"]] == [2] * STAGES
    found = json.loads(run("audit", "--chain", chain, "--json").stdout)
    assert (found["format"], found["conclusion"]) == ("kinprint-audit/1", "holds")
    assert found["findings"] == stated["predicate"]["audit"]["findings"]


def test_exit_codes(honest: list[Path], strangers: list[Path], tmp_path: Path) -> None:
    """3: broken; 4 with --strict: something could not be tested; 2: wrong use; 1: an input that cannot be read."""
    files = [tmp_path / f"{number}.kinprint" for number in range(2)]
    for each, file in zip(honest, files, strict=False):
        kinprint.fingerprint(each).save(file)
    shown = run("audit", strangers[0], *honest[1:3])
    assert shown.returncode == 3
    assert "BROKEN" in shown.stdout
    assert run("audit", *files).returncode == 0
    statement = tmp_path / "statement.json"
    assert run("audit", *files, "--strict", "--in-toto", statement).returncode == 4
    assert [each["name"] for each in json.loads(statement.read_text())["subject"]] == ["1.kinprint"]
    assert run("audit").returncode == 2
    assert run("audit", honest[0], "--chain", statement).returncode == 2
    assert run("audit", honest[0]).returncode == 1
    assert "two checkpoints or more" in run("audit", honest[0]).stderr


def test_a_broken_chain_of_many_findings_stays_short(strangers: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = run("audit", *reversed(strangers), "--against", strangers[2], "--against", strangers[3])
    assert shown.returncode == 3
    assert len(shown.stdout.splitlines()) <= 40
