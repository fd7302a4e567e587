"""The listing beside the tables says what they say, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kinprint import Fingerprint, Library
from kinprint.cli import app
from kinprint.library import listing, store

lancedb: Any = pytest.importorskip("lancedb")


def model(number: int) -> Fingerprint:
    facts = {"family": "llama", "hidden_size": 8, "number": number}
    return Fingerprint(f"model-{number}", {"gains.final": np.ones(8, np.float32)}, facts, {"source": f"org/{number}"})


@pytest.fixture
def library(tmp_path: Path) -> Library:
    opened = Library.open(tmp_path / "library", create=True)
    opened.add(map(model, range(3)))
    return opened


def told(library: Library) -> list[dict[str, Any]] | None:
    found = listing.read(library.where)
    return None if found is None else [each.to_json() for each in found.models]


def in_tables(library: Library) -> list[dict[str, Any]]:
    return [each.to_json() for each in library.models()]


def test_every_change_is_listed(library: Library) -> None:
    """Made, added to, tidied, taken from."""
    assert told(library) == in_tables(library) != []
    library.add([model(3)])
    assert told(library) == in_tables(library)
    library.optimize()
    assert told(library) == in_tables(library)
    library.remove(["model-1"])
    assert told(library) == in_tables(library)
    assert len(told(library) or []) == 3


def test_a_new_model_is_listed_without_reading_the_tables(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """But they are read where another commit, by whoever takes no turns, came in between."""
    before = listing.read(library.where)
    with monkeypatch.context() as patched:
        patched.setattr(Library, "_listed", lambda _: pytest.fail("the tables were read"))
        library.add([model(3)])
    assert told(library) == in_tables(library)
    library.add([model(4)])
    listing.write(Path(library.where), library._listed, before, [each for each in library.models() if each.name == "model-4"])
    assert told(library) == in_tables(library)


def test_a_change_by_others_is_not_missed(library: Library) -> None:
    """By LanceDB itself, as by a version of kinprint that knows no listings; the next change of ours lists it."""
    lancedb.connect(library.where).open_table("models").delete("name = 'model-0'")
    assert told(library) is None
    library.add([model(5)])
    assert [each["name"] for each in told(library) or []] == ["model-1", "model-2", "model-5"]


def test_a_writer_killed_before_the_listing_leaves_an_old_one_that_is_not_used(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "write", lambda *_: None)
    library.add([model(5)])
    assert told(library) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"models": [1]}', b"\xff"])
def test_a_damaged_listing_is_not_used(library: Library, damage: bytes) -> None:
    path = Path(library.where, listing.FILE)
    whole = path.read_bytes()
    for content in (damage, whole.replace(b'"layers":null', b'"layers":"8"'), whole[: len(whole) // 2]):
        assert content != whole
        path.write_bytes(content)
        assert told(library) is None


def test_a_manifest_of_the_same_name_and_other_content_is_another_version(library: Library) -> None:
    """As where a library is removed and made again while somebody keeps the listing."""
    newest = min(Path(library.where, "models.lance", "_versions").glob("*.manifest"))
    newest.write_bytes(newest.read_bytes() + b" ")
    assert told(library) is None


def test_a_library_of_very_many_models_has_none(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST", 3)
    library.add([model(5)])
    assert not Path(library.where, listing.FILE).exists()


def test_no_listing_in_object_storage() -> None:
    opened = Library.open("memory://", create=True)
    opened.add([model(1)])
    assert listing.read("memory://") is None


def test_the_command_loads_no_database_while_the_listing_is_current(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """And prints the same without it."""
    command = ["library", "list", "--json", "-l", library.where]
    with monkeypatch.context() as patched:
        patched.setattr(store, "_connect", lambda _: pytest.fail("the tables were opened"))
        listed = CliRunner().invoke(app, command)
    Path(library.where, listing.FILE).unlink()
    read = CliRunner().invoke(app, command)
    assert (listed.exit_code, listed.stdout) == (0, read.stdout)
    assert "model-2" in listed.stdout
