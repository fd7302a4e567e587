"""A library: what is added is there once, is given back bit for bit, and is found again by name, digest and direction."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kinprint import Fingerprint, Library
from kinprint.errors import FingerprintError, KinprintError, LibraryError
from kinprint.library import records, spaces, store, vectors

pytest.importorskip("lancedb")


def model(number: int, name: str = "", **facts: Any) -> Fingerprint:
    """A small fingerprint that differs from those of other numbers."""
    norms = np.random.default_rng(number).uniform(0.5, 2, (2, 256)).astype(np.float32)
    told = {"family": "llama", "model_type": "llama", "hidden_size": 256, "parameters": 1000 + number, **facts}
    return Fingerprint(
        name or f"model-{number}", {"channels.q": norms, "channels.k": norms**2}, told, {"source": f"org/{number}"}
    )


def stored(library: Library, table: str) -> Any:
    """A table of a library as LanceDB itself opens it."""
    import lancedb

    return lancedb.connect(library.where).open_table(table)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "library", create=True)


def test_what_was_added_is_there_bit_for_bit(library: Library) -> None:
    """A fingerprint comes back with its name, digest and provenance, here and for whoever opens the library."""
    assert library.add([model(1), model(2)]) == 2
    for opened in (library, Library.open(library.where)):
        found = opened.get("model-1")
        assert (found, found.name, found.provenance["source"]) == (model(1), "model-1", "org/1")
        assert len(opened) == 2


def test_a_digest_is_there_once(library: Library) -> None:
    """In one batch, in a later one, under another name: the first stays."""
    assert library.add([model(1), model(1), model(1, "copy")]) == 1
    assert library.add([model(1, "copy"), model(2)]) == 1
    assert sorted(found.name for found in library.models()) == ["model-1", "model-2"]


def test_a_model_tells_what_it_is(library: Library) -> None:
    library.add([model(3, quick=0.01)], {model(3, quick=0.01).digest: "content"})
    (found,) = library.models()
    assert (found.layers, found.hidden_size, found.parameters, found.quick) == (2, 256, 1003, 0.01)
    assert (found.family, found.source, found.identity) == ("llama", "org/3", "content")
    assert found.facts == model(3, quick=0.01).facts
    assert library.identities(["org/3", "org/4"]) == {"org/3": {"content": found.digest}}


@pytest.mark.parametrize("value", [-1, 1e300, 2**70, True, "many", None, [1]])
def test_facts_of_a_stranger_do_not_break_the_table(library: Library, value: object) -> None:
    """Counts that are none are unknown; the facts themselves stay as they are."""
    library.add([model(1, hidden_size=value, family=value)])
    (found,) = library.models()
    assert found.hidden_size is None
    assert found.facts["hidden_size"] == value


def test_listing_loads_no_fingerprint(library: Library) -> None:
    """Models are listed even where their fingerprints are gone."""
    library.add([model(1)])
    stored(library, "fingerprints").delete("true")
    assert len(list(library.models())) == len(library) == 1


def test_contents_and_vectors_load_no_fingerprint(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the searches ask first comes from the rows of `models`; what a fingerprint does not state is left out."""
    models = [model(1, content="abc"), model(2), model(3, content=7)]
    library.add(models)
    monkeypatch.setattr(Library, "_load", lambda *_: pytest.fail("a fingerprint was loaded"))
    digests = [each.digest for each in models]
    assert library.contents([*digests, "nowhere"]) == {digests[0]: "abc"}
    found = library.vectors(digests)
    assert found.keys() == set(digests)
    for each in models:
        own = vectors.vectors(each)
        assert found[each.digest].keys() == own.keys() == {"channels"}
        assert np.array_equal(found[each.digest]["channels"], own["channels"])


def test_names_and_beginnings_of_digests(library: Library) -> None:
    """A name comes before a digest's beginning; several models of a name are refused and listed; texts are no SQL."""
    library.add([model(1, "twin"), model(2, "twin"), model(3, "it's; -- 'x'"), model(4, model(1).digest[:8])])
    assert library.get("it's; -- 'x'") == model(3)
    assert library.get(model(2).digest) == library.get(model(2).digest[:10]) == model(2)
    assert library.get(model(1).digest[:8]) == model(4)
    with pytest.raises(LibraryError, match=f"several models: .*{model(2).digest[:12]}"):
        library.get("twin")
    for text in ("nobody", "' OR 'a' = 'a", "", "%", "fff"):
        with pytest.raises(LibraryError, match="no such model"):
            library.get(text)


def test_remove(library: Library) -> None:
    """All or nothing: an unknown name among others removes none. What was removed can be added again."""
    library.add([model(number) for number in range(4)])
    with pytest.raises(LibraryError):
        library.remove(["model-1", "model-9"])
    assert len(library) == 4
    assert [found.name for found in library.remove(["model-1", model(1).digest])] == ["model-1"]
    assert {found.name for found in library.models()} == {"model-0", "model-2", "model-3"}
    assert library.add([model(1)]) == 1
    assert library.get("model-1") == model(1)


def test_a_crash_between_the_two_tables_loses_and_doubles_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fingerprints whose rows were never written are not seen, and the next add takes them up."""
    insert = Library._insert

    def dies(self: Library, table: str, rows: Any) -> int:
        if table == "models":
            raise KeyboardInterrupt
        return insert(self, table, rows)

    with monkeypatch.context() as patched:
        patched.setattr(Library, "_insert", dies)
        with pytest.raises(KeyboardInterrupt):
            library.add([model(1)])
    assert (len(library), list(library.models())) == (0, [])
    assert library.add([model(1)]) == 1
    assert stored(library, "fingerprints").count_rows() == 1


def test_merge_and_export(library: Library, tmp_path: Path) -> None:
    """Only what is missing comes over; files of one name, however spelt, do not overwrite each other."""
    other = Library.open("memory://", create=True)
    other.add([model(1), model(2, "../Same name"), model(3, "..:same NAME")], {model(3).digest: "three"})
    library.add([model(1)])
    assert library.merge(other) == 2
    assert library.merge(other) == 0
    assert library.model(model(3).digest).identity == "three"
    files = library.export(tmp_path / "out")
    assert {file.parent for file in files} == {tmp_path / "out"}
    assert {Fingerprint.load(file) for file in files} == {model(1), model(2), model(3)}
    assert len({file.name.casefold() for file in files}) == 3
    assert [file.name for file in library.export(tmp_path / "one", ["model-1"])] == ["model-1.kinprint"]


def test_nearest_is_brute_force(library: Library) -> None:
    """Order and similarities are those of numpy; models without the space are left out; a wrong vector is refused."""
    many = [model(number) for number in range(40)]
    library.add([*many, Fingerprint("bare", {"gains.final": np.ones(8)})])
    query = vectors.vectors(many[7])["channels"]
    truth = {found.digest: float(vectors.vectors(found)["channels"] @ query) for found in many}
    found = library.nearest("channels", query, 100)
    assert [digest for digest, _ in found] == sorted(truth, key=lambda digest: -truth[digest])
    assert [value for _, value in found] == pytest.approx(sorted(truth.values(), reverse=True), abs=1e-5)
    for space, vector in (("nowhere", query), ("channels", query[:-1]), ("channels", query * np.nan)):
        with pytest.raises(ValueError, match="a vector of"):
            library.nearest(space, vector, 3)


def test_optimize_changes_no_answer(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small commits become few files; a vector index is built above the limit, finds the model itself, and takes up
    models that came later."""
    monkeypatch.setattr(store, "EXACT_BELOW", 20)
    monkeypatch.setattr(store, "TIDY_EVERY", 8)
    for number in range(30):
        library.add([model(number)])
    done = library.optimize()
    assert done == (30, ("channels",))
    assert stored(library, "models").stats()["fragment_stats"]["num_fragments"] == 1
    assert stored(library, "fingerprints").stats()["fragment_stats"]["num_fragments"] == 1
    library.add([model(30)])
    for number in (5, 30):
        assert library.nearest("channels", vectors.vectors(model(number))["channels"], 1)[0][0] == model(number).digest
    assert {library.get(f"model-{number}") for number in range(31)} == {model(number) for number in range(31)}
    for table in ("models", "fingerprints"):
        assert ["digest"] in [found.columns for found in stored(library, table).list_indices()]
    assert library.add([model(5), model(30), model(31)]) == 1  # neither known nor new ones are missed by the index
    assert library.known([model(5).digest, model(30).digest, model(31).digest, "0" * 64]) == {
        model(number).digest for number in (5, 30, 31)
    }
    assert [gone.name for gone in library.remove([model(5).digest])] == ["model-5"]
    assert model(5).digest not in library


def as_schema_1(library: Library) -> None:
    """The library as the first version of the schema stored it: without a column for parameters."""
    wanted = records.models_schema()
    stored_as(library, 1, wanted.remove(wanted.get_field_index("parameters")))


def stored_as(library: Library, version: int, wanted: Any) -> None:
    """The library with the columns, and the signature, of an older version."""
    import lancedb

    rows = stored(library, "models").search().to_arrow().select(wanted.names).cast(wanted)
    database = lancedb.connect(library.where)
    database.create_table("models", rows, schema=wanted, mode="overwrite", on_bad_vectors="null")
    signed = stored(library, "versions").search().to_arrow().to_pylist()
    table = [{**row, "schema": version} for row in signed]
    database.create_table("versions", table, schema=records.versions_schema(), mode="overwrite")


def test_a_new_kind_of_vector_is_measured(library: Library) -> None:
    """Version 2 had no vectors of `readings`."""
    rng = np.random.default_rng(0)
    readings = {name: rng.normal(size=(80, 64)) for name in ("readings.gate", "readings.up")}
    library.add([Fingerprint("read", readings), model(1)])
    wanted = records.models_schema()
    wanted = wanted.remove(wanted.get_field_index("vector_readings"))
    stored_as(library, 2, wanted)
    opened = Library.open(library.where)
    found = vectors.vectors(Fingerprint("read", readings))["readings"]
    assert [opened.get(digest).name for digest, _ in opened.nearest("readings", found, 5)] == ["read"]


def test_an_older_schema_is_migrated(library: Library) -> None:
    """Opening is enough; nothing else changes, and once done it is not done again."""
    library.add([model(1), model(2)])
    before = sorted(library.models(), key=lambda found: found.name)
    as_schema_1(library)
    opened = Library.open(library.where)
    assert sorted(opened.models(), key=lambda found: found.name) == before
    assert opened.nearest("channels", vectors.vectors(model(2))["channels"], 1)[0][0] == model(2).digest
    version = stored(opened, "models").version
    assert stored(Library.open(library.where), "models").version == version
    assert opened.add([model(2), model(3)]) == 1


def test_a_migration_that_was_killed_is_done_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add([model(1), model(2)])
    as_schema_1(library)

    def dies(_: Library) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Library, "_sign", dies)
        with pytest.raises(KeyboardInterrupt):
            Library.open(library.where)
    assert {found.parameters for found in Library.open(library.where).models()} == {1001, 1002}


def test_vectors_that_changed_are_measured_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a fingerprint is damaged: its model stays, without vectors."""
    library.add([model(1), model(2), model(3)])
    stored(library, "fingerprints").delete(f"digest = '{model(3).digest}'")
    monkeypatch.setattr(spaces, "VERSION", spaces.VERSION + 1)
    monkeypatch.setattr(spaces, "DIMENSIONS", {"sums": 2})
    monkeypatch.setattr(vectors, "vectors", lambda found: {"sums": np.array([found.facts["parameters"] - 1001, 1], np.float32)})
    opened = Library.open(library.where)
    assert opened.nearest("sums", [1, 1], 5) == [
        (model(2).digest, pytest.approx(1)),
        (model(1).digest, pytest.approx(0.5**0.5)),
    ]
    assert len(opened) == 3


def test_a_newer_library_is_refused(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add([model(1)])
    for module, name in ((store, "SCHEMA"), (spaces, "VERSION")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, 0)
            with pytest.raises(LibraryError, match=r"newer version .*upgrade kinprint"):
                Library.open(library.where)


def _file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def _other(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "model.safetensors").write_text("")


def _no_manifests(folder: Path) -> None:
    shutil.rmtree(folder / "models.lance" / "_versions")


def _torn_manifests(folder: Path) -> None:
    for file in (folder / "models.lance" / "_versions").iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _noisy_manifests(folder: Path) -> None:
    for file in (folder / "versions.lance" / "_versions").iterdir():
        file.write_bytes(np.random.default_rng(0).bytes(file.stat().st_size))


def _no_data(folder: Path) -> None:
    shutil.rmtree(folder / "models.lance" / "data")


def _torn_data(folder: Path) -> None:
    for file in (folder / "models.lance" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:100])


def _missing_table(folder: Path) -> None:
    shutil.rmtree(folder / "fingerprints.lance")


def _other_columns(folder: Path) -> None:
    import lancedb

    lancedb.connect(folder).create_table("models", [{"digest": "a", "name": 1}], mode="overwrite")


@pytest.mark.parametrize("damage", [_file, _other, _no_manifests, _torn_manifests, _noisy_manifests, _no_data, _torn_data,
                                    _missing_table, _other_columns])  # fmt: skip
def test_a_damaged_library_ends_in_one_clear_error(library: Library, damage: Callable[[Path], None]) -> None:
    """Whatever is wrong with the folder: a LibraryError of one line that names it."""
    library.add([model(1)])
    damage(Path(library.where))
    with pytest.raises(LibraryError) as raised:
        list(Library.open(library.where).models())
    assert str(raised.value).startswith(library.where)
    assert "\n" not in str(raised.value)
    assert ".rs" not in str(raised.value)


def test_a_fingerprint_that_is_not_its_digest_is_refused(library: Library) -> None:
    """Bytes of another model, or no fingerprint at all, under a digest; the others stay readable, and can be merged."""
    library.add([model(number) for number in range(3)])
    table = stored(library, "fingerprints")
    for number, data in ((0, records.data_of(model(9))), (1, b"\xff" * 99)):
        table.update(where=f"digest = '{model(number).digest}'", values={"data": data})
        with pytest.raises(LibraryError, match="remove the model and add it again"):
            library.get(f"model-{number}")
    other, skipped = Library.open("memory://", create=True), list[KinprintError]()
    with pytest.raises(LibraryError):
        other.merge(library)
    assert other.merge(library, skip=skipped.append) == 1
    assert (len(skipped), [found.name for found in other.models()]) == (2, ["model-2"])


@pytest.mark.parametrize("where", ["missing", "a/b/c"])
def test_what_is_not_there_is_not_made_by_looking(tmp_path: Path, where: str) -> None:
    with pytest.raises(LibraryError, match="no such library"):
        Library.open(tmp_path / where)
    assert list(tmp_path.iterdir()) == []


def test_importing_kinprint_loads_no_database() -> None:
    code = "import sys, kinprint, kinprint.cli; print({'lancedb', 'pyarrow', 'pandas', 'ray'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_parse_and_write_are_the_file(tmp_path: Path) -> None:
    """`Fingerprint.parse` of what `write` wrote, and of a file's bytes; noise is refused under the name given."""
    model(1).save(tmp_path / "one.kinprint")
    assert records.data_of(model(1)) == (tmp_path / "one.kinprint").read_bytes()
    with pytest.raises(FingerprintError, match=r"^here: "):
        Fingerprint.parse(b"noise", "here")
