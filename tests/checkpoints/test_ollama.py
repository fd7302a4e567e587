"""Models that Ollama keeps, by the names that it shows; what a hostile store may say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from command_line import kinprint
from ollama_store import MEDIA, keep

from kinprint import compare
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.ollama import stored
from kinprint.errors import CheckpointError

BASE = Path(__file__).parents[2] / "examples" / "models" / "base"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The shipped model as GGUF."""
    gguf_files = pytest.importorskip("gguf_files")
    folder = tmp_path_factory.mktemp("made")
    gguf_files.convert(gguf_files.Kind.BF16, BASE, folder)
    return (folder / "model.gguf").read_bytes()


@pytest.fixture
def store(tmp_path: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with one model under three names."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    for where in ("registry.ollama.ai/library/kin/latest", "registry.ollama.ai/me/kin/7b", "hf.co/org/kin-GGUF/Q8_0"):
        keep(tmp_path / "models", where, model=weights, license=b"Apache License\nVersion 2.0, January 2004")
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["kin", "kin:latest", "me/kin:7b", "hf.co/org/kin-GGUF:Q8_0"])
def test_by_the_names_that_ollama_shows(store: Path, name: str) -> None:
    """Whatever name leads to it, it is the model: its weights, its licence, the digest that Ollama states."""
    found = open_checkpoint(f"ollama:{name}")
    assert (found.name, found.source) == (name, f"ollama:{name}")
    assert compare(BASE, f"ollama:{name}").verdict == "identical"
    assert {file.name for file in found.files} >= {"model.gguf"}
    assert found.files[0].sha256 == hashlib.sha256(found.files[0].read(1 << 30)).hexdigest()
    assert found.folder is not None
    assert "LICENSE" in found.folder.names()


def test_all_that_is_kept_is_listed(store: Path) -> None:
    """Under names that can be typed again; a damaged manifest is passed over."""
    keep(store, "registry.ollama.ai/library/broken/latest").write_text("{")
    names = [model.name for model in stored()]
    assert names == ["ollama:hf.co/org/kin-GGUF:Q8_0", "ollama:kin:latest", "ollama:me/kin:7b"]
    for name in names:
        assert open_checkpoint(name).tensors


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("other", "not among Ollama's models"),
        ("../kin", "not a name of Ollama's"),
        ("a/b/c/d", "not a name of Ollama's"),
        ("", "not a name of Ollama's"),
        ("adapted", "has an adapter of Ollama's"),
        ("empty", "names no weights"),
        ("listless", "no manifest of Ollama's"),
        ("climbing", "names no weights"),
        ("gone", "no such file"),
    ],
)
def test_what_cannot_be_read_is_one_line(store: Path, weights: bytes, name: str, problem: str) -> None:
    """Malformed names, manifests that are damaged or point out of the store, blobs that are gone."""
    keep(store, "registry.ollama.ai/library/adapted/latest", model=weights, adapter=b"lora")
    keep(store, "registry.ollama.ai/library/empty/latest", template=b"{{ .Prompt }}")
    keep(store, "registry.ollama.ai/library/listless/latest").write_text('{"layers": 7}')
    outside = {"mediaType": MEDIA + "model", "digest": "sha256:../../../../etc/passwd"}
    keep(store, "registry.ollama.ai/library/climbing/latest").write_text(json.dumps({"layers": [outside, 3]}))
    lost = {"mediaType": MEDIA + "model", "digest": f"sha256:{'0' * 64}"}
    keep(store, "registry.ollama.ai/library/gone/latest").write_text(json.dumps({"layers": [lost]}))
    with pytest.raises(CheckpointError, match=problem):
        open_checkpoint(f"ollama:{name}")


def test_what_lies_on_this_machine(
    store: Path, weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    """Models of three programs are listed with what to type, and identified in one run; what is unreadable ends nothing."""
    home, hub = tmp_path / "home", tmp_path / "hub"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    snapshot = hub / "models--org--twin" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for file in (models / "twin").iterdir():
        (snapshot / file.name).symlink_to(file)
    (hub / "models--org--card-only" / "snapshots" / ("b" * 40)).mkdir(parents=True)
    studio = home / ".lmstudio" / "models" / "org" / "kin-GGUF"
    studio.mkdir(parents=True)
    (studio / "kin.gguf").write_bytes(weights[: len(weights) // 2])
    listed = json.loads(kinprint("models", "--json").stdout)["models"]
    assert [row["kept_by"] for row in listed] == ["hub cache", "Ollama", "Ollama", "Ollama", "LM Studio"]
    assert listed[0]["model"].endswith("models--org--twin")
    assert all(row["bytes"] > 100_000 for row in listed)
    assert "ollama:kin:latest" in kinprint("models").stdout
    library = tmp_path / "lib"
    assert kinprint("library", "add", models / "base", "-l", library).returncode == 0
    done = kinprint("identify", "--all-local", "-l", library, "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.get("verdict", "error") for row in said] == ["no-evidence", *["identical"] * 3, "error"]
    assert kinprint("identify", "--all-local", "some", "-l", library).returncode == 2


def test_nothing_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "HF_HUB_CACHE", "OLLAMA_MODELS"):
        monkeypatch.setenv(name, str(tmp_path))
    assert kinprint("models").stdout.startswith("No models in ")
