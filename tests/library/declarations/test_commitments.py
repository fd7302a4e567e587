"""Commitments read back: to this model and no other, opened by one file and no other, and which of two was there first."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from command_line import Done, kinprint
from time_stamping import Authority, authority

import kinprint as package
from kinprint import Fingerprint
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.hashes import FileHash, hashes
from kinprint.errors import CheckpointError, ReportError
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.commitments import (
    FORMAT,
    PREDICATE_TYPE,
    SALT_BYTES,
    CommitmentCheck,
    Stamped,
    check_commitment,
    read_commitment,
)
from kinprint.library.declarations.in_toto import MAX_BYTES, PAYLOAD_TYPE, STATEMENT_TYPE
from kinprint.library.declarations.time_stamps import Stamp
from kinprint.reports import hidden_commitment, open_commitment

MODELS = Path(__file__).parents[3] / "examples" / "models"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SALT = bytes(range(SALT_BYTES))


@cache
def files(name: str) -> tuple[FileHash, ...]:
    return hashes(open_checkpoint(MODELS / name))


@cache
def measured(name: str) -> Fingerprint:
    return package.fingerprint(MODELS / name)


@cache
def ours() -> Authority:
    return authority("Ours")


def never() -> Fingerprint:
    pytest.fail("measured, where digests had decided")


def at_hand(name: str) -> AtHand:
    return AtHand(files(name), lambda: measured(name))


def shown(name: str = "base", salt: bytes = b"") -> str:
    return open_commitment(measured(name), files(name), salt)


def checked(text: str, folder: Path, model: AtHand, opening: str | None = None) -> CommitmentCheck:
    paths = folder / "commitment.json", folder / "opening.json"
    for path, content in zip(paths, (text, opening), strict=True):
        if content is not None:
            path.write_text(content)
    opened = None if opening is None else read_commitment(paths[1])
    return check_commitment(Stamped(read_commitment(paths[0]), None), model, opened)


def outcomes(found: CommitmentCheck) -> dict[str, str]:
    return {one.what: one.status for one in found.checks}


def test_an_open_one_is_to_this_model_alone(tmp_path: Path) -> None:
    """By the digests of its files, of which nothing is measured; a model of the same shape is not it."""
    found = checked(shown(), tmp_path, AtHand(files("base"), never))
    assert (found.conclusion, outcomes(found)) == ("holds", {"files": "holds"})
    other = checked(shown(), tmp_path, at_hand("twin"))
    assert (other.conclusion, outcomes(other)) == ("contradicted", {"files": "contradicted"})
    assert "model.safetensors differs" in other.checks[0].reason


def test_a_card_may_change_and_weights_may_not(tmp_path: Path) -> None:
    """Cards are edited after publication: then the fingerprint decides. One changed bit of the weights is another model."""
    folder = shutil.copytree(MODELS / "base", tmp_path / "base")
    (folder / "README.md").write_text("Edited since.")

    def found() -> CommitmentCheck:
        return checked(shown(), tmp_path, AtHand(hashes(open_checkpoint(folder)), lambda: package.fingerprint(folder)))

    edited = found()
    assert (edited.conclusion, outcomes(edited)) == ("holds", {"files": "not-checked", "fingerprint": "holds"})
    assert "README.md differs" in edited.checks[0].reason
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert found().conclusion == "contradicted"


def test_a_fingerprint_alone(tmp_path: Path) -> None:
    """It can be committed to without the weights; then both it and the model are recognised."""
    file = tmp_path / "base.kinprint"
    measured("base").save(file)
    assert kinprint("commit", file, "-o", tmp_path / "one.json").stdout.endswith(
        ": commits to 1 file and the fingerprint of base\n"
    )
    text = (tmp_path / "one.json").read_text()
    for name, conclusion in (("base", "holds"), ("twin", "contradicted")):
        for commitment in (text, shown()):
            assert checked(commitment, tmp_path, AtHand((), lambda name=name: measured(name))).conclusion == conclusion
        assert checked(text, tmp_path, at_hand(name)).conclusion == conclusion


def test_a_hidden_one_shows_nothing(tmp_path: Path) -> None:
    """Neither the model nor a digest of it, which whoever has the model could try; another salt gives another digest."""
    text = hidden_commitment(shown(salt=SALT))
    digests = {file.sha256 for file in files("base")} | {measured("base").digest, hashlib.sha256(shown().encode()).hexdigest()}
    assert not [digest for digest in digests if digest in text]
    assert "base" not in text
    assert text != hidden_commitment(shown(salt=SALT[::-1]))
    found = checked(text, tmp_path, AtHand(files("base"), never))
    assert (found.conclusion, outcomes(found), found.model) == ("not-testable", {"opening": "not-checked"}, None)


def test_what_opens_it(tmp_path: Path) -> None:
    """The file that it was made of, and none with another salt, model, or a space more."""
    text = hidden_commitment(shown(salt=SALT))
    found = checked(text, tmp_path, AtHand(files("base"), never), shown(salt=SALT))
    assert (found.conclusion, outcomes(found)) == ("holds", {"opening": "holds", "files": "holds"})
    assert found.to_json()["model"] == "base"
    for opening in (shown(salt=SALT[::-1]), shown(), shown("twin", SALT), shown(salt=SALT) + " ", text):
        tampered = checked(text, tmp_path, at_hand("base"), opening)
        assert (tampered.conclusion, outcomes(tampered)) == ("contradicted", {"opening": "contradicted"})
        assert "opening.json is not what" in tampered.checks[0].reason
        assert tampered.model is None
    assert checked(text, tmp_path, at_hand("twin"), shown(salt=SALT)).conclusion == "contradicted"


def stamped(folder: Path, name: str, when: datetime, accuracy: int = 0, **said: Any) -> Stamped:
    path = folder / f"{name}.json"
    path.write_text(shown(name))
    stamp = Stamp(path, when, timedelta(seconds=accuracy), f"CN={name}", **{"covers": True, "trusted": True, **said})
    return Stamped(read_commitment(path), stamp)


def order(first: Stamped, second: Stamped) -> tuple[str, str]:
    (found,) = (one for one in check_commitment(first, at_hand("base"), other=second).checks if one.what == "order")
    return found.status, found.reason


def test_which_was_there_first(tmp_path: Path) -> None:
    """The earlier one, by the word of authorities that are trusted; either way about, they agree."""
    first, second = stamped(tmp_path, "base", WHEN), stamped(tmp_path, "twin", WHEN + timedelta(days=1))
    assert order(first, second)[0] == "holds"
    assert order(second, first)[0] == "contradicted"
    assert "base.json by 2026-01-02 03:04:05 UTC (CN=base), " in order(first, second)[1]


def test_no_order_without_two_times(tmp_path: Path) -> None:
    """None where a stamp is missing, of another file, not trusted or not checked; nor where the two times are nearer to each
    other than the authorities are accurate."""
    first, later = stamped(tmp_path, "base", WHEN), WHEN + timedelta(seconds=5)
    for other, reason in (
        (Stamped(first.commitment, None), "has no time stamp"),
        (stamped(tmp_path, "twin", later, covers=False), "of another file"),
        (stamped(tmp_path, "twin", later, trusted=False, problem="who is that"), "who is that"),
        (stamped(tmp_path, "twin", later, trusted=None), "was not checked"),
        (stamped(tmp_path, "twin", later, accuracy=5), "nearer"),
        (stamped(tmp_path, "twin", WHEN), "nearer"),
    ):
        for pair in ((first, other), (other, first)):
            status, said = order(*pair)
            assert status == "not-checked"
            assert reason in said
    assert order(first, stamped(tmp_path, "twin", later, accuracy=4))[0] == "holds"


@pytest.mark.parametrize("bundle", [False, True])
def test_envelopes(bundle: bool, tmp_path: Path) -> None:
    """DSSE and Sigstore's bundle around it; that it is signed is said, and that nobody checked."""
    payload = base64.b64encode(shown().encode()).decode()
    envelope = {"payload": payload, "payloadType": PAYLOAD_TYPE, "signatures": []}
    found = checked(json.dumps({"dsseEnvelope": envelope} if bundle else envelope), tmp_path, at_hand("base"))
    assert (found.conclusion, found.to_json()["signature"]) == ("holds", "not checked")


def test_others_read_it() -> None:
    """in-toto's own library and sigstore-python take both kinds as statements."""
    from google.protobuf import json_format
    from in_toto_attestation.v1.statement import Statement
    from in_toto_attestation.v1.statement_pb2 import Statement as Message
    from sigstore.dsse import Statement as Signable

    for text in (shown(), hidden_commitment(shown(salt=SALT))):
        message = json_format.Parse(text, Message())
        Statement.copy_from_pb(message).validate()
        assert message.predicate_type == PREDICATE_TYPE
        Signable(text.encode())


def test_files_that_are_not_all_known() -> None:
    with pytest.raises(ReportError, match=r"the digest of more is not known.*; download"):
        open_commitment(measured("base"), (*files("base"), FileHash("more", 1, "")))
    with pytest.raises(ReportError, match=r"base: a statement is about files"):
        open_commitment(measured("base"), ())


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "other"}, {"predicateType": "other"}, {"predicate": None}, {"predicate": {"format": "other"}},
        {"predicate": {"format": FORMAT, "hidden": True}}, {"subject": None}, {"subject": []}, {"subject": [1]},
        {"subject": [{}]}, {"subject": [{"name": "a", "digest": {"sha256": "a"}}]}, {"predicate": {"format": FORMAT}},
        {"predicate": {"format": FORMAT, "fingerprint": {"blake3": 1}}},
        {"predicate": {"format": FORMAT, "fingerprint": {"blake3": "A" * 64}}},
    ],
)  # fmt: skip
def test_what_is_no_commitment(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"commitment\.json: .*; give one that `kinprint commit` wrote"):
        checked(json.dumps(json.loads(shown()) | change), tmp_path, at_hand("base"))


def verify(*arguments: object) -> Done:
    return kinprint("verify", *arguments)


def test_the_commands(tmp_path: Path) -> None:
    """commit, a stamp of an authority for each, and verify: exit 0 where all of it holds, 3 where it does not, 4 with --strict
    where something could not be told."""
    names = "mine.json", "secret.json", "theirs.json"
    mine, secret, theirs = (tmp_path / name for name in names)
    done = kinprint("commit", MODELS / "base", "-o", mine, "--opening", secret)
    assert (done.returncode, done.stdout.count("\n")) == (0, 2)
    assert secret.stat().st_mode & 0o077 == 0
    assert len(bytes.fromhex(json.loads(secret.read_text())["predicate"]["salt"])) == SALT_BYTES
    assert kinprint("commit", MODELS / "finetune", "-o", theirs).stdout.startswith(f"{theirs}: commits to ")
    assert json.loads(theirs.read_text())["_type"] == STATEMENT_TYPE
    stamps = tmp_path / "mine.tsr", tmp_path / "theirs.tsr"
    root = tmp_path / "root.pem"
    root.write_bytes(ours().pem)
    stamps[0].write_bytes(ours().response(mine.read_bytes(), WHEN))
    stamps[1].write_bytes(ours().response(theirs.read_bytes(), WHEN + timedelta(days=1)))
    opened = (MODELS / "base", "--statement", mine, "--opening", secret)
    trusting = ("--timestamp", stamps[0], "--tsa-certificate", root)
    against = ("--against-commitment", theirs, "--against-timestamp", stamps[1])
    found = json.loads(verify(*opened, *trusting, *against, "--json").stdout)
    assert (found["format"], found["conclusion"]) == ("kinprint-commitment-check/1", "holds")
    assert {one["what"]: one["status"] for one in found["checks"]} == dict.fromkeys(
        ("opening", "files", "time", "order"), "holds"
    )
    assert found["time"] == {"at": "2026-01-02T03:04:05+00:00", "accuracy": 0.0, "authority": "CN=Ours", "signature": "checked"}
    shown_text = verify(*opened, *trusting)
    assert (shown_text.returncode, "HOLDS" in shown_text.stdout) == (0, True)
    assert verify(*opened, "--timestamp", stamps[0], "--strict").returncode == 4  # who signed it was not checked
    assert verify(*opened, "--timestamp", stamps[1], "--tsa-certificate", root).returncode == 3  # of another file
    assert verify(MODELS / "twin", *opened[1:]).returncode == 3
    later = (MODELS / "finetune", "--statement", theirs, "--timestamp", stamps[1], "--tsa-certificate", root)
    assert verify(*later, "--against-commitment", mine, "--against-timestamp", stamps[0]).returncode == 3
    hidden = verify(MODELS / "base", "--statement", mine, "--strict")
    assert (hidden.returncode, "give the file that opens it" in " ".join(hidden.stdout.split())) == (4, True)


def test_errors_of_the_commands(tmp_path: Path) -> None:
    """One line that names the file and the remedy, exit code 1; 2 for wrong use."""
    mine, secret = tmp_path / "mine.json", tmp_path / "secret.json"
    assert kinprint("commit", MODELS / "base", "-o", mine).returncode == 0
    huge, comparison = tmp_path / "huge.json", tmp_path / "comparison.json"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    comparison.write_text('{"_type": "https://in-toto.io/Statement/v1", "predicateType": "other"}')
    secret.write_text("the opening of an earlier commitment")
    broken = tmp_path / "broken.tsr"
    broken.write_bytes(ours().response(mine.read_bytes(), WHEN)[:99])
    about = ("verify", MODELS / "base", "--statement")
    for arguments, words in (
        ((*about, tmp_path / "none.json"), ("none.json", "check the path")),
        ((*about, huge), ("huge.json", "larger than the 64,000,000 bytes")),
        ((*about, mine, "--opening", mine), ("mine.json", "leave --opening out")),
        ((*about, mine, "--timestamp", tmp_path / "none.tsr"), ("none.tsr", "check the path")),
        ((*about, mine, "--timestamp", broken), ("broken.tsr", "ask the authority for the token again")),
        ((*about, mine, "--timestamp", huge), ("huge.json", "larger than the 1,000,000 bytes")),
        ((*about, mine, "--against-commitment", comparison), ("comparison.json", "`kinprint commit`")),
        (("commit", tmp_path / "none"), ("none", "check the path")),
        (("commit", MODELS / "base", "--opening", secret), ("secret.json", "give the name of a new file")),
        (("commit", MODELS / "base", "-o", tmp_path / "no" / "c.json"), ("c.json", "cannot be written")),
        (("commit", MODELS / "base", "-o", tmp_path / "no" / "c.json", "--opening", tmp_path / "o.json"), ("c.json",)),
        (("commit", MODELS / "base", "--opening", tmp_path / "no" / "o.json"), ("o.json", "cannot be written")),
    ):
        done = kinprint(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
        assert [word for word in words if word not in done.stderr] == []
    assert secret.read_text() == "the opening of an earlier commitment"
    assert not (tmp_path / "o.json").exists()
    for arguments in (
        ("verify", MODELS / "base", "--timestamp", broken),
        (*about, mine, "--timestamp", broken, "--reference", MODELS / "base"),
        (*about, mine, "--against-timestamp", broken),
        (*about, mine, "--tsa-certificate", broken),
        ("commit", MODELS / "base", "-o", tmp_path / "one.json", "--opening", tmp_path / "one.json"),
    ):
        assert kinprint(*arguments).returncode == 2
    assert not (tmp_path / "one.json").exists()
