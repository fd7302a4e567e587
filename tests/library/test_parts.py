"""A library finds a part inside a larger model: towers beside language models, of known truth."""

from __future__ import annotations

from pathlib import Path

import pytest
from towers import written

pytest.importorskip("lancedb")

import lancedb

from kinprint import Fingerprint, fingerprint, identify
from kinprint.library import Library, records, store
from kinprint.library.declarations.base_models import Few
from kinprint.library.declarations.verify import Options, verify
from kinprint.library.parts import parts, queries
from kinprint.reports.owners import owners_picture


def model(folder: Path, name: str, text: int | None, tower: int, noise: int = 0) -> Fingerprint:
    return fingerprint(written(folder / name, text, tower, noise))


@pytest.fixture(scope="module")
def suspect(tmp_path_factory: pytest.TempPathFactory) -> Fingerprint:
    return model(tmp_path_factory.mktemp("suspect"), "suspect", text=1, tower=1)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> list[Fingerprint]:
    """One that has the suspect's tower beside another language model, one with its language model, strangers, towers alone."""
    folder = tmp_path_factory.mktemp("there")
    truth = {"tower": (2, 1, 7), "text": (1, 2, 8), "alone": (None, 1, 9), "other": (3, 3, 0), "stranger": (None, 4, 0)}
    return [model(folder, name, *seeds) for name, seeds in truth.items()]


@pytest.fixture
def library(there: list[Fingerprint], tmp_path: Path) -> Library:
    opened = Library.open(tmp_path / "models.lib", create=True)
    opened.add(there)
    return opened


def test_relatives_by_every_part(suspect: Fingerprint, library: Library) -> None:
    """The library is too small for retrieval to leave a model out: what the tests say of each."""
    found = identify(suspect, library)
    said = {finding.name: finding for finding in found.findings}
    assert {name for name, finding in said.items() if finding.is_relative} == {"tower", "text", "alone"}
    assert found.owners["vision tower"].name in ("tower", "alone")
    assert found.owners["FFN"].name == "text"
    assert said["tower"].of == said["alone"].of == "vision tower"
    assert said["text"].of == ""
    picture = owners_picture(found)
    assert picture is not None
    assert "shared most clearly with text" in picture
    assert {part["part"] for part in said["alone"].to_json()["parts"]} == {"vision tower"}


def test_a_tower_is_retrieved_from_inside(suspect: Fingerprint, library: Library) -> None:
    """With one candidate, and nothing but the tower in common, the search has to have looked at towers."""
    tower = suspect.components["vision tower"]
    alone = Fingerprint("alone", tower.traits, tower.facts)
    found = identify(alone, library, candidates=2)
    assert {finding.name for finding in found.relatives} == {"tower", "alone"}
    assert all(label.endswith("of the vision tower") for label in found.spaces)


def test_one_owner_needs_no_picture(suspect: Fingerprint, there: list[Fingerprint], tmp_path: Path) -> None:
    library = Library.open(tmp_path / "one", create=True)
    library.add([model for model in there if model.name != "text"])
    assert owners_picture(identify(suspect, library)) is None


def test_verify_says_which_part(suspect: Fingerprint, there: list[Fingerprint], tmp_path: Path) -> None:
    """A declared base, or a relative that nobody declares, may have one part in common."""
    place = tmp_path / "suspect.kinprint"
    suspect.save(place)
    relatives = verify(str(place), Options(shelf=Few(tuple(there)), offline=True)).relatives
    said = {relative.name: relative.by_part for relative in relatives}
    assert said["tower"] == "By part: the vision tower is shared; the language model shows no relation."
    assert said.keys() == {"tower", "text", "alone"}


def test_one_part_is_judged(suspect: Fingerprint, library: Library) -> None:
    tower = identify(suspect, library, part="vision tower")
    assert {finding.name for finding in tower.relatives} == {"tower", "alone"}
    assert tower.sentence().startswith("the vision tower of suspect shares")
    ffn = identify(suspect, library, part="FFN")
    assert [finding.name for finding in ffn.relatives] == ["text"]
    assert ffn.to_json()["part"] == "FFN"


def test_parts_go_with_their_model(suspect: Fingerprint, library: Library) -> None:
    def found() -> set[str]:
        tower = next(query for query in queries(suspect) if query.part)
        return {library.get(digest).name for digest, _ in library.nearest(tower.space, tower.vector, 10, tower.part)}

    assert found() == {"tower", "text", "alone", "other", "stranger"}
    library.remove(["tower"])
    assert found() == {"text", "alone", "other", "stranger"}
    library.optimize()
    assert found() == {"text", "alone", "other", "stranger"}


def test_rows_of_a_model_that_never_came_are_not_found(suspect: Fingerprint, library: Library) -> None:
    """Whoever adds a model writes its parts first, and may be killed before the model."""
    library._insert("parts", records.part_rows(suspect), key="key")
    tower = next(query for query in queries(suspect) if query.part)
    assert suspect.digest not in dict(library.nearest(tower.space, tower.vector, 10, tower.part))


def test_a_library_without_parts_gets_them(suspect: Fingerprint, library: Library) -> None:
    """Version 3 had no such table."""
    database = lancedb.connect(library.where)
    database.drop_table("parts")
    signed = database.open_table("versions").search().to_arrow().to_pylist()
    older = [{**row, "schema": store.PARTS_SINCE - 1} for row in signed]
    database.create_table("versions", older, schema=records.versions_schema(), mode="overwrite")
    opened = Library.open(library.where)
    assert {finding.name for finding in identify(suspect, opened, part="vision tower").relatives} == {"tower", "alone"}
    tower = next(query for query in queries(suspect) if query.part)
    assert len(opened.nearest(tower.space, tower.vector, 10, tower.part)) == 5


def test_a_language_model_has_no_parts(models: Path) -> None:
    base = fingerprint(models / "base")
    assert parts(base) == {}
    assert {query.part for query in queries(base)} == {""}
