"""The library: fingerprints in four Lance tables, in a folder or in object storage.

`models` has a row a model (`kinprint.library.records`) with its index vectors, `parts` one a vision tower or other component
with the vectors of that, `fingerprints` the bytes of the `.kinprint` files, so that listing and searching never touch them,
`versions` says how to read them. A model is in the library when `models` has its row. Its fingerprint and its parts are written
before that row and removed after it: a process that is killed in between leaves rows that nobody reads and that the next `add`
of the model uses. In a folder a small file lists the models too
(`kinprint.library.listing`).

Lance's tables are versioned: a commit makes a version, readers see one version whole. Lance alone does not keep two writers
from inserting the same digest (measured: docs/library.md), so in a folder writers take turns by a file lock, and everywhere
the digest is declared a key, which makes such commits conflict and the later one start again.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import ArrayLike

from kinprint._version import __version__
from kinprint.checkpoints.files import file_name
from kinprint.errors import FingerprintError, KinprintError, LibraryError, MissingExtraError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.facts import Facts
from kinprint.library import listing, records, spaces
from kinprint.library.listing import TABLES
from kinprint.library.records import COLUMNS, LISTED, SCHEMA, VECTOR, ListedModel, StoredModel
from kinprint.notebook import Shown

if TYPE_CHECKING:
    import pyarrow as pa

    from kinprint.library.vectors import Vector

LOCK = ".kinprint.lock"
PATIENCE = 900
"""Seconds that a writer waits for its turn."""

BATCH, BATCH_BYTES = 256, 64 << 20
"""At most so many fingerprints, and bytes of fingerprints, go into one commit."""

TIDY_EVERY = 64
"""Commits to `models` between two compactions in a folder: every commit leaves small files, which all readers have to open."""

KEPT = timedelta(hours=1)
"""For how long old versions stay, for readers that still use them."""

EXACT_BELOW = 50_000
"""Models up to which `nearest` looks at every vector; above, `optimize` builds an index."""

PARTITION = 8192
"""Vectors in a partition of an index, which is read as one piece."""

SCHEMAS = {
    "models": records.models_schema,
    "parts": records.parts_schema,
    "fingerprints": records.fingerprints_schema,
    "versions": records.versions_schema,
}
"""Table -> its columns."""

PARTS_SINCE = 4
"""Version of the columns (`SCHEMA`) since which there is a table `parts`."""

EVERY_PARTITION = 1 << 16
"""All partitions of an index are searched: strangers' vectors form no clusters, so a relative may lie in any of them. One bit a
dimension (RaBitQ, Gao and Long, 2024) makes that cheap."""

REFINED = 16
"""How many times more models than asked for are compared by their exact vectors. With 4, one in seven of those at
5.5 standard deviations of strangers' cosines among a million was missed (`benchmarks/million.py`)."""

_HEX = re.compile(r"[0-9a-f]{4,64}")
_WHERE_IN_RUST = re.compile(r",? ?/?\S+\.rs:\d+(:\d+)?")


class Tidied(NamedTuple):
    """What `optimize` did."""

    models: int
    indexes: tuple[str, ...]
    """Spaces that have a vector index now."""


class _Entry(NamedTuple):
    """What is stored of a model: its row, the rows of its parts, the bytes of its fingerprint."""

    model: dict[str, Any]
    parts: list[dict[str, Any]]
    data: bytes


class SkipCallback(Protocol):
    """Called with what cannot be read."""

    def __call__(self, error: KinprintError, /) -> None: ...


M = TypeVar("M", bound=ListedModel)


class Library(Shown):
    """A searchable collection of fingerprints, each there once by its digest. Open one with `Library.open`.

    Every read sees what others have written meanwhile. Threads and processes may share a library; objects of this class
    may not be carried into a forked process, where Lance does not work.

    Example:
        >>> library = Library.open("memory://", create=True)
        >>> len(library)
        0
    """

    measure = "parameters"

    def __init__(self, where: str, database: Any) -> None:
        self.where = where
        self._database = database

    @classmethod
    def open(cls, where: str | os.PathLike[str], create: bool = False) -> Library:
        """Open a library; one that an older version of kinprint made is brought up to date first.

        Args:
            where: a folder, or a URL: s3://bucket/path, gs://, az://, memory:// (gone with its last user). Credentials of
                object storage come from the environment.
            create: make an empty one if there is none.

        Raises:
            LibraryError: there is none, it is damaged, of a newer version, or no library at all.
            MissingExtraError: LanceDB is not installed.
        """
        name = os.fspath(where)
        folder = _folder(name)
        with _clear_errors(name):
            if folder is not None:
                _require_folder(folder, create)
            library = cls(name, _connect(name))
            if library._missing() and create:
                library._create()
            library._check()
            return library

    def headline(self) -> str:
        return f"Library {self.where}"

    def summary(self) -> str:
        count = len(self)
        return f"{count:,} {'model' if count == 1 else 'models'}."

    def rows(self) -> list[dict[str, Any]]:
        """One row a model: name, family, layers, hidden size, parameters, digest."""
        return [
            {
                "name": model.name,
                "family": model.family,
                "layers": model.layers,
                "hidden_size": model.hidden_size,
                "parameters": model.parameters,
                "digest": model.digest,
            }
            for model in self.models()
        ]

    def __iter__(self) -> Iterator[StoredModel]:
        """What a listing says of each model."""
        return iter(self.models())

    def __repr__(self) -> str:
        return f"<Library {self.where!r}, {len(self):,} models>"

    def __len__(self) -> int:
        """Number of models. Of very many, of rows: more, if writers that nothing kept apart have inserted a model twice.

        What is corrected for it is then on the safe side.
        """
        with _clear_errors(self.where):
            models = self._table("models")
            if (rows := int(models.count_rows())) >= EXACT_BELOW:
                return rows
            return len(models.search().select(["digest"]).to_arrow()["digest"].combine_chunks().unique())

    @property
    def version(self) -> str:
        """Changes whenever models come or go; costs no more than looking it up."""
        with _clear_errors(self.where):
            return str(self._table("models").version)

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, str) and bool(self.known([digest]))

    def add(self, fingerprints: Iterable[Fingerprint], identities: Mapping[str, str] | None = None) -> int:
        """Add fingerprints, many with one commit; those whose digest is there already are left as they are.

        Batches that were written before an error stay.

        Args:
            fingerprints: may be an iterator; a batch of them is in memory at a time.
            identities: digest -> identity of the content that was measured, see `StoredModel.identity`.

        Returns:
            the number of new models.

        Raises:
            LibraryError: the library cannot be written.
        """
        return sum(self._commit(batch) for batch in _batches(fingerprints, identities or {}))

    def models(self) -> Iterator[StoredModel]:
        """Every model once, in the order of storage; no fingerprint is loaded."""
        yield from self._select()

    def listed(self) -> Iterator[ListedModel]:
        """As `models`, without facts and provenance, which are most of what `models` reads."""
        yield from self._each(ListedModel, LISTED)

    def find(self, text: str) -> list[StoredModel]:
        """The models that `text` may mean: of that digest, else of that name, else whose digests begin with it (four
        characters at least)."""
        for where in (_equals("digest", text), _equals("name", text)):
            if models := list(self._select(where)):
                return models
        return list(self._select(f"starts_with(digest, '{text}')")) if _HEX.fullmatch(text) else []

    def model(self, text: str) -> StoredModel:
        """The one model that `text` means, see `find`.

        Raises:
            LibraryError: none or several; the message lists them.
        """
        models = self.find(text)
        if not models:
            raise LibraryError(printable(text, 80), f"no such model in {self.where}", "see `kinprint library list`")
        if len(models) > 1:
            listed = ", ".join(f"{printable(model.name, 40)} ({model.digest[:12]})" for model in models[:5])
            more = f" and {len(models) - 5} more" if len(models) > 5 else ""
            raise LibraryError(printable(text, 80), f"means several models: {listed}{more}", "give the digest")
        return models[0]

    def get(self, text: str) -> Fingerprint:
        """The fingerprint of the model that a digest, the unique beginning of one, or a name means.

        Raises:
            LibraryError: no or several such models, or the stored fingerprint is not what its digest says.
        """
        return self._load(self.model(text).digest)

    def known(self, digests: Iterable[str]) -> set[str]:
        """The digests among these that are in the library."""
        return {model["digest"] for model in self._rows("models", ["digest"], "digest", digests)}

    def contents(self, digests: Iterable[str]) -> dict[str, str]:
        """Digest of a fingerprint -> digest of all its model's weights (`Facts.content`), of those that state it."""
        rows = self._rows("models", ["digest", "facts_json"], "digest", digests)
        stated = {row["digest"]: Facts.of(records.facts_of(row["facts_json"])).content for row in rows}
        return {digest: content for digest, content in stated.items() if content is not None}

    def vectors(self, digests: Iterable[str]) -> dict[str, dict[str, Vector]]:
        """Digest of a fingerprint -> its index vectors by space, without loading it."""
        columns = {space: VECTOR + space for space in spaces.DIMENSIONS}
        vectors: dict[str, dict[str, Vector]] = {}
        for row in self._rows("models", ["digest", *columns.values()], "digest", digests):
            known = {space: row[name] for space, name in columns.items() if row[name] is not None}
            vectors[row["digest"]] = {space: np.asarray(values, np.float32) for space, values in known.items()}
        return vectors

    def identities(self, sources: Iterable[str]) -> dict[str, dict[str, str]]:
        """Source -> identity of the content that was measured there (`StoredModel.identity`) -> digest."""
        identities: dict[str, dict[str, str]] = {}
        for model in self._rows("models", ["source", "identity", "digest"], "source", sources):
            if model["identity"]:
                identities.setdefault(model["source"], {})[model["identity"]] = model["digest"]
        return identities

    def remove(self, models: Iterable[str]) -> list[StoredModel]:
        """Remove models, each given by what `model` understands; all are found before the first is removed.

        Returns:
            the models that were removed.

        Raises:
            LibraryError: as `model`; nothing was removed.
        """
        removed = {model.digest: model for model in map(self.model, models)}
        with _clear_errors(self.where), self._turn():
            for table in ("models", "parts", "fingerprints"):
                for part in _parts(removed):
                    self._table(table).delete(_among("digest", part))
        return list(removed.values())

    def merge(self, other: Library, *, skip: SkipCallback | None = None) -> int:
        """Add the models of another library.

        Args:
            skip: called with the error of each fingerprint that cannot be read, and the others are added; without it the error
                is raised.

        Returns:
            the number of new models.

        Raises:
            LibraryError: the other library is damaged, or this one cannot be written.
        """
        identities = {model.digest: model.identity for model in other.models()}
        missing = sorted(set(identities) - self.known(identities))
        return self.add(other._loaded(missing, skip), identities)

    def export(
        self, folder: str | os.PathLike[str], models: Iterable[str] | None = None, *, skip: SkipCallback | None = None
    ) -> list[Path]:
        """Write `.kinprint` files named after their models; where names coincide, the digest's beginning tells them apart.

        Args:
            folder: made if it is missing; files of the same names are replaced.
            models: as for `remove`; all by default.
            skip: as for `merge`.

        Raises:
            LibraryError, FingerprintError: something cannot be read or written.
        """
        chosen = list(self.models()) if models is None else [self.model(text) for text in models]
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(target, f"cannot be made: {error.strerror or error}") from error
        names = _file_names({model.digest: model.name for model in chosen})
        written = []
        for fingerprint in self._loaded(names, skip):
            written.append(target / names[fingerprint.digest])
            fingerprint.save(written[-1])
        return written

    def nearest(self, space: str, vector: ArrayLike, count: int, part: str = "") -> list[tuple[str, float]]:
        """The models whose vectors of a space point most nearly in the direction of `vector`.

        Args:
            space: one of `kinprint.library.spaces.DIMENSIONS`.
            vector: (spaces.DIMENSIONS[space],), finite.
            count: how many; fewer where fewer models have a vector of this space.
            part: look at the vectors of this component, "vision tower", instead of those of whole models.

        Returns:
            (digest, cosine similarity), best first.

        Raises:
            ValueError: no such space, or a vector of another length or with numbers that are not finite.
        """
        query = np.asarray(vector, np.float32)
        if query.shape != (spaces.DIMENSIONS.get(space),) or not np.isfinite(query).all():
            raise ValueError(
                f"a vector of {space!r} must be finite and as long as {dict(spaces.DIMENSIONS)} says, not {query.shape}"
            )
        with _clear_errors(self.where):
            table = self._table("parts" if part else "models")
            search = table.search(query, vector_column_name=VECTOR + space).distance_type("cosine")
            if part:
                search = search.where(_equals("part", part))
            search = search.nprobes(EVERY_PARTITION).refine_factor(REFINED).limit(count)
            rows = search.select(["digest", "_distance"]).to_arrow().to_pylist()
        best = {row["digest"]: 1.0 - float(row["_distance"]) for row in reversed(rows)}
        if part:  # of a model that is there: rows of one that was not added to its end belong to none
            best = {digest: best[digest] for digest in self.known(best)}
        return sorted(best.items(), key=lambda pair: -pair[1])

    def optimize(self) -> Tidied:
        """Join small files, remove versions that are out of use (`KEPT`), bring the vector indexes up to date or build them.

        Fingerprints are copied when they lie in so many files that it pays: more than the square root of their number.

        Raises:
            LibraryError: the library cannot be written.
        """
        with _clear_errors(self.where), self._turn():
            models, parts, fingerprints = (self._table(name) for name in ("models", "parts", "fingerprints"))
            indexed = self._build_indexes(models)
            self._build_indexes(parts)
            for table in (models, fingerprints):
                _index_digests(table)
            for table in (models, parts):
                table.optimize(cleanup_older_than=KEPT)
            files = fingerprints.stats()["fragment_stats"]["num_fragments"]
            if files > TIDY_EVERY and files**2 > fingerprints.count_rows():
                fingerprints.optimize(cleanup_older_than=KEPT)
        return Tidied(len(self), indexed)

    def _build_indexes(self, table: Any) -> tuple[str, ...]:
        """A vector index for each space that has enough vectors and none yet; the spaces that have one then."""
        from lancedb.index import IvfRq

        indexed = {column for built in table.list_indices() for column in built.columns}
        for space in spaces.DIMENSIONS:
            column = VECTOR + space
            count = table.count_rows(f"{column} IS NOT NULL")
            if column not in indexed and count >= EXACT_BELOW:
                partitions = max(count // PARTITION, 1)
                table.create_index(column, config=IvfRq(distance_type="cosine", num_partitions=partitions))
                indexed.add(column)
        return tuple(space for space in spaces.DIMENSIONS if VECTOR + space in indexed)

    def _commit(self, batch: list[_Entry]) -> int:
        """Add rows and their fingerprints where the digest is new; the number of new ones."""
        with _clear_errors(self.where), self._turn() as added:
            known = self.known(entry.model["digest"] for entry in batch)
            new = [entry for entry in batch if entry.model["digest"] not in known]
            if not new:
                return 0
            self._insert("fingerprints", [{"digest": entry.model["digest"], "data": entry.data} for entry in new])
            if parts := [row for entry in new for row in entry.parts]:
                self._insert("parts", parts, key="key")
            inserted = self._insert("models", [entry.model for entry in new])
            if inserted == len(new):
                added += [ListedModel(**{name: entry.model[name] for name in LISTED}) for entry in new]
            models = self._table("models")
            if _folder(self.where) is not None and models.version % TIDY_EVERY == 0:
                models.optimize(cleanup_older_than=KEPT)
            return inserted

    def _insert(self, table: str, rows: list[dict[str, Any]], key: str = "digest") -> int:
        """Insert the rows whose key is new, with one commit; the number inserted.

        Without `use_index(False)` Lance misses a conflict between two writers.
        """
        import pyarrow as pa

        arrow = pa.Table.from_pylist(rows, SCHEMAS[table]())
        insert = self._table(table).merge_insert(key).when_not_matched_insert_all().use_index(False)
        return int(insert.execute(arrow, on_bad_vectors="null", timeout=timedelta(seconds=PATIENCE)).num_inserted_rows)

    def _select(self, where: str | None = None) -> Iterator[StoredModel]:
        yield from self._each(StoredModel, COLUMNS, where)

    def _each(self, kind: type[M], columns: Sequence[str], where: str | None = None) -> Iterator[M]:
        """The models of a condition, each once, as so much as these columns say of them."""
        seen: set[str] = set()
        with _clear_errors(self.where):
            query = self._table("models").search().select(list(columns))
            for batch in (query.where(where) if where else query).to_batches():
                for row in batch.to_pylist():
                    if row["digest"] not in seen:
                        seen.add(row["digest"])
                        yield kind(**row)

    def _listed(self) -> list[ListedModel] | None:
        """What the listing says of every model; None of more than it holds."""
        models = self._table("models")
        if models.count_rows() > listing.MOST:
            return None
        rows = models.search().select(list(LISTED)).to_arrow().to_pylist()
        return list({row["digest"]: ListedModel(**row) for row in reversed(rows)}.values())[::-1]

    def _rows(self, table: str, columns: list[str], column: str, values: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Some columns of the rows in which `column` has one of the values."""
        with _clear_errors(self.where):
            for part in _parts(values):
                yield from self._table(table).search().where(_among(column, part)).select(columns).to_arrow().to_pylist()

    def _loaded(self, digests: Iterable[str], skip: SkipCallback | None) -> Iterator[Fingerprint]:
        for digest in digests:
            try:
                yield self._load(digest)
            except KinprintError as error:
                if skip is None:
                    raise
                skip(error)

    def _load(self, digest: str) -> Fingerprint:
        subject = f"{self.where}, fingerprint {digest[:12]}"
        row = next(self._rows("fingerprints", ["data"], "digest", [digest]), None)
        if row is None:
            raise LibraryError(subject, "its bytes are missing", "remove the model and add it again")
        try:
            fingerprint = Fingerprint.parse(row["data"], subject)
        except FingerprintError as error:
            raise LibraryError(subject, error.problem, error.remedy or "remove the model and add it again") from error
        if fingerprint.digest != digest:
            raise LibraryError(subject, "its digest is not the one that the model has", "remove the model and add it again")
        return fingerprint

    def _table(self, name: str) -> Any:
        return self._database.open_table(name)

    def _missing(self) -> list[str]:
        present = set(self._database.list_tables(limit=1000).tables)
        return [name for name in TABLES if name not in present]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[list[ListedModel]]:
        """This writer's turn, where writers take turns. The listing follows; it is told of models that come with one commit."""
        folder = _folder(self.where)
        added: list[ListedModel] = []
        if folder is None:
            yield added
            return
        try:
            with FileLock(folder / LOCK, timeout=PATIENCE):
                before = listing.read(folder)
                yield added
                with contextlib.suppress(OSError):
                    listing.write(folder, self._listed, before, added)
        except Timeout as error:
            problem = f"others have been writing for {PATIENCE // 60} minutes"
            raise LibraryError(self.where, problem, "find the process that holds the lock") from error

    def _create(self) -> None:
        """The missing tables, `versions` last: with it the library is complete."""
        with self._turn():
            for name in self._missing():
                self._database.create_table(name, schema=SCHEMAS[name](), exist_ok=True)
            self._sign()

    def _sign(self) -> None:
        import pyarrow as pa

        signed = {"schema": SCHEMA, "vectors": spaces.VERSION, "kinprint": __version__, "since": datetime.now(UTC)}
        self._table("versions").add(pa.Table.from_pylist([signed], records.versions_schema()))

    def _check(self) -> None:
        """Raise LibraryError unless this version can read the library; migrate an older one first."""
        missing = self._missing()
        schema, vectors = self._versions() if "versions" not in missing else (0, 0)
        if lacking := [name for name in missing if name != "parts" or schema >= PARTS_SINCE]:
            raise LibraryError(
                self.where, f"no library: the table {lacking[0]} is missing", "make one with `kinprint library add`"
            )
        if schema > SCHEMA or vectors > spaces.VERSION:
            problem = f"made by a newer version (schema {schema}, vectors {vectors}; this is {SCHEMA}, {spaces.VERSION})"
            raise LibraryError(self.where, problem, "upgrade kinprint")
        if (schema, vectors) != (SCHEMA, spaces.VERSION):
            with self._turn():
                if self._versions() == (schema, vectors):  # nobody else has done it meanwhile
                    self._migrate(schema, vectors)
        for name in ("models", "parts", "fingerprints"):
            if not self._table(name).schema.equals(SCHEMAS[name]()):
                raise LibraryError(self.where, f"damaged: the table {name} has unexpected columns", "make it again")

    def _versions(self) -> tuple[int, int]:
        rows = self._table("versions").search().select(["schema", "vectors"]).to_arrow().to_pylist()
        if not rows:
            raise LibraryError(self.where, "damaged: it does not say its version", "make it again")
        return max(row["schema"] for row in rows), max(row["vectors"] for row in rows)

    def _migrate(self, schema: int, vectors: int) -> None:
        """Write `parts` and `models` anew, each as one commit, in the columns of this version; vectors are measured again if
        they changed, or one is new.

        Killed before the signature, it is done again: whatever `models` has already is kept.
        """
        import pyarrow as pa

        wanted, models = records.models_schema(), self._table("models")
        stored = models.schema.names
        again = vectors != spaces.VERSION or not {VECTOR + space for space in spaces.DIMENSIONS} <= set(stored)
        keep = [name for name in stored if not (again and name.startswith(VECTOR))]

        def rewritten() -> Iterator[pa.RecordBatch]:
            for batch in models.search().select(keep).to_batches(batch_size=BATCH):
                rows = [records.migrated(row, schema) for row in batch.to_pylist()]
                if again:
                    rows = [row | records.vector_columns(self._load_or_none(row["digest"])) for row in rows]
                yield pa.RecordBatch.from_pylist(rows, wanted)

        with_parts = [
            row["digest"]
            for row in models.search().select(["digest", "facts_json"]).to_arrow().to_pylist()
            if records.has_parts(row["facts_json"])
        ]
        found = (self._load_or_none(digest) for digest in with_parts)
        parts = pa.Table.from_pylist([row for each in found if each for row in records.part_rows(each)], records.parts_schema())
        self._database.create_table("parts", parts, schema=records.parts_schema(), mode="overwrite", on_bad_vectors="null")
        reader = pa.RecordBatchReader.from_batches(wanted, rewritten())
        self._database.create_table("models", reader, schema=wanted, mode="overwrite", on_bad_vectors="null")
        self._sign()

    def _load_or_none(self, digest: str) -> Fingerprint | None:
        try:
            return self._load(digest)
        except LibraryError:
            return None


def _index_digests(table: Any) -> None:
    """Index the digests, so that one model of very many is found without reading the whole column; `_insert` does not use
    it."""
    from lancedb.index import BTree

    indexed = {column for built in table.list_indices() for column in built.columns}
    if "digest" not in indexed and table.count_rows() >= EXACT_BELOW:
        table.create_index("digest", config=BTree())


def _folder(where: str) -> Path | None:
    return None if "://" in where else Path(where)


def _connect(where: str) -> Any:
    try:
        import lancedb
    except ImportError as error:
        raise MissingExtraError("library", "LanceDB is not installed", "pip install 'kinprint[library]'") from error
    return lancedb.connect(where, read_consistency_interval=timedelta(0))


def _require_folder(folder: Path, create: bool) -> None:
    """A folder that is a library, or may become one if `create`."""
    if create:
        folder.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        problem = "not a folder" if folder.exists() else "no such library"
        raise LibraryError(folder, problem, "make one with `kinprint library add`")
    names = {entry.name for entry in os.scandir(folder)}
    if names and not names & {LOCK, *(f"{table}.lance" for table in TABLES)}:
        raise LibraryError(folder, "the folder holds something other than a library", "choose an empty or a new folder")


def _batches(fingerprints: Iterable[Fingerprint], identities: Mapping[str, str]) -> Iterator[list[_Entry]]:
    """Rows and bytes of at most a commit's size, a digest once in each."""
    batch: dict[str, _Entry] = {}
    size = 0
    for fingerprint in fingerprints:
        if fingerprint.digest in batch:
            continue
        data = records.data_of(fingerprint)
        row = records.row(fingerprint, len(data), identities.get(fingerprint.digest, ""))
        batch[fingerprint.digest] = _Entry(row, records.part_rows(fingerprint), data)
        size += len(data)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield list(batch.values())
            batch, size = {}, 0
    if batch:
        yield list(batch.values())


def _file_names(models: Mapping[str, str]) -> dict[str, str]:
    """Digest -> file name, all different also where upper and lower case are one."""
    plain = {digest: file_name(name) for digest, name in models.items()}
    shared = Counter(name.casefold() for name in plain.values())
    return {
        digest: f"{name}-{digest[:16]}.kinprint" if shared[name.casefold()] > 1 else f"{name}.kinprint"
        for digest, name in plain.items()
    }


def _parts(values: Iterable[str], size: int = 500) -> Iterator[list[str]]:
    """In parts that fit into one condition."""
    wanted = sorted(set(values))
    return (wanted[start : start + size] for start in range(0, len(wanted), size))


def _equals(column: str, value: str) -> str:
    return _among(column, [value])


def _among(column: str, values: Iterable[str]) -> str:
    """An SQL condition; in SQL a quotation mark is doubled inside a text, and nothing else has a meaning there."""
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    return f"{column} IN ({listed})"


@contextlib.contextmanager
def _clear_errors(where: str) -> Iterator[None]:
    """Turn every error of Lance, Arrow or the system into one LibraryError; Lance's panics are no `Exception`s."""
    try:
        yield
    except (KinprintError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        message = _WHERE_IN_RUST.sub("", str(error).splitlines()[0] if str(error) else type(error).__name__)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else message
        raise LibraryError(
            where, f"cannot be read or written: {reason}", "check the path, or restore it from a copy"
        ) from error
