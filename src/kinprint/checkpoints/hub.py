"""Models on a hub: `org/name` or `org/name@revision`, downloaded into the hub's own cache and opened from there.

Only files are fetched, and only those that are read; nothing of a repository is executed. The hub's usual environment
variables hold: HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kinprint.checkpoints.formats import format_of, formats
from kinprint.checkpoints.tokenizer import FORMS
from kinprint.checkpoints.weights import INDEX, only_set, weight_map
from kinprint.errors import CheckpointError, KinprintError

_LIKE_AN_ID = re.compile(r"(?![.~])[^/\\@]+/(?P<name>[^/\\@]+)(@.*)?", re.DOTALL)
_ID = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w][\w./+-]*))?", re.ASCII)
_LONGEST_ID = 96
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_TERMS = "accept its terms on the hub, and set HF_TOKEN to a token of yours that may read it"


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository on disk.

    Attributes:
        name: `org/name`.
        commit: what the revision asked for stands for.
        folder: the files that were needed.
    """

    name: str
    commit: str
    folder: Path


def means_repository(model: str) -> bool:
    """Whether `model` can only mean a hub id: nothing on disk has that name, and it has the form of one.

    `folder/model.safetensors` has that form too, but whoever writes it means a file.
    """
    found = _LIKE_AN_ID.fullmatch(model)
    if not found or os.path.lexists(model):
        return False
    return format_of(Path(found["name"])) is None and not found["name"].endswith((INDEX, ".kinprint"))


def download(model: str) -> Snapshot:
    """The files of the repository `model` that are needed to open it, from the hub's cache or the hub.

    Raises:
        CheckpointError: malformed, not found, gated, without weights, or the hub cannot be reached.
    """
    name, revision = _parse(model)
    with _clear_errors(model, revision):
        return _cached(model, name, revision) if _offline() else _fetched(model, name, revision)


def _parse(model: str) -> tuple[str, str | None]:
    """Id and revision; CheckpointError for what no hub would accept."""
    found = _ID.fullmatch(model)
    doubled = found and ("--" in found["id"] or ".." in model)  # the hub's cache gives both a meaning of their own
    if not found or doubled or found["id"].endswith((".", "-", ".git")) or len(found["id"]) > _LONGEST_ID:
        raise CheckpointError(
            model, "neither a file or folder nor a hub id", "check the path, or write org/name or org/name@revision"
        )
    return found["id"], found["revision"]


def _offline() -> bool:
    from huggingface_hub import constants

    asked = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return asked or bool(constants.HF_HUB_OFFLINE)  # that one was read when the library was imported


def _fetched(model: str, name: str, revision: str | None) -> Snapshot:
    """Look up the commit, choose among its files, download the missing ones."""
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT") or None  # given at each call: the library reads it at import only
    info = HfApi(endpoint=endpoint).model_info(name, revision=revision, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT)
    commit = info.sha or ""
    listing = {file.rfilename for file in info.siblings or ()}

    def read_index(file: str) -> Path:
        return Path(hf_hub_download(name, file, revision=commit, endpoint=endpoint))

    wanted = _weights(model, listing, read_index) | _beside(listing)
    patterns = [glob.escape(file) for file in sorted(wanted)]
    # by the revision asked for, not by its commit, so that the cache remembers it for offline use
    folder = Path(snapshot_download(name, revision=revision, endpoint=endpoint, allow_patterns=patterns))
    if folder.name != commit:
        raise CheckpointError(model, "the repository has changed during the download", "try again")
    return Snapshot(name, commit, folder)


def _cached(model: str, name: str, revision: str | None) -> Snapshot:
    """What the cache holds, if it holds all weights; nothing is looked up."""
    from huggingface_hub import snapshot_download

    # no patterns: files that were never wanted shall not count as missing
    folder = Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns=[]))
    listing = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    try:
        _weights(model, listing, lambda file: folder / file)
    except CheckpointError as error:
        raise CheckpointError(model, f"offline, and not all of it is in the cache ({error.problem})", _ONLINE) from error
    return Snapshot(name, folder.name, folder)


_ONLINE = "unset HF_HUB_OFFLINE to download it"


def _weights(model: str, listing: AbstractSet[str], read_index: Callable[[str], Path]) -> set[str]:
    """The weights that `find_weights` would choose in a folder that holds all of `listing`, with their index.

    Args:
        model: what the user gave, for messages.
        listing: paths of the files in the repository.
        read_index: brings the index of that name onto the disk.
    """
    for form in formats():
        for standard in (form.stem + suffix for suffix in form.suffixes):
            if standard in listing:
                return {standard}
            if standard + INDEX in listing:
                shards = set(weight_map(read_index(standard + INDEX)).values())
                if missing := sorted(shards - listing):
                    problem = f"{len(missing)} of {len(shards)} shards are not there: {', '.join(missing[:3])}"
                    raise CheckpointError(model, problem, "ask its owner to complete it")
                return {standard + INDEX, *shards}
    for form in formats():
        if mine := sorted(file for file in listing if "/" not in file and format_of(Path(file)) is form):
            return _without_index(model, mine, form.stem)
    known = ", ".join(suffix for form in formats() for suffix in form.suffixes)
    raise CheckpointError(model, "a repository without weights", f"it should hold a file ending in one of {known}")


def _without_index(model: str, files: list[str], stem: str) -> set[str]:
    try:
        return set(only_set(model, files, stem))
    except CheckpointError as error:
        raise CheckpointError(model, error.problem, "download what you mean, and give that file") from error


def _beside(listing: AbstractSet[str]) -> set[str]:
    """Configuration, card, and the first form of tokenizer that is there, as `open_checkpoint` reads them."""
    tokenizer = next((form for form in FORMS if form[0] in listing), ())
    return {"config.json", "README.md", *tokenizer} & listing


@contextmanager
def _clear_errors(model: str, revision: str | None) -> Iterator[None]:
    """Turn whatever the hub's library raises into one CheckpointError about `model`."""
    try:
        yield
    except KinprintError:
        raise
    except Exception as error:  # its HTTP client, and so the classes of its errors, differ between its versions
        problem, remedy = _explain(error, revision)
        raise CheckpointError(model, problem, remedy) from error


def _explain(error: Exception, revision: str | None) -> tuple[str, str]:
    """Problem and remedy."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "gated: its owner grants access on request", _TERMS
    if isinstance(error, errors.RevisionNotFoundError):
        return f"no revision {revision or 'main'} in this repository", "give a branch, a tag or a full commit hash"
    if isinstance(error, errors.RepositoryNotFoundError):
        problem = "no such repository on the hub, or a folder that does not exist"
        return problem, "check the path or the id; if it is private or gated, accept its terms and set HF_TOKEN"
    status = _status(error)
    if status in (401, 403):
        return f"the hub denies access (HTTP {status})", _TERMS
    if status == 429:
        return "too many requests to the hub (HTTP 429)", "wait some minutes, or set HF_TOKEN for a higher limit"
    if status is not None:
        return f"the hub failed (HTTP {status})", "try again later"
    return _explain_local(error)


def _explain_local(error: Exception) -> tuple[str, str]:
    """The same where no hub has answered."""
    from huggingface_hub import errors

    if _offline() and isinstance(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)):
        return "offline, and not in the cache", f"check the path, or {_ONLINE}"
    if isinstance(error, OSError) and error.errno in _DISK:
        return f"cannot be stored ({error.strerror})", "make room, or set HF_HOME to a folder that can be written"
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return (
        f"no folder here, and the hub cannot be reached ({reason[:120]})",
        "check the path, the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use what is in the cache",
    )


def _status(error: BaseException | None) -> int | None:
    """The HTTP status that `error`, or what caused it, carries."""
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None
