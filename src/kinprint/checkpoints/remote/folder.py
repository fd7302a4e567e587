"""Models that lie elsewhere: which of the files there make up the model, and a folder here through which they are read.

The folder lies in kinprint's cache and holds local copies (`ranges`): nothing is in them until something of it is needed.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Generator, Iterable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from blake3 import blake3

from kinprint.checkpoints.files import AHEAD, announce, cache_folder, clear_errors, open_regular, present
from kinprint.checkpoints.formats import format_of, formats
from kinprint.checkpoints.remote import sparse
from kinprint.checkpoints.remote.sparse import Remote
from kinprint.checkpoints.tokenizer import FORMS
from kinprint.checkpoints.weight_files import INDEX, only_set, weight_map
from kinprint.errors import CheckpointError, KinprintError

AT_ONCE = 8
"""Files that are looked up, or whose headers are fetched, at the same time."""

_ADAPTER = "adapter_config.json"
_ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_BESIDE = ("config.json", "README.md", _ADAPTER)
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Snapshot:
    """One state of a model that lies elsewhere, as a folder or a file here.

    Attributes:
        name: short, for people.
        source: what the user gave, without what should not be shown.
        revision: the commit, on a hub.
        path: what to open.
    """

    name: str
    source: str
    revision: str
    path: Path


@dataclass(frozen=True)
class RemoteFolder:
    """A folder that lies elsewhere.

    Attributes:
        source: what to call it in messages.
        place: what tells it from any other folder, and from its other states where these have names of their own.
        listing: relative paths of its files, as far as they can be listed.
        there: which of some relative paths are files there.
        file: one of them; CheckpointError if it cannot be had.
        whole: where such a file lies on this disk already, if it does.
    """

    source: str
    place: str
    listing: AbstractSet[str]
    there: Callable[[Iterable[str]], set[str]]
    file: Callable[[str], Remote]
    whole: Callable[[str], Path | None] = field(default=lambda name: None)


def bring(folder: RemoteFolder, name: str, only: str = "") -> Path:
    """A folder here with the files that make up the model `name`, or of that folder the weights file or index `only`.

    Raises:
        CheckpointError: no weights there, incomplete, or not to be had.
    """
    root = cache_root(name, folder.place)

    def provide(file: str) -> Path:
        return _provide(folder, root, file)

    standard = {form.stem + suffix + end for form in formats() for suffix in form.suffixes for end in ("", INDEX)}
    beside = {*_BESIDE, *(file for form in FORMS for file in form)}
    listing = folder.listing | folder.there(beside if only else beside | standard | {*_ADAPTER_WEIGHTS})
    wanted = _shards(folder, only, provide) if only else weights(folder, listing, provide)
    brought = [provide(file) for file in sorted(wanted)]
    _read_beginnings([path for path in brought if not path.name.endswith(INDEX)])
    wanted |= beside_weights(listing)
    for file in wanted & {*beside, _ADAPTER}:
        provide(file)
    _clear(root, wanted)
    return root / "files" / only


def cache_root(name: str, place: str) -> Path:
    """Where the local copies of a place and the records of what is in them lie."""
    readable = re.sub(r"[^A-Za-z0-9._]+", "-", name)[:60].strip(".-")
    return cache_folder() / "remote" / f"{readable}-{blake3(place.encode()).hexdigest()[:16]}"


def _provide(folder: RemoteFolder, root: Path, file: str) -> Path:
    """The local copy of one file, or a link to the whole file where it lies on this disk."""
    path = root / "files" / file
    whole = folder.whole(file)
    if whole is not None and _linked(path, whole):
        announce(path, None)
        return path
    sparse.provide(path, root / "ranges" / file, folder.file(file))
    return path


def _linked(path: Path, whole: Path) -> bool:
    """Whether `path` is, or could be made, a link to `whole`."""
    target = os.path.realpath(whole)
    with contextlib.suppress(OSError):
        if os.readlink(path) == target:
            return True
    new = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, new)
        os.replace(new, path)
    except (OSError, NotImplementedError):  # not on every system, and not for everybody
        with contextlib.suppress(OSError):
            os.unlink(new)
        return False
    return True


def _clear(root: Path, wanted: AbstractSet[str]) -> None:
    """Remove copies of files that are no longer there, or no longer chosen: the folder is searched for weights again."""
    files = root / "files"
    with clear_errors(files):
        for folder, _, names in os.walk(files):
            for name in names:
                path = Path(folder, name)
                if path.relative_to(files).as_posix() not in wanted:
                    announce(path, None)
                    path.unlink(missing_ok=True)


def _read_beginnings(files: list[Path]) -> None:
    """Fetch the first bytes of many files at the same time: one after another they take long."""

    def begin(path: Path) -> None:
        with open_regular(path) as file:
            present(file, (0, min(AHEAD, os.fstat(file.fileno()).st_size)))

    if len(files) > 1:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(begin, files))


# --- which files


def weights(folder: RemoteFolder, listing: AbstractSet[str], provide: Callable[[str], Path]) -> set[str]:
    """The weights that `find_weights` would choose in a folder that holds all of `listing`, with their index.

    Args:
        folder: for messages, and for files that `listing` may lack.
        listing: relative paths of its files.
        provide: gives the local copy of one of them.
    """
    for form in formats():
        for standard in (form.stem + suffix for suffix in form.suffixes):
            if standard in listing:
                return {standard}
            if standard + INDEX in listing:
                return _shards(folder, standard + INDEX, provide)
    if _ADAPTER in listing and (adapter := next((file for file in _ADAPTER_WEIGHTS if file in listing), "")):
        return {adapter}
    for form in formats():
        if mine := sorted(file for file in listing if "/" not in file and format_of(Path(file)) is form):
            try:
                return set(only_set(folder.source, mine, form.stem))
            except CheckpointError as error:
                raise CheckpointError(folder.source, error.problem, "download what you mean, and give that file") from error
    known = ", ".join(suffix for form in formats() for suffix in form.suffixes)
    raise CheckpointError(folder.source, "a repository without weights", f"it should hold a file ending in one of {known}")


def _shards(folder: RemoteFolder, file: str, provide: Callable[[str], Path]) -> set[str]:
    """A weights file, or an index and the files that it names."""
    if not file.endswith(INDEX):
        return {file}
    shards = set(weight_map(provide(file)).values())
    if missing := sorted(shards - folder.there(shards)):
        problem = f"{len(missing)} of {len(shards)} shards are not there: {', '.join(missing[:3])}"
        raise CheckpointError(folder.source, problem, "ask its owner to complete it")
    return {file, *shards}


def beside_weights(listing: AbstractSet[str]) -> set[str]:
    """Configurations, card, and the first form of tokenizer that is there, as `open_checkpoint` reads them."""
    tokenizer = next((form for form in FORMS if form[0] in listing), ())
    return {*_BESIDE, _ADAPTER, *tokenizer} & listing


# --- errors


def explained(remote: Remote, explain: Callable[[Exception], CheckpointError]) -> Remote:
    """`remote` with whatever its source raises turned into one CheckpointError."""

    def read(start: int, stop: int) -> Generator[tuple[int, bytes], None, None]:
        try:
            yield from remote.read(start, stop)
        except KinprintError:
            raise
        except Exception as error:
            raise explain(error) from error

    return replace(remote, read=read)
