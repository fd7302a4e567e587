"""Models on a hub: `org/name` or `org/name@revision`, of which no more is fetched than is read.

What the hub's own cache holds is used from there; the rest comes by byte ranges into kinprint's cache (`sparse`). Nothing of
a repository is executed. The hub's usual environment variables hold: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE,
HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from kinprint.checkpoints.files import replacing
from kinprint.checkpoints.folders import LocalFolder, Location
from kinprint.checkpoints.formats import format_of
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.places import means_hub, name_like_an_id, without_hub
from kinprint.checkpoints.remote.folder import RemoteFolder, cache_root, explained
from kinprint.checkpoints.remote.http import WebFile
from kinprint.checkpoints.remote.sparse import RemoteFile
from kinprint.checkpoints.weight_choice import choose_weights, is_index
from kinprint.checkpoints.weight_files import shards_of
from kinprint.errors import CheckpointError, KinprintError, WebError, printable

_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w][\w./+-]*))?", re.ASCII)
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_ID = 96
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_NETWORK = "check the path, the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is in the cache"
_TERMS = "accept its terms on the hub, and set HF_TOKEN to a token of yours that may read it"


def means_repository(model: str) -> bool:
    """Whether `model` can only mean a hub id: nothing on disk has that name, and it has the form of one.

    `folder/model.safetensors` has that form too, but whoever writes it means a file.
    """
    name = name_like_an_id(model)
    if name is None or os.path.lexists(model):
        return False
    if means_hub(model):
        return True
    return format_of(name) is None and not is_index(name) and not name.endswith(".kinprint")


def locate(model: str, *, offline: bool = False) -> Location:
    """The model `org/name` or `org/name@revision`, a folder whose files are fetched as they are read.

    Args:
        offline: ask nobody, and use what the caches hold; HF_HUB_OFFLINE says the same.

    Raises:
        CheckpointError: malformed, not found, gated, or the hub cannot be reached.
    """
    name, revision = _parse(model)
    offline = offline or says_offline()
    with _clear_errors(model, revision, offline):
        return _cached(model, name, revision) if offline else _looked_up(model, name, revision)


@dataclass(frozen=True)
class Listed:
    """What a hub lists of a model.

    Attributes:
        name: `org/name`.
        revision: the commit.
        sizes: relative path -> bytes, of every file whose size is listed.
    """

    name: str
    revision: str
    sizes: Mapping[str, int]


def listed(model: str) -> Listed:
    """The commit and the sizes of `org/name` or `org/name@revision`: one question, and nothing of any file is read.

    Raises:
        CheckpointError: as `locate`.
    """
    name, revision = _parse(model)
    with _clear_errors(model, revision, says_offline()):
        commit, files = _ask(model, name, revision)
    return Listed(name, commit, {file.rfilename: file.size for file in files if isinstance(file.size, int)})


def forget(name: str, commit: str) -> None:
    """Remove what was fetched of a commit into kinprint's cache; where nothing was, that is no error."""
    shutil.rmtree(_root(name, commit), ignore_errors=True)


def _parse(model: str) -> tuple[str, str | None]:
    """Id and revision; CheckpointError for what no hub would accept."""
    found = _ID.fullmatch(without_hub(model))
    doubled = found and ("--" in found["id"] or ".." in model)  # the hub's cache gives both a meaning of their own
    if not found or doubled or found["id"].endswith((".", "-", ".git")) or len(found["id"]) > _LONGEST_ID:
        raise CheckpointError(
            model, "neither a file or folder nor a hub id", "check the path, or write org/name or org/name@revision"
        )
    return found["id"], found["revision"]


def says_offline() -> bool:
    """Whether the environment says so."""
    from huggingface_hub import constants

    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return asked or bool(constants.HF_HUB_OFFLINE)  # that one was read when the library was imported


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None  # given at each call: the library reads it at import only


def _looked_up(model: str, name: str, revision: str | None) -> Location:
    """Ask the hub for the commit and its files."""
    commit, files = _ask(model, name, revision)
    listing = {file.rfilename: file for file in files}

    def opened(files: Mapping[str, RemoteFile]) -> None:
        sizes = {path: [file.size, file.version] for path, file in files.items()}
        with _clear_errors(model, revision):
            _remember(name, revision, _Seen(commit, sorted(listing), sizes))

    def file(path: str) -> RemoteFile:
        with _clear_errors(model, revision):
            return _remote(model, name, revision, commit, listing[path])

    folder = _folder(model, name, commit, listing.keys(), file)
    folder.opened = opened
    folder.known_sizes = {path: file.size for path, file in listing.items() if isinstance(file.size, int)}
    return Location(name, model, folder, revision=commit)


def _ask(model: str, name: str, revision: str | None) -> tuple[str, list[Any]]:
    """The commit, and its files as the hub's library describes them."""
    from huggingface_hub import HfApi, constants

    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    info = HfApi(endpoint=_endpoint()).model_info(name, revision=revision, timeout=timeout, files_metadata=True)
    commit = info.sha or ""
    if not _COMMIT.fullmatch(commit):  # it becomes part of paths in the hub's cache
        raise CheckpointError(model, f"the hub names the commit {printable(commit, 60)}, which is none", "check HF_ENDPOINT")
    return commit, list(info.siblings or ())


def _root(name: str, commit: str) -> Path:
    """Where the copies of a commit's files lie."""
    return cache_root(name, json.dumps(["hub", _endpoint(), name, commit]))


def _folder(model: str, name: str, commit: str, listing: AbstractSet[str], file: Callable[[str], RemoteFile]) -> RemoteFolder:
    """A commit; files that the hub's cache holds whole are taken from there."""
    from huggingface_hub import try_to_load_from_cache

    def whole(path: str) -> Path | None:
        cached = try_to_load_from_cache(name, path, revision=commit)
        return Path(cached) if isinstance(cached, str) else None

    return RemoteFolder(model, _root(name, commit), lambda names: set(names) & listing, file, listing, whole=whole)


def _remote(model: str, name: str, revision: str | None, commit: str, sibling: Any) -> RemoteFile:
    """A file of a commit; its size is that of the listing, else asked for."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # exported by a list of names

    file, size = sibling.rfilename, sibling.size
    url = hf_hub_url(name, file, revision=commit, endpoint=_endpoint())
    headers = build_hf_headers(library_name="kinprint")
    web = WebFile(url, headers, size=size, commit=commit)
    size = web.stat().size if size is None else size
    sha256 = str(sibling.lfs.sha256 or "") if sibling.lfs else ""
    version = f"{commit} {sha256 or sibling.blob_id or ''}"
    remote = RemoteFile(f"{model}/{file}", size, version, web.read, sha256 if _SHA256.fullmatch(sha256) else "")

    def explain(error: Exception) -> CheckpointError:
        return CheckpointError(remote.subject, *_explain(error, revision))

    return explained(remote, explain)


# --- without the hub


_ONLINE = "unset HF_HUB_OFFLINE to download it"


@dataclass(frozen=True)
class _Seen:
    """What is remembered of a revision.

    Attributes:
        commit: what it stood for.
        listing: relative paths of its files.
        files: relative path -> size and version of those that were opened.
    """

    commit: str
    listing: list[str]
    files: dict[str, list[Any]]


def _memory(name: str, revision: str | None) -> Path:
    """Where it is remembered what a revision was when the hub was asked last."""
    return cache_root(name, json.dumps(["revision", _endpoint(), name, revision])) / "seen.json"


def _remember(name: str, revision: str | None, seen: _Seen) -> None:
    """For later uses without the hub, under the revision asked for and under the commit itself."""
    for asked in {revision, seen.commit}:
        target = _memory(name, asked)
        earlier = _remembered(target)
        files = earlier.files | seen.files if earlier is not None and earlier.commit == seen.commit else seen.files
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as file:
            file.write(json.dumps(asdict(replace(seen, files=files))).encode())


def _remembered(memory: Path) -> _Seen | None:
    """What was written there; None if nothing was, or by another version, or not whole."""
    try:
        return _Seen(**parse_object(memory.read_bytes(), memory))
    except (OSError, TypeError, CheckpointError):
        return None


def _cached(model: str, name: str, revision: str | None) -> Location:
    """What was opened earlier, with what both caches hold of it, else what the hub's cache holds if it holds all weights."""
    return _from_memory(model, name, revision) or _from_hub_cache(model, name, revision)


def _from_hub_cache(model: str, name: str, revision: str | None) -> Location:
    from huggingface_hub import snapshot_download

    # no patterns: files that were never wanted shall not count as missing
    path = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=[]))
    folder = LocalFolder(path)
    try:
        if index := choose_weights(folder.names(), folder).index:
            shards_of(folder, index)
    except CheckpointError as error:
        raise CheckpointError(model, f"offline, and not all of it is in the cache ({error.problem})", _ONLINE) from error
    return Location(name, model, folder, revision=path.name)


def _from_memory(model: str, name: str, revision: str | None) -> Location | None:
    """A model of which some bytes were fetched earlier: they are enough, or the first one that is missing is an error."""
    seen = _remembered(_memory(name, revision))
    if seen is None:
        return None

    def file(path: str) -> RemoteFile:
        size, version = seen.files[path] if path in seen.files else _refuse(model)
        return RemoteFile(model, size, version, lambda start, stop: _refuse(model))

    return Location(name, model, _folder(model, name, seen.commit, frozenset(seen.listing), file), revision=seen.commit)


def _refuse(model: str) -> NoReturn:
    raise CheckpointError(model, "offline, and not all of it is in the cache", _ONLINE)


# --- errors


@contextlib.contextmanager
def _clear_errors(model: str, revision: str | None, offline: bool = False) -> Iterator[None]:
    """Turn whatever the hub's library raises into one CheckpointError about `model`."""
    try:
        yield
    except KinprintError:
        raise
    except Exception as error:  # its HTTP client, and so the classes of its errors, differ between its versions
        problem, remedy = _explain(error, revision, offline)
        raise CheckpointError(model, problem, remedy) from error


def _explain(error: Exception, revision: str | None, offline: bool = False) -> tuple[str, str]:
    """Problem and remedy."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError) or (isinstance(error, WebError) and error.code == "GatedRepo"):
        return "gated: its owner grants access on request", _TERMS
    if isinstance(error, errors.RevisionNotFoundError):
        return f"no revision {revision or 'main'} in this repository", "give a branch, a tag or a full commit hash"
    if isinstance(error, errors.RepositoryNotFoundError):
        problem = "no such repository on the hub, or a folder that does not exist"
        return problem, "check the path or the id; if it is private or gated, accept its terms and set HF_TOKEN"
    if isinstance(error, WebError) and error.status is None:
        return str(error), "check the network and try again: what has come is kept"
    status = error.status if isinstance(error, WebError) else _status(error)
    if status in (401, 403):
        return f"the hub denies access (HTTP {status})", _TERMS
    if status == 429:
        return "too many requests to the hub (HTTP 429)", "wait some minutes, or set HF_TOKEN for a higher limit"
    if status is not None:
        return f"the hub failed (HTTP {status})", "try again later"
    return _explain_local(error, offline)


def _explain_local(error: Exception, offline: bool) -> tuple[str, str]:
    """The same where no hub has answered."""
    from huggingface_hub import errors

    if offline and isinstance(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)):
        return "offline, and not in the cache", f"check the path, or {_ONLINE}"
    if isinstance(error, OSError) and error.errno in _DISK:
        return f"cannot be stored ({error.strerror})", "make room, or set HF_HOME to a folder that can be written"
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"no folder here, and the hub cannot be reached ({reason[:120]})", _NETWORK


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that `error`, or what caused it, carries."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None
