"""What strangers call things is shown harmlessly."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kinprint.checkpoints.files import file_name
from kinprint.cli import main

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
EVIL = "\x1b[31m<script>alert(1)</script>\n\u202e../../etc/passwd\x07" + "A" * 5000


def model(folder: Path, evil: str) -> Path:
    """A small Llama whose configuration, card and tokenizer are full of it."""
    folder.mkdir()
    shutil.copy(CORPUS / "companions" / "llama.safetensors", folder / "model.safetensors")
    config = json.loads((CORPUS / "config" / "llama").read_text())
    changes = {"model_type": evil, "_name_or_path": evil, "architectures": [evil], "hidden_act": evil, "torch_dtype": evil}
    (folder / "config.json").write_text(json.dumps(config | changes))
    (folder / "README.md").write_text(f"---\nbase_model: {json.dumps(evil)}\n---\n# {evil}\n")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {evil: 0, "b": 1}}}))
    return folder


def ran() -> int:
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_comparison(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No escape, no line of its own, no direction of writing, no endless text in the report; JSON says it in JSON's escapes."""
    monkeypatch.setattr(
        "sys.argv",
        [
            "kinprint",
            "compare",
            str(model(tmp_path / "a", EVIL)),
            str(model(tmp_path / "b", EVIL + "x")),
            "--no-cache",
            *options,
        ],
    )
    assert ran() == 0
    shown = capsys.readouterr()
    assert not {"\x1b", "\u202e", "\x07"} & set(shown.out + shown.err)
    if options:
        assert json.loads(shown.out)["format"] == "kinprint-comparison/1"
    else:
        assert len(shown.out) < 60_000


def test_the_name_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be called anything that prints: what is written is called by its letters, here; else one line says so."""
    monkeypatch.chdir(tmp_path)
    for name in ("<b>$(touch x);", "-rf", "..hidden", "a b\u0301"):
        monkeypatch.setattr("sys.argv", ["kinprint", "fingerprint", str(model(tmp_path / name, "llama")), "--no-cache"])
        assert ran() == 0
    assert all(path.parent == tmp_path and not set(path.name) & set("<>$;() /\\") for path in tmp_path.glob("*.kinprint"))
    assert len(list(tmp_path.glob("*.kinprint"))) == 4
    monkeypatch.setattr("sys.argv", ["kinprint", "fingerprint", str(model(tmp_path / "a\x1b[2J", "llama")), "--no-cache"])
    assert ran() == 1
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["\U0001d49c" * 100, "-rf", "..", "\u202e/../x", "", "\ud800"])
def test_a_name_as_the_name_of_a_file(name: str) -> None:
    """A file of this folder that can be written, is seen, and is taken for no option."""
    found = file_name(name)
    assert 0 < len(f".{found}.kinprint.{'0' * 16}.tmp".encode()) <= 255
    assert found[0] not in ".-"
    assert "/" not in found


def test_a_zoo_of_a_stranger(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that look like rich's markup are text, and do not end the command."""
    models = [{"name": "a", "family": "[/nope]", "kind": "[link=https://example.org]k[/link]"}]
    (tmp_path / "lineage.json").write_text(json.dumps({"format": "kinprint-zoo/1", "size": "[/s]\x1b[2J", "models": models}))
    monkeypatch.setattr("sys.argv", ["kinprint", "zoo", "list", str(tmp_path)])
    assert ran() == 0
    shown = capsys.readouterr().out
    assert "[/nope]" in shown
    assert "\x1b" not in shown
