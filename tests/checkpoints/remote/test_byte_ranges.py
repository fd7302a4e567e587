"""Models read by byte ranges from a hub, a web server and a bucket, with their troubles: equal results or one clear error."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import huggingface_hub
import numpy as np
import pytest
from hub_server import HubServer, Trouble
from killing import kill_and_finish
from safetensors.numpy import load_file, save_file
from waiting import PATIENCE

from kinprint import fingerprint, open_checkpoint
from kinprint.checkpoints.checkpoint import read_rows
from kinprint.checkpoints.remote import http, pieces, session
from kinprint.errors import CheckpointError

Serve = Callable[[dict[str, Path]], HubServer]
WEIGHTS = "model.safetensors"
KNOWN = "model.layers.2.mlp.up_proj.weight"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces as small as the models are, and little patience."""
    monkeypatch.setattr(pieces, "PIECE", 1 << 16)
    monkeypatch.setattr(http, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(session, "APART", 0.0)
    monkeypatch.setattr(http, "ENOUGH", 1 << 13)


@pytest.fixture
def base(models: Path) -> Path:
    return models / "base"


@pytest.fixture
def whole(base: Path) -> bytes:
    """The digest of the model in a folder."""
    return fingerprint(base, cache=False).digest


def measured(model: str) -> bytes:
    return fingerprint(model, cache=False).digest


def refused(model: str) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        measured(model)
    assert str(caught.value).isprintable()
    return caught.value


# --- what is read


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("sizes", [False, True])
def test_a_model_by_ranges_is_the_model_in_a_folder(
    hub: Serve, base: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, elsewhere: bool, sizes: bool
) -> None:
    """With the files on the hub or behind a redirection, whatever the listing tells; the token goes to the hub alone."""
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    server = hub({"org/base": base})
    server.elsewhere, server.sizes = elsewhere, sizes
    assert measured("org/base") == whole
    assert set(server.tokens) == {"Bearer hf_of_mine"}
    assert set(server.storage_tokens) == ({None} if elsewhere else set())
    assert server.served[WEIGHTS] <= (base / WEIGHTS).stat().st_size + 2 * (1 << 16)
    if elsewhere:
        assert server.tickets < len(server.storage_tokens) / 2  # the address is asked for once, and used until it expires


def test_nothing_is_fetched_twice(hub: Serve, base: Path, whole: bytes) -> None:
    """Several threads, traits that read parts again and a second run: no byte of the weights comes a second time."""
    server = hub({"org/base": base})
    assert measured("org/base") == whole
    once = server.bytes_served
    assert once <= sum(path.stat().st_size for path in base.iterdir())
    assert measured("org/base") == whole
    assert server.bytes_served == once


def test_a_fingerprint_made_earlier_costs_headers_only(hub: Serve, base: Path) -> None:
    """The cache of fingerprints knows a model on a hub by its commit, without reading its weights again."""
    server = hub({"org/base": base})
    first = fingerprint("org/base")
    shutil.rmtree(open_checkpoint("org/base").files[0].path.parents[1])
    server.served.clear()
    assert fingerprint("org/base").digest == first.digest
    assert server.served[WEIGHTS] <= 1 << 16


def test_what_is_not_of_the_model_is_never_fetched(hub: Serve, base: Path, tmp_path: Path) -> None:
    """A second format and an optimizer's state beside the weights: none of their bytes. A vision tower inside the weights file
    is part of what must agree: it is read once, and not at all with --quick."""
    folder = tmp_path / "multimodal"
    shutil.copytree(base, folder)
    tower = {f"vision_tower.layers.{i}.weight": np.ones((512, 1024), np.float32) for i in range(4)}
    needed = (folder / WEIGHTS).stat().st_size
    save_file(load_file(base / WEIGHTS) | tower, folder / WEIGHTS)
    (folder / "optimizer.bin").write_bytes(bytes(4_000_000))
    (folder / "pytorch_model.bin").write_bytes(bytes(4_000_000))
    server = hub({"org/multimodal": folder})
    assert fingerprint("org/multimodal", quick=True, cache=False).quick is not None
    assert server.served[WEIGHTS] < needed
    assert measured("org/multimodal") == fingerprint(folder, cache=False).digest
    assert set(server.served) == {WEIGHTS, "config.json", "tokenizer.json", "README.md"}
    assert server.served[WEIGHTS] <= 1.02 * (folder / WEIGHTS).stat().st_size


def test_some_rows_of_a_tensor(hub: Serve, base: Path) -> None:
    """`read_rows` fetches the rows and nothing else."""
    server = hub({"org/base": base})
    tensor, expected = open_checkpoint("org/base").tensors[KNOWN], open_checkpoint(base).tensors[KNOWN].read()
    server.ranges.clear()
    np.testing.assert_array_equal(read_rows(tensor, 3, 5), expected[3:5])
    assert [count for _, _, count in server.ranges] == [expected[3:5].nbytes]


@pytest.mark.parametrize("form", ["bin", "shards"])
def test_other_forms(hub: Serve, base: Path, tmp_path: Path, whole: bytes, form: str) -> None:
    """A PyTorch file and shards under an index: the same fingerprint."""
    folder = tmp_path / form
    shutil.copytree(base, folder)
    weights = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    if form == "bin":
        torch = pytest.importorskip("torch")
        types = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
        tensors = {k: torch.from_numpy(v.view(np.uint8)).view(types[v.dtype.name]) for k, v in weights.items()}
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        names = sorted(weights)
        places = {name: f"part-{i % 3}.safetensors" for i, name in enumerate(names)}
        for place in set(places.values()):
            save_file({name: weights[name] for name in names if places[name] == place}, folder / place)
        (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": places}))
    server = hub({"org/other": folder})
    assert measured("org/other") == measured(f"{server.endpoint}/web/org/other") == whole


def test_an_adapter_on_a_hub_and_on_a_web_server(hub: Serve, base: Path, tmp_path: Path) -> None:
    """It is found beside other files, and added to its base as from a folder."""
    shape = open_checkpoint(base).tensors[KNOWN].shape
    (tmp_path / "adapter").mkdir()
    name = f"base_model.model.{KNOWN.removesuffix('.weight')}.lora_"
    factors = {f"{name}A.weight": np.ones((2, shape[1]), np.float32), f"{name}B.weight": np.ones((shape[0], 2), np.float32)}
    save_file(factors, tmp_path / "adapter" / "adapter_model.safetensors")
    (tmp_path / "adapter" / "training_args.safetensors").write_bytes(b"not needed")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["up_proj"]}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    server = hub({"org/base": base, "org/adapter": tmp_path / "adapter"})
    expected = open_checkpoint(f"{base}+{tmp_path / 'adapter'}").tensors[KNOWN].read()
    for adapter in ("org/adapter", f"{server.endpoint}/web/org/adapter"):
        np.testing.assert_array_equal(open_checkpoint(f"org/base+{adapter}").tensors[KNOWN].read(), expected)


def test_what_is_too_large_is_not_fetched(hub: Serve, base: Path, tmp_path: Path) -> None:
    """A configuration beyond its limit is refused by the size that the hub tells."""
    folder = tmp_path / "large"
    shutil.copytree(base, folder)
    (folder / "config.json").write_bytes(b" " * 16_000_001)
    server = hub({"org/large": folder})
    assert "larger than the 16,000,000 bytes allowed" in refused("org/large").problem
    assert server.served["config.json"] == 0


def test_progress_counts_the_bytes_that_come(hub: Serve, base: Path) -> None:
    """From nothing to everything that has a role, never backwards."""
    hub({"org/base": base})
    told: list[tuple[int, int]] = []
    fingerprint("org/base", cache=False, progress=lambda done, total: told.append((done, total)))
    done = [count for count, _ in told]
    assert done == sorted(done)
    assert told[-1] == (done[-1], done[-1])
    assert done[0] <= 1 << 16


def test_the_hubs_own_cache_is_used_first(hub: Serve, base: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that other programs have downloaded are read where they are; what they lack is fetched; offline works too."""
    server = hub({"org/base": base})
    huggingface_hub.snapshot_download("org/base", endpoint=server.endpoint, allow_patterns=[WEIGHTS, "config.json"])
    server.served.clear()
    assert measured("org/base") == whole
    assert set(server.served) == {"tokenizer.json", "README.md"}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert measured("org/base") == whole


@pytest.mark.parametrize("revision", ["", "@main"])
def test_offline_with_some_of_a_model(hub: Serve, base: Path, monkeypatch: pytest.MonkeyPatch, revision: str) -> None:
    """What was fetched by ranges can be read offline; the first byte that is missing is one clear error."""
    server = hub({"org/base": base})
    rows = read_rows(open_checkpoint(f"org/base{revision}").tensors[KNOWN], 0, 2)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    server.requests.clear()
    np.testing.assert_array_equal(read_rows(open_checkpoint(f"org/base{revision}").tensors[KNOWN], 0, 2), rows)
    error = refused(f"org/base{revision}")
    assert (error.problem, error.remedy[:20]) == ("offline, and not all of it is in the cache", "unset HF_HUB_OFFLINE")
    assert server.requests == []


# --- troubles that pass

PASSING = {
    "overloaded": [Trouble(status=503), Trouble(status=502), Trouble(status=500)],
    "too many": [Trouble(status=429, headers={"Retry-After": "1"})],
    "too many, as the hub says it": [Trouble(status=429, headers={"RateLimit": '"resolvers";r=0;t=1'})],
    "cut": [Trouble(cut=20_000), Trouble(cut=1), Trouble(cut=0), Trouble(cut=30_000)],
    "silent": [Trouble(silent=4)],
    "slow": [Trouble(delay=0.2)] * 3,
    "everything": [Trouble(status=503), Trouble(cut=5), Trouble(silent=4), Trouble(status=429), Trouble(delay=0.1)],
}


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("trouble", PASSING)
def test_troubles_that_pass_change_nothing(
    hub: Serve, base: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, trouble: str, elsewhere: bool
) -> None:
    """The same fingerprint, after as long a wait as the server asks for; what has come before a cut is not asked for again."""
    server = hub({"org/base": base})
    server.elsewhere = elsewhere
    checkpoint = open_checkpoint("org/base")
    server.troubles.extend(PASSING[trouble])
    silent = max(item.silent for item in PASSING[trouble])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", silent / 4 or PATIENCE)
    began = time.monotonic()
    assert measured("org/base") == whole
    assert not server.troubles
    assert time.monotonic() - began > (1.0 if "too many" in trouble else 0.0)
    assert server.bytes_served <= sum(path.stat().st_size for path in base.iterdir())
    assert checkpoint.revision


def test_an_address_that_expires_is_asked_for_again(hub: Serve, base: Path, whole: bytes) -> None:
    """Redirections are good for a while only."""
    server = hub({"org/base": base})
    server.elsewhere = True
    checkpoint = open_checkpoint("org/base")
    server.expired = server.tickets
    for tensor in checkpoint.tensors.values():
        tensor.read()
    assert server.expired < server.tickets <= server.expired + session.CONNECTIONS
    assert measured("org/base") == whole


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_server_without_ranges(hub: Serve, base: Path, whole: bytes, elsewhere: bool) -> None:
    """Whoever answers with the whole file is read to its end, once."""
    server = hub({"org/base": base})
    server.ignores_ranges, server.elsewhere = True, elsewhere
    assert measured("org/base") == whole
    assert server.served[WEIGHTS] < 3 * (base / WEIGHTS).stat().st_size


# --- troubles that do not

LASTING = {
    "overloaded": (Trouble(status=503), http.TRIES, "the hub failed (HTTP 503); try again later"),
    "cut": (Trouble(cut=0), http.TRIES, "check the network and try again: what has come is kept"),
    "too many for long": (Trouble(status=429, headers={"Retry-After": "4000"}), 1, "too many requests to the hub (HTTP 429)"),
    "unauthorised": (Trouble(status=401), 1, "the hub denies access (HTTP 401); accept its terms"),
    "forbidden": (Trouble(status=403), 1, "the hub denies access (HTTP 403); accept its terms"),
    "gated": (Trouble(status=403, headers={"X-Error-Code": "GatedRepo"}), 1, "gated: its owner grants access"),
    "gone": (Trouble(status=404), 1, "the hub failed (HTTP 404)"),
    "circle": (Trouble(status=302, headers={"Location": "?"}), http.REDIRECTS + 1, "redirects in a circle"),
    "local": (Trouble(status=302, headers={"Location": "file:///etc/passwd"}), 1, "redirects to what is not on the web"),
}


@pytest.mark.parametrize("trouble", LASTING)
def test_troubles_that_last_are_one_clear_error(hub: Serve, base: Path, trouble: str) -> None:
    """As many tries as make sense, then one line that names model, file and remedy."""
    always, tries, text = LASTING[trouble]
    server = hub({"org/base": base})
    checkpoint = open_checkpoint("org/base")
    server.always = always
    server.requests.clear()
    with pytest.raises(CheckpointError) as caught:
        checkpoint.tensors[KNOWN].read()
    assert str(caught.value).startswith(f"org/base/{WEIGHTS}: ")
    assert text in str(caught.value)
    assert tries <= len(server.requests) <= tries * session.CONNECTIONS  # pieces that wait are not begun


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("same_size", [False, True])
def test_a_file_that_changes_is_an_error_and_never_a_mixture(
    hub: Serve, base: Path, models: Path, tmp_path: Path, elsewhere: bool, same_size: bool
) -> None:
    """Between two ranges, even under one commit; afterwards the new state is read from its beginning."""
    folder = tmp_path / "changing"
    shutil.copytree(base, folder)
    server = hub({"org/changing": folder})
    server.elsewhere = elsewhere
    checkpoint = open_checkpoint("org/changing")
    weights = load_file(models / "twin" / WEIGHTS)
    save_file(weights if same_size else weights | {"more": np.ones(1000, np.float32)}, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        checkpoint.tensors[KNOWN].read()
    assert measured("org/changing") == fingerprint(folder, cache=False).digest


# --- web servers


def test_a_folder_on_a_web_server(hub: Serve, base: Path, whole: bytes) -> None:
    """The same model, called by the last part of its address; what a model may consist of is tried by name."""
    server = hub({"org/base": base})
    for address in ("/web/org/base", "/web/org/base/", f"/web/org/base/{WEIGHTS}"):
        found = fingerprint(server.endpoint + address, cache=False)
        assert found.digest == whole
        assert found.facts["tokens"] > 0
        assert found.name == address.strip("/").rpartition("/")[2]


def test_a_password_is_used_and_never_shown(hub: Serve, base: Path) -> None:
    """Neither in the provenance nor in an error; the signature behind a file goes with that file alone."""
    server = hub({"org/base": base})
    host = server.endpoint.removeprefix("http://")
    found = fingerprint(f"http://me:secret@{host}/web/org/base/{WEIGHTS}?signature=secret", cache=False)
    assert set(server.tokens) == {"Basic bWU6c2VjcmV0"}
    assert "secret" not in json.dumps(dict(found.provenance))
    assert "secret" not in str(refused(f"http://me:secret@{host}/web/org/none?signature=secret"))


@pytest.mark.parametrize(
    ("path", "status", "problem"),
    [
        ("none", 404, "no weights there"),
        ("none/model.safetensors", 404, "no such file on the server"),
        ("base/model.safetensors", 403, "the server denies access (HTTP 403)"),
        ("base/model.safetensors", 500, "the server failed (HTTP 500)"),
    ],
)
def test_what_a_web_server_does_not_give(hub: Serve, base: Path, path: str, status: int, problem: str) -> None:
    """One line that names the address."""
    server = hub({"org/base": base})
    server.failures["org/base"] = (status, "")
    error = refused(f"{server.endpoint}/web/org/{path}")
    assert error.problem == problem
    assert error.subject == f"{server.endpoint}/web/org/{path}"


def test_a_change_on_a_web_server(hub: Serve, base: Path, models: Path, tmp_path: Path) -> None:
    """It is told by the ETag, during a run and between two."""
    folder = tmp_path / "changing"
    shutil.copytree(base, folder)
    address = hub({"org/changing": folder}).endpoint + "/web/org/changing"
    checkpoint = open_checkpoint(address)
    checkpoint.tensors[KNOWN].read()
    shutil.copy(models / "twin" / WEIGHTS, folder)
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        checkpoint.tensors["model.embed_tokens.weight"].read()
    assert measured(address) == fingerprint(models / "twin", cache=False).digest


def test_a_url_of_a_file_here_is_that_file(base: Path, whole: bytes) -> None:
    assert measured(base.as_uri()) == measured((base / WEIGHTS).as_uri()) == whole


# --- buckets


@pytest.fixture
def bucket(base: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """The model in a file system of fsspec that is no disk."""
    system = fsspec.filesystem("memory")
    system.put(f"{base}/", "/bucket/base/", recursive=True)
    yield system
    system.rm("/bucket", recursive=True)


def test_a_folder_in_a_bucket(bucket: fsspec.AbstractFileSystem, whole: bytes) -> None:
    """The same model by the folder and by its weights file, and a second time without reading it."""
    assert measured("memory://bucket/base") == measured(f"memory://bucket/base/{WEIGHTS}") == whole
    assert measured("memory://bucket/base/") == whole


def test_only_ranges_of_a_bucket_are_read(bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run reads nothing, and one that fails for a moment is tried again."""
    read: list[int] = []
    ordinary, broken = type(bucket).cat_file, [True]

    def cat(system, path: str, start: int, end: int) -> bytes:
        if broken and broken.pop():
            raise OSError("for a moment")
        read.append(end - start)
        return ordinary(system, path, start=start, end=end)

    monkeypatch.setattr(type(bucket), "cat_file", cat)
    open_checkpoint("memory://bucket/base").tensors[KNOWN].read()
    assert 0 < sum(read) < 300_000
    read.clear()
    open_checkpoint("memory://bucket/base").tensors[KNOWN].read()
    assert read == []


def test_a_change_in_a_bucket(bucket: fsspec.AbstractFileSystem, models: Path) -> None:
    """It is told during a run, and a new run begins anew."""
    checkpoint = open_checkpoint("memory://bucket/base")
    bucket.put(str(models / "twin" / WEIGHTS), f"/bucket/base/{WEIGHTS}")
    with pytest.raises(CheckpointError, match="changed while it was being read"):
        checkpoint.tensors[KNOWN].read()
    assert measured("memory://bucket/base") == fingerprint(models / "twin", cache=False).digest


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("memory://bucket/none", "no such file or folder"),
        ("nosuch://bucket/none", "not a URL that can be opened"),
        ("memory://bucket/none.safetensors", "no such file"),
    ],
)
def test_what_a_bucket_does_not_give(bucket: fsspec.AbstractFileSystem, url: str, problem: str) -> None:
    """One line that names the address."""
    error = refused(url)
    assert problem in error.problem
    assert error.subject == url


# --- interruptions


def test_killed_at_any_moment_a_rerun_completes(hub: Serve, base: Path, whole: bytes, tmp_path: Path) -> None:
    """After SIGKILL at ten moments of the transfer nothing half-written is believed: the fingerprint is that of the folder."""
    hub({"org/base": base}).always = Trouble(delay=0.05)
    killed, digest = kill_and_finish("org/base", tmp_path / "cache", moments=10)
    assert digest == whole
    assert killed >= 4


# --- politeness


class Clock:
    """Time that passes only by sleeping."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_requests_are_spaced_and_wait_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to one host begin some time apart; when it asks for a pause all of them wait, and other hosts do not."""
    clock = Clock()
    monkeypatch.setattr(session, "time", clock)
    monkeypatch.setattr(session, "APART", 0.05)
    pace = session.Pace()
    for _ in range(4):
        pace.wait("http://one/")
    assert clock.now == pytest.approx(0.15)
    pace.hold("http://one/x", 0.3)
    pace.wait("http://two/")
    assert clock.now == pytest.approx(0.15)
    pace.wait("http://one/y")
    assert clock.now == pytest.approx(0.45)


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as long each time, up to a limit, and at random."""
    slept: list[float] = []
    monkeypatch.setattr(http.time, "sleep", slept.append)
    monkeypatch.setattr(http, "FIRST_WAIT", 1.0)
    for failures in range(1, 9):
        http.pause(failures)
    assert all(0.5 * 2**i <= seconds <= 1.5 * 2**i for i, seconds in enumerate(slept[:5]))
    assert max(slept) <= 1.5 * http.LONGEST_WAIT
