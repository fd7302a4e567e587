"""The shipped probe set, and texts of the user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kinprint.errors import ProbeError
from kinprint.observation import Probe, read_texts, shipped


def test_what_ships() -> None:
    """Distinct, short, printable; the digest names this set: raise the version in probe.json when it has to change."""
    probe = shipped()
    assert (len(probe.texts), len(probe.questions), len(probe.followups)) == (240, 60, 24)
    everything = (*probe.texts, *probe.questions, *probe.followups)
    assert len(set(everything)) == len(everything)
    assert all(len(text.split()) <= 80 and text.replace("\n", "").replace("\t", "").isprintable() for text in everything)
    assert probe.texts_digest != Probe(probe.texts[::-1], probe.questions, probe.followups).texts_digest
    assert probe.texts_digest.startswith("35fd53a4efc46966")


def test_forms_of_texts(tmp_path: Path) -> None:
    texts = ("one text", "ein zweiter Text", "三")
    (tmp_path / "a.txt").write_text("\n\n".join(texts), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": text, "id": 1}) for text in texts) + "\n\n")
    assert read_texts(tmp_path / "a.txt") == texts == read_texts(tmp_path / "a.jsonl")
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": list(texts), "n": [1, 2, 3]}), tmp_path / "a.parquet")
    assert read_texts(tmp_path / "a.parquet") == texts


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", b"x", "by its name"),
        ("a.txt", b"", "holds 0 texts"),
        ("a.txt", b"\xff\xfe\n", "UTF-8"),
        ("a.txt", b"only one", "holds 1 texts"),
        ("a.jsonl", b'{"text": "a"}\n{"txt": "b"}', "line 2"),
        ("a.jsonl", b'{"text": 3}\n', "line 1"),
        ("a.jsonl", b"[" * 100_000, "line 1"),
        ("a.txt", b"a\n" + b"b" * 2_000_000, "more than"),
        ("a.parquet", b"PAR1 nonsense", "parquet"),
    ],
)
def test_bad_texts(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ProbeError, match=problem):
        read_texts(tmp_path / name)
    with pytest.raises(ProbeError, match="check the path"):
        read_texts(tmp_path / "absent.txt")
