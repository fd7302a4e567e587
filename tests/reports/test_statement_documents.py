"""Documents for the supply chain: what other people's tools say of them, and that they say no more than was measured."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kinprint
from kinprint import Fingerprint
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.hashes import FileHash, hashes
from kinprint.cli import main
from kinprint.comparison import Comparison
from kinprint.errors import ReportError
from kinprint.library.declarations import commitments
from kinprint.library.declarations.in_toto import PAYLOAD_TYPE
from kinprint.library.declarations.statements import PREDICATE_TYPE, read_statement
from kinprint.reports import cyclonedx_bom, in_toto_statement

MODELS = Path(__file__).parents[2] / "examples" / "models"
EVIL = '<img src=x onerror="alert(1)">\x1b[31m\u202e"}]\ud800'
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@cache
def compared(reference: str, suspect: str) -> tuple[Comparison, dict[str, tuple[FileHash, ...]]]:
    files = {side: hashes(open_checkpoint(MODELS / name)) for side, name in (("reference", reference), ("suspect", suspect))}
    return kinprint.compare(MODELS / reference, MODELS / suspect), files


def component(reference: str, suspect: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cyclonedx_bom(*compared(reference, suspect)))["components"][0]
    return found


def stranger(name: str, seed: int, **provenance: Any) -> Fingerprint:
    rng = np.random.default_rng(seed)
    traits = {"gains.input": rng.normal(1, 0.1, (4, 64)), "channels.q": rng.normal(1, 0.1, (4, 64))}
    return Fingerprint(name, traits, {"model_type": EVIL.replace("\ud800", "")}, provenance)


def hostile() -> tuple[Comparison, dict[str, tuple[FileHash, ...]]]:
    """A related pair whose names, cards and files are markup and control characters."""
    name = "".join(c for c in EVIL if c.isprintable())
    told = {"base_model": [EVIL.replace("\ud800", ""), {"a": 1}], "source": EVIL.replace("\ud800", "")}
    pair = stranger(name, 0, **told), stranger(f"{name}/{name}", 0, **told, revision="\x07main")
    files = tuple(FileHash(EVIL + str(number), 1, f"{number:064x}", EVIL) for number in range(2))
    return kinprint.compare(*pair), {"reference": files, "suspect": files}


def valid(text: str) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


@pytest.mark.parametrize("suspect", ["finetune", "twin", "base"])
def test_the_schema_of_cyclonedx(suspect: str) -> None:
    """CycloneDX's own validator, strict, has nothing to say; with and without a time."""
    valid(cyclonedx_bom(*compared("base", suspect)))
    valid(cyclonedx_bom(*compared("base", suspect), when=WHEN))


def test_the_library_reads_it_back() -> None:
    """cyclonedx-python-lib gives the component with its digests and its pedigree."""
    from cyclonedx.model.bom import Bom

    text = json.loads(cyclonedx_bom(*compared("base", "finetune")))
    for model in (text["components"][0], text["components"][0]["pedigree"]["ancestors"][0]):
        del model["modelCard"]  # the library knows none
    bom = Bom.from_json(text)  # type: ignore[attr-defined]
    (suspect,) = bom.components
    (ancestor,) = suspect.pedigree.ancestors
    assert (suspect.name, suspect.type.value, ancestor.name) == ("finetune", "machine-learning-model", "base")
    digests = {file.name: next(iter(file.hashes)).content for file in suspect.components}
    assert digests == {file.name: file.sha256 for file in compared("base", "finetune")[1]["suspect"]}


def test_no_evidence_is_no_ancestry() -> None:
    """Of a model without evidence, or that is untestable, the reference appears nowhere in the pedigree."""
    twin = component("base", "twin")
    assert "pedigree" not in twin
    assert {"name": "kinprint:verdict", "value": "no-evidence"} in twin["properties"]
    alone = kinprint.compare(stranger("a", 0), Fingerprint("b", {"moments.q": np.ones((4, 6))}))
    assert alone.verdict == "untestable"
    assert "pedigree" not in json.loads(cyclonedx_bom(alone, {"reference": (), "suspect": ()}))["components"][0]


@pytest.mark.parametrize(
    ("ours", "theirs", "place"),
    [
        (None, None, "variants"),
        ("org/base", None, "ancestors"),
        (["other", "base"], None, "ancestors"),
        ("other/base", None, "variants"),
        (None, "tuned@v1", "descendants"),
        ("base", "tuned", "variants"),
        ({"org/base": 1}, None, "variants"),
    ],
)
def test_direction_is_declared_and_never_measured(ours: Any, theirs: Any, place: str) -> None:
    """A relative is an ancestor only where the suspect's card says so; else CycloneDX has a word for it, variant."""
    found = kinprint.compare(stranger("org/base", 1, base_model=theirs), stranger("tuned", 1, base_model=ours))
    assert found.verdict in ("related", "identical")
    text = cyclonedx_bom(found, {"reference": (), "suspect": ()})
    valid(text)
    suspect = json.loads(text)["components"][0]
    assert [name for name in suspect["pedigree"] if name != "notes"] == [place]
    assert "not measured" in suspect["pedigree"]["notes"]
    assert any(p["name"] == "kinprint:direction" and p["value"].startswith("not measured") for p in suspect["properties"])


def test_models_of_hubs_have_a_package_url() -> None:
    """Name, owner and commit as pkg:huggingface; a folder on this machine has none, and its path is in no document."""
    pair = stranger("org/base", 1, revision="abc", source="org/base@main"), stranger("t", 1, source="/home/me/secret/t")
    found, files = kinprint.compare(*pair), (FileHash("model.safetensors", 1, "0" * 64),)
    text = cyclonedx_bom(found, {"reference": files, "suspect": files})
    other = json.loads(text)["components"][0]["pedigree"]["variants"][0]
    assert other["purl"] == "pkg:huggingface/org/base@abc"
    assert (other["group"], other["name"], other["version"]) == ("org", "base", "abc")
    statement = in_toto_statement(found, {"reference": files, "suspect": files})
    assert json.loads(statement)["predicate"]["comparison"]["reference"]["source"] == "org/base@main"
    assert "secret" not in statement + text


@pytest.mark.parametrize("write", [cyclonedx_bom, in_toto_statement])
def test_the_same_comparison_gives_the_same_bytes(write: Any) -> None:
    """Nothing of chance or of the clock; another pair has another serial number."""
    compared.cache_clear()
    first = write(*compared("base", "finetune"))
    compared.cache_clear()
    assert write(*compared("base", "finetune")) == first
    assert write(*compared("base", "finetune"), WHEN) != first
    assert "2026-01-02T03:04:05" in write(*compared("base", "finetune"), WHEN)
    if write is cyclonedx_bom:
        serials = {json.loads(write(*compared("base", name)))["serialNumber"] for name in ("finetune", "twin")}
        assert len(serials) == 2


def test_what_strangers_say_is_data() -> None:
    """Names, cards, notes and files of markup and control characters: valid documents, nothing outside their strings."""
    found = hostile()
    for text in (cyclonedx_bom(*found), in_toto_statement(*found)):
        assert text.isascii()
        assert not {"\x1b", "\x07"} & set(text)
        text.encode()
    valid(cyclonedx_bom(*found))
    assert len(json.loads(in_toto_statement(*found))["subject"]) == 2


def test_the_attestation_library_reads_the_statement() -> None:
    """in-toto's own library parses it and finds nothing wrong, and sees the digests and the comparison."""
    from google.protobuf import json_format
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message

    text = in_toto_statement(*compared("base", "finetune"))
    statement = Statement.copy_from_pb(json_format.Parse(text, Message()))
    statement.validate()
    assert {one.name: one.digest["sha256"] for one in statement.pb.subject} == {
        file.name: file.sha256 for file in compared("base", "finetune")[1]["suspect"]
    }
    assert statement.pb.predicate_type == PREDICATE_TYPE
    assert json_format.MessageToDict(statement.pb)["predicate"]["comparison"]["verdict"] == "related"


def test_sigstore_reads_the_statement() -> None:
    """sigstore-python takes the bytes as a statement it can sign (`Signer.sign_dsse`)."""
    from sigstore.dsse import Statement

    text = in_toto_statement(*compared("base", "finetune"))
    assert Statement(text.encode())._contents == text.encode()
    assert len(Statement(text.encode())._inner.subjects) == len(compared("base", "finetune")[1]["suspect"])


def test_signed_by_a_local_key(tmp_path: Path) -> None:
    """An envelope (DSSE) signed by a key of securesystemslib is verified by it, not after a change, and is read back."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import CryptoSigner

    signer = CryptoSigner.generate_ecdsa()
    text = in_toto_statement(*compared("base", "finetune"))
    envelope = Envelope(text.encode(), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    file = tmp_path / "finetune.dsse.json"
    file.write_text(json.dumps(envelope.to_dict()))
    received = Envelope.from_dict(json.loads(file.read_text()))
    received.verify([signer.public_key], 1)
    assert received.payload == text.encode()
    statement = read_statement(file)
    assert (statement.kind, statement.signed, statement.verdict) == ("DSSE envelope", True, "related")
    received.payload = text.replace('"related"', '"identical"').encode()
    with pytest.raises(VerificationError):
        received.verify([signer.public_key], 1)


def test_signed_with_the_model(tmp_path: Path) -> None:
    """model-signing covers a statement that lies in the model's folder: a changed word of it breaks the signature."""
    import shutil

    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import signing, verifying

    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(public)
    model = shutil.copytree(MODELS / "finetune", tmp_path / "finetune")
    statement = model / "base.intoto.json"
    statement.write_text(in_toto_statement(*compared("base", "finetune")))
    signing.Config().use_elliptic_key_signer(private_key=tmp_path / "key").sign(model, tmp_path / "model.sig")
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pub")
    verifier.verify(model, tmp_path / "model.sig")
    statement.write_text(statement.read_text().replace('"related"', '"identical"'))
    with pytest.raises(ValueError, match="intoto"):
        verifier.verify(model, tmp_path / "model.sig")


def test_a_statement_needs_files() -> None:
    """A fingerprint has none, and of a model that was fetched in part not all digests are known: one clear error."""
    found, files = compared("base", "finetune")
    with pytest.raises(ReportError, match="give the checkpoint"):
        in_toto_statement(found, {**files, "suspect": ()})
    with pytest.raises(ReportError, match="download the model"):
        in_toto_statement(found, {**files, "suspect": (*files["suspect"], FileHash("more", 1, ""))})
    valid(cyclonedx_bom(found, {**files, "suspect": (*files["suspect"], FileHash("more", 1, ""))}))


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Both files, with the time that SOURCE_DATE_EPOCH gives; a wrong one is wrong use."""
    bom, statement = tmp_path / "finetune.cdx.json", tmp_path / "finetune.intoto.json"
    arguments = ["kinprint", "compare", str(MODELS / "base"), str(MODELS / "finetune"), "--json"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--cyclonedx", str(bom), "--in-toto", str(statement)])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(WHEN.timestamp())))
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    shown = json.loads(capsys.readouterr().out)
    valid(bom.read_text())
    assert json.loads(bom.read_text())["metadata"]["timestamp"].startswith("2026-01-02T03:04:05")
    stated = json.loads(statement.read_text())["predicate"]
    assert stated["made"] == "2026-01-02T03:04:05Z"
    assert stated["comparison"]["evidence"] == shown["evidence"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what to install, before anything is compared; --in-toto needs nothing."""
    monkeypatch.setitem(sys.modules, "cyclonedx.model.component", None)
    arguments = ["kinprint", "compare", str(MODELS / "base"), str(MODELS / "finetune"), "--json"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--in-toto", str(tmp_path / "statement.json")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    monkeypatch.setattr("kinprint.cli.compare.read", lambda *_, **__: pytest.fail("measured first"))
    monkeypatch.setattr(sys, "argv", [*arguments, "--cyclonedx", str(tmp_path / "bom.json")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "kinprint[supply-chain]" in capsys.readouterr().err


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command of kinprint on the page runs, in order, and the type that it names is the type that is written."""
    page = (MODELS.parents[1] / "docs" / "supply-chain.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("kinprint ") and not line.endswith("\\")]
    commands = [line.split("#")[0].split() for line in lines]
    assert len(commands) == 6
    (tmp_path / "examples").symlink_to(MODELS.parent)
    monkeypatch.chdir(tmp_path)
    for command in commands:
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
    assert "HOLDS" in capsys.readouterr().out
    assert page.count(PREDICATE_TYPE) == 2
    assert page.count(commitments.PREDICATE_TYPE) == 1
