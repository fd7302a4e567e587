"""Models on a hub, against a hub on this machine: what is asked for, what is shown, and what each failure says."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, kinprint
from hub_server import HubServer, Trouble
from waiting import PATIENCE

from kinprint import fingerprint, open_checkpoint
from kinprint.checkpoints.files import cache_folder
from kinprint.checkpoints.hashes import hashes
from kinprint.checkpoints.places import without_hub
from kinprint.checkpoints.remote.hub import means_repository
from kinprint.errors import CheckpointError
from kinprint.library.declarations.declared import read_declared

Serve = Callable[[dict[str, Path]], HubServer]
WEIGHTS = "model.safetensors"
NORM = "model.norm.weight"


def alone(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, which reads the environment as a user's does."""
    command = [sys.executable, "-c", "from kinprint.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **environment})


def refuse(model: str) -> CheckpointError:
    """The one-line error of opening `model`."""
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(model)
    assert str(caught.value).isprintable()
    return caught.value


@pytest.fixture
def crowded(models: Path, tmp_path: Path) -> Path:
    """A repository that holds its weights three times over, and code."""
    folder = tmp_path / "crowded"
    shutil.copytree(models / "base", folder)
    (folder / "onnx").mkdir()
    for name in (
        "pytorch_model.bin", "onnx/model.onnx", "onnx/config.json", "consolidated.safetensors", "modeling.py", "vocab.json"
    ):  # fmt: skip
        (folder / name).write_bytes(b"not needed")
    return folder


def test_a_model_on_a_hub_is_the_model_in_a_folder(hub: Serve, models: Path) -> None:
    """The digest is that of the folder; name, source and commit are those of the hub."""
    server = hub({"org/base": models / "base"})
    found, expected = fingerprint("org/base"), fingerprint(models / "base")
    assert found.digest == expected.digest
    assert (found.name, found.provenance["source"]) == ("org/base", "org/base")
    assert found.provenance["revision"] == server.commit("org/base")
    assert "revision" not in expected.provenance


def test_only_what_is_needed_is_fetched(hub: Serve, crowded: Path) -> None:
    """The preferred weights, configuration, one form of tokenizer and the card, when they are used; nothing else."""
    server = hub({"org/crowded": crowded})
    checkpoint = open_checkpoint("org/crowded")
    assert server.fetched == {WEIGHTS, "config.json"}
    assert server.served[WEIGHTS] < 100_000
    assert (len(checkpoint.tokenizer) > 0, checkpoint.revision) == (True, server.commit("org/crowded"))
    assert len(checkpoint.card) > 0
    assert server.fetched == {WEIGHTS, "config.json", "tokenizer.json", "README.md"}


def test_pytorch_files_where_there_is_nothing_better(hub: Serve, tmp_path: Path) -> None:
    """Without safetensors the standard PyTorch file is downloaded, and other .bin files are not."""
    for name in ("pytorch_model.bin", "training_args.bin"):
        (tmp_path / "repository" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "repository" / name).write_bytes(b"x")
    server = hub({"org/old": tmp_path / "repository"})
    refuse("org/old")
    assert server.fetched == {"pytorch_model.bin"}


def sharded(folder: Path, base: Path) -> Path:
    """The base model under an index, with a file of weights that the index does not name."""
    shutil.copytree(base, folder)
    (folder / WEIGHTS).rename(folder / "part[1].safetensors")
    names = open_checkpoint(folder).tensors
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": dict.fromkeys(names, "part[1].safetensors")}))
    (folder / "extra.safetensors").write_bytes(b"x")
    return folder


def test_shards_are_those_of_the_index(hub: Serve, models: Path, tmp_path: Path) -> None:
    """Of a sharded model the index and the files that it names are downloaded, whatever their names."""
    server = hub({"org/sharded": sharded(tmp_path / "sharded", models / "base")})
    assert fingerprint("org/sharded").digest == fingerprint(models / "base").digest
    assert "part[1].safetensors" in server.fetched
    assert "extra.safetensors" not in server.fetched


@pytest.mark.parametrize("revision", ["v1", None])
def test_a_revision_is_a_model_of_its_own(hub: Serve, models: Path, revision: str | None) -> None:
    """A tag or a full commit after the @ opens that revision."""
    server = hub({"org/m": models / "base", "org/m@v1": models / "twin"})
    source = f"org/m@{revision or server.commit('org/m', 'v1')}"
    found = fingerprint(source)
    assert found.digest == fingerprint(models / "twin").digest
    assert (found.name, found.provenance["source"]) == ("org/m", source)
    assert found.provenance["revision"] == server.commit("org/m", "v1")


def test_a_second_use_downloads_nothing(hub: Serve, models: Path) -> None:
    """What is in the cache is not fetched again."""
    server = hub({"org/base": models / "base"})
    open_checkpoint("org/base")
    server.requests.clear()
    open_checkpoint("org/base")
    assert server.fetched == set()


def test_offline_from_the_cache(hub: Serve, crowded: Path) -> None:
    """With HF_HUB_OFFLINE what was downloaded is opened without a request, and anything else is one clear line."""
    server = hub({"org/crowded": crowded, "org/other": crowded})
    fingerprint("org/crowded", cache=False)
    server.requests.clear()
    done = alone("compare", "org/crowded", "org/crowded", "--json", "--no-cache", HF_HUB_OFFLINE="1")
    assert json.loads(done.stdout)["verdict"] == "identical"
    check_line(alone("compare", "org/other", "org/other", HF_HUB_OFFLINE="1"), "org/other: offline, and not in the cache")
    assert server.requests == []


def test_offline_by_an_argument(hub: Serve, crowded: Path) -> None:
    """The same for one call, whatever the environment says; a web server is not asked either."""
    server = hub({"org/crowded": crowded, "org/other": crowded})
    expected = fingerprint("org/crowded", cache=False).digest
    server.requests.clear()
    assert fingerprint("org/crowded", cache=False, offline=True).digest == expected
    for model in ("org/other", f"org/crowded+{server.endpoint}/web/org/other", f"{server.endpoint}/web/org/crowded"):
        with pytest.raises(CheckpointError, match="offline"):
            open_checkpoint(model, offline=True)
    assert server.requests == []
    assert open_checkpoint("org/other").revision


def test_reading_a_card_forgets_no_weights(hub: Serve, crowded: Path) -> None:
    """What was opened for another purpose is added to what can be opened offline, and does not take its place."""
    server = hub({"org/crowded": crowded})
    read_declared("org/crowded")
    assert server.fetched == {"config.json", "README.md", "model.safetensors"}  # of the last its header
    with pytest.raises(CheckpointError, match="offline"):
        open_checkpoint("org/crowded", offline=True).tensors[NORM].read()
    expected = open_checkpoint("org/crowded").tensors[NORM].read()
    read_declared("org/crowded")
    assert (open_checkpoint("org/crowded", offline=True).tensors[NORM].read() == expected).all()


def test_a_hub_states_the_digests_of_large_files(hub: Serve, models: Path) -> None:
    """What the listing says counts for weights, which are never fetched whole; of small files it says nothing."""
    hub({"org/base": models / "base"})
    stated = {file.name: file for file in hashes(open_checkpoint("org/base"))}
    assert stated[WEIGHTS].sha256 == hashlib.sha256((models / "base" / WEIGHTS).read_bytes()).hexdigest()
    assert stated[WEIGHTS].note == "as its hub states it; only a part was fetched"
    assert stated["config.json"].sha256 == ""


def test_a_size_that_is_not_listed_and_not_told(hub: Serve, models: Path) -> None:
    """A file that is refused when its size is asked for is one clear error; a damaged memory of the hub is none."""
    server = hub({"org/base": models / "base"})
    server.sizes, server.always = False, Trouble(status=403)
    assert "the hub denies access (HTTP 403)" in refuse("org/base").problem
    server.always = Trouble()
    open_checkpoint("org/base")
    for memory in cache_folder().rglob("seen.json"):
        memory.write_text("{")
    assert open_checkpoint("org/base").revision
    assert open_checkpoint("org/base", offline=True).revision


def test_offline_with_half_a_model(hub: Serve, crowded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that lacks the weights is not taken for the model."""
    hub({"org/crowded": crowded})
    copy = open_checkpoint("org/crowded").files[0]
    copy.path.unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "not all of it is in the cache" in refuse("org/crowded").problem


def test_json_is_all_there_is_on_stdout(hub: Serve, models: Path) -> None:
    """Downloads show their progress on stderr only."""
    hub({"org/base": models / "base", "org/twin": models / "twin"})
    done = kinprint("compare", "org/base", "org/twin", "--json")
    found = json.loads(done.stdout)
    assert (found["reference"]["name"], found["suspect"]["source"]) == ("org/base", "org/twin")


def check_line(done: Done | subprocess.CompletedProcess[str], text: str) -> None:
    """Exit code 1 and one line on stderr that holds `text`."""
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert text in lines[0]


FAILURES = {
    "not found": (404, "RepoNotFound", "no such repository on the hub, or a folder that does not exist; check the path"),
    "not found, as the hub says it to strangers": (401, "RepoNotFound", "or a folder that does not exist; check the path"),
    "gated": (403, "GatedRepo", "accept its terms on the hub, and set HF_TOKEN"),
    "forbidden": (403, "", "denies access (HTTP 403); accept its terms on the hub, and set HF_TOKEN"),
    "too many": (429, "", "too many requests to the hub (HTTP 429); wait"),
    "broken": (500, "", "the hub failed (HTTP 500); try again later"),
    "overloaded": (503, "", "the hub failed (HTTP 503); try again later"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_the_hub_refuses_is_one_line(hub: Serve, models: Path, failure: str) -> None:
    """Each answer that is an error says what to do about it."""
    status, code, text = FAILURES[failure]
    hub({"org/base": models / "base"}).failures["org/base"] = (status, code)
    check_line(kinprint("fingerprint", "org/base"), f"kinprint: org/base: {text}" if text.startswith("no such") else text)


def test_a_missing_revision_is_one_line(hub: Serve, models: Path) -> None:
    """The revision that is not there is named."""
    hub({"org/base": models / "base"})
    check_line(kinprint("fingerprint", "org/base@v9"), "org/base@v9: no revision v9 in this repository; give a branch")


def test_no_connection_is_one_line(hub: Serve, models: Path) -> None:
    """Where nothing listens the line names the network, and the cache as a way out."""
    hub({})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody accepts
        done = alone("fingerprint", "org/base", HF_ENDPOINT=f"http://127.0.0.1:{unused.getsockname()[1]}")
    check_line(done, "the hub cannot be reached (ConnectError")
    assert "HF_HUB_OFFLINE=1" in done.stderr


def test_silence_is_one_line(hub: Serve) -> None:
    """A hub that accepts and never answers is given up after HF_HUB_DOWNLOAD_TIMEOUT seconds."""
    hub({})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = alone("fingerprint", "org/base", HF_ENDPOINT=endpoint, HF_HUB_DOWNLOAD_TIMEOUT="1")
    check_line(done, "the hub cannot be reached (ReadTimeout")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["config.json", "onnx/model.onnx", "deep/model.safetensors"], "no weights there"),
        (["a.safetensors", "b.safetensors"], "several weights files and no index"),
        (["model-00001-of-00002.safetensors"], "1 of 2 shards missing"),
    ],
)
def test_without_usable_weights_nothing_is_downloaded(hub: Serve, tmp_path: Path, files: list[str], problem: str) -> None:
    """What the list of files already rules out costs no download."""
    for name in files:
        (tmp_path / "repository" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "repository" / name).write_text("{}")
    server = hub({"org/empty": tmp_path / "repository"})
    assert problem in refuse("org/empty").problem
    assert server.fetched == set()


def test_an_index_whose_shards_are_not_there(hub: Serve, models: Path, tmp_path: Path) -> None:
    """An incomplete repository is refused before its weights are downloaded."""
    folder = sharded(tmp_path / "sharded", models / "base")
    (folder / "part[1].safetensors").unlink()
    server = hub({"org/sharded": folder})
    assert "1 of 1 shards missing: part[1].safetensors" in refuse("org/sharded").problem
    assert server.fetched == {f"{WEIGHTS}.index.json"}


def test_an_index_that_climbs_out_is_refused(hub: Serve, tmp_path: Path) -> None:
    """The rules for an index on disk hold for one on a hub, before anything that it names is fetched."""
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / f"{WEIGHTS}.index.json").write_text('{"weight_map": {"a": "../../secret"}}')
    hub({"org/hostile": tmp_path / "repository"})
    assert "names a file outside its folder" in refuse("org/hostile").problem


def test_a_commit_that_climbs_out_is_refused(hub: Serve, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's name for a commit becomes a folder of the hub's cache, and may not lead out of it."""
    server = hub({"org/base": models / "base"})
    monkeypatch.setattr(server, "commit", lambda *_: "../../../../models/secret")
    assert "which is none" in refuse("org/base").problem


def test_what_is_on_disk_wins(hub: Serve, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of the same name is opened without a request, and a Path never means a hub id."""
    server = hub({"org/base": models / "twin", "org/other": models / "twin"})
    shutil.copytree(models / "base", tmp_path / "org" / "base")
    monkeypatch.chdir(tmp_path)
    assert open_checkpoint("org/base").name == "base"
    with pytest.raises(CheckpointError, match="no such file or folder"):
        open_checkpoint(Path("org/other"))
    assert server.requests == []


def test_the_token_is_sent(hub: Serve, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_TOKEN goes with every request."""
    server = hub({"org/base": models / "base"})
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    open_checkpoint("org/base")
    assert set(server.tokens) == {"Bearer hf_of_mine"}


@pytest.mark.parametrize(
    "model", ["org/na me", "org/name@", "org/name@a..b", "org/a--b", "org/name.", "-org/name", "org/x.git", "o/" + "x" * 99]
)
def test_a_malformed_id_is_refused_without_a_request(hub: Serve, models: Path, model: str) -> None:
    """What no hub would accept says how an id is written."""
    server = hub({})
    error = refuse(model)
    assert "write org/name or org/name@revision" in error.remedy
    assert server.requests == []


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("org/name", True), ("org/name@refs/pr/1", True), ("org/name-1.5", True), ("name", False), ("./org/name", False),
        ("../name", False), ("/org/name", False), ("~/name", False), ("a/b/c", False), ("a/model.safetensors", False),
        ("a/pytorch_model.bin", False), ("a/model.safetensors.index.json", False), ("a/b.kinprint", False), ("a\\b/c", False),
        ("hf:org/name", True), ("ollama:me/name", False), ("https://huggingface.co/org/name", True), ("hf.co/org/name/", True),
        ("https://huggingface.co/org/name/tree/v1", True), ("https://example.com/org/name", False),
    ],
)  # fmt: skip
def test_what_may_be_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, expected: bool) -> None:
    """Paths stay paths: only two plain parts that are not the name of a file may mean a repository."""
    monkeypatch.chdir(tmp_path)
    assert means_repository(model) is expected


@pytest.mark.parametrize(
    ("link", "means"),
    [
        ("https://huggingface.co/org/name", "org/name"),
        ("https://huggingface.co/org/name/tree/v1.0", "org/name@v1.0"),
        ("hf.co/org/name/", "org/name"),
        ("hf:org/name@main", "org/name@main"),
        ("org/name", "org/name"),
    ],
)
def test_links_to_pages_of_models(link: str, means: str) -> None:
    """What one copies from a browser is a hub id."""
    assert without_hub(link) == means


def test_the_library_of_the_hub_is_loaded_when_it_is_needed() -> None:
    """Starting up and opening folders does not import it."""
    code = "import sys, kinprint.cli, kinprint.checkpoints.remote.hub; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
