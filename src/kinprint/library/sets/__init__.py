"""Sets of fingerprints that somebody published: files, and a manifest that names each with its digest, licence and revision.

A set is a folder, here, under a URL or in a repository of a hub. Fingerprints hold no weights, and what is measured of a model
once need not be measured by everybody. Nothing in a set is believed: files are checked against the manifest and read as a
stranger's.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kinprint.checkpoints.files import replacing
from kinprint.checkpoints.folders import Location, ModelFolder
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.opening import located
from kinprint.errors import CheckpointError, KinprintError, LibraryError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.from_model import SUFFIX
from kinprint.library.store import Library

FORMAT = "kinprint-set/1"
MANIFEST = "kinprint-set.json"
SHIPPED = Path(__file__).parent
"""Folders in it are sets that come with the package, by their names."""

MAX_MANIFEST = 16_000_000
MAX_FILES = 10_000
MAX_FILE = 512_000_000
_FILE = re.compile(r"[A-Za-z0-9][\w.@+=-]{0,200}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Item:
    """One fingerprint of a set.

    Attributes:
        name: of the model.
        file: beside the manifest.
        bytes: of the file.
        sha256: of the file, hex.
        digest: of the fingerprint (`Fingerprint.digest`).
        source, revision: what was measured, and its commit; empty if unknown.
        licence: of the model, as its card states it; empty if it states none.
        quick: share of the weights' bytes that was read; None for all.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    digest: str
    source: str = ""
    revision: str = ""
    licence: str = ""
    quick: float | None = None


@dataclass(frozen=True)
class FingerprintSet:
    """A set, as its manifest lists it.

    Attributes:
        where: for people.
        folder: of the files.
        items: in the order of the manifest.
    """

    where: str
    folder: ModelFolder
    items: tuple[Item, ...]

    @property
    def nbytes(self) -> int:
        return sum(item.bytes for item in self.items)

    def fingerprint(self, item: Item) -> Fingerprint:
        """One fingerprint of the set.

        Raises:
            KinprintError: the file is missing, is not what the manifest says, or is no fingerprint.
        """
        source = self.folder.source(item.file)
        data = source.read(item.bytes)
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise LibraryError(
                source, "another SHA-256 than the manifest states", "pull again, or ask whoever publishes the set"
            )
        found = Fingerprint.parse(data, source)
        if found.digest != item.digest:
            raise LibraryError(
                source, "the fingerprint of another model than the manifest states", "ask whoever publishes the set"
            )
        return found


def shipped() -> list[str]:
    """Names of the sets that come with the package."""
    return sorted(manifest.parent.name for manifest in SHIPPED.glob(f"*/{MANIFEST}"))


def open_set(place: str) -> FingerprintSet:
    """The set of a name, a folder, a hub id or a URL.

    Raises:
        CheckpointError: there is nothing there.
        LibraryError: it is no set, or its manifest is damaged.
    """
    location = located(str(SHIPPED / place) if place in shipped() else place)
    return FingerprintSet(place, location.folder, tuple(_items(location)))


def pull(
    source: FingerprintSet,
    library: Library,
    *,
    skip: Callable[[KinprintError], None],
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> int:
    """Add a set to a library. What the library has is not fetched again, so a pull that was cut goes on.

    Args:
        skip: called with what is wrong with a file, and the others are added.
        progress: called with the name of a model, how many are done and how many there are.

    Returns:
        the number of new models.

    Raises:
        LibraryError: the library cannot be written.
    """
    known = library.known(item.digest for item in source.items)
    missing = [item for item in source.items if item.digest not in known]

    def fetched() -> Iterator[Fingerprint]:
        for done, item in enumerate(missing):
            progress(item.name, done, len(missing))
            try:
                yield source.fingerprint(item)
            except KinprintError as error:
                skip(error)

    return library.add(fetched())


def write_manifest(folder: Path, files: Iterable[Path]) -> Path:
    """Describe `.kinprint` files of a folder, so that the folder can be published as a set.

    Raises:
        KinprintError: a file is no fingerprint, or the manifest cannot be written.
    """
    items = [_described(file) for file in files]
    content = {"format": FORMAT, "models": [asdict(item) for item in items]}
    target = folder / MANIFEST
    try:
        with replacing(target) as out:
            out.write((json.dumps(content, indent=1) + "\n").encode())
    except OSError as error:
        raise LibraryError(target, f"cannot be written: {error.strerror or error}") from error
    return target


def _described(file: Path) -> Item:
    found = Fingerprint.load(file)
    data = file.read_bytes()
    said = {key: found.provenance.get(key) for key in ("source", "revision")}
    source, revision = (value if isinstance(value, str) else "" for value in (said["source"], said["revision"]))
    # A place on the disk of whoever measured it is nobody's business.
    public = source if not Path(source).is_absolute() else Path(source).name
    return Item(
        found.name,
        file.name,
        len(data),
        hashlib.sha256(data).hexdigest(),
        found.digest,
        public,
        revision,
        stated_licence(found),
        found.quick,
    )


def stated_licence(found: Fingerprint) -> str:
    """The licence of a model as its card stated it when it was measured; empty if it states none."""
    licence, name = (found.provenance.get(key) for key in ("license", "license_name"))
    return next((value for value in (licence if licence != "other" else None, name) if isinstance(value, str)), "")


def _items(location: Location) -> Sequence[Item]:
    """The manifest, nothing in it believed: names of files do not climb, sizes and digests have their form."""
    if not location.folder.there({MANIFEST}):
        names = ", ".join(shipped())
        raise LibraryError(printable(location.source), f"holds no {MANIFEST}", f"sets that come with kinprint: {names}")
    source = location.folder.source(MANIFEST)
    try:
        content = parse_object(source.read(MAX_MANIFEST), source)
    except CheckpointError as error:
        raise LibraryError(source, error.problem, error.remedy) from error
    rows = content.get("models")
    if content.get("format") != FORMAT or not isinstance(rows, list) or len(rows) > MAX_FILES:
        raise LibraryError(source, f"no set of at most {MAX_FILES:,} fingerprints", f"expected {FORMAT}, see docs/library.md")
    return [_item(source, row) for row in rows]


def _item(source: object, row: Any) -> Item:
    said = {key: row.get(key) for key in Item.__dataclass_fields__} if isinstance(row, dict) else {}
    name, file, size = said.get("name"), said.get("file"), said.get("bytes")
    digests = [said.get(key) for key in ("sha256", "digest")]
    if not (isinstance(file, str) and _FILE.fullmatch(file) and file.endswith(SUFFIX) and isinstance(name, str)):
        raise LibraryError(
            source, f"a file with the name {printable(file, 60)}", f"files end in {SUFFIX} and lie beside the manifest"
        )
    if type(size) is not int or not 0 < size <= MAX_FILE:
        raise LibraryError(source, f"{file} is said to have {printable(size, 30)} bytes", f"at most {MAX_FILE:,} are read")
    if not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in digests):
        raise LibraryError(source, f"the digests of {file} are no digests", "ask whoever publishes the set")
    words = {key: printable(said[key], 200) if isinstance(said[key], str) else "" for key in ("source", "revision", "licence")}
    quick = said["quick"] if isinstance(said["quick"], float) else None
    return Item(printable(name, 200), file, size, str(digests[0]), str(digests[1]), **words, quick=quick)
