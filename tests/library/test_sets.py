"""Published sets of fingerprints: what was exported is pulled, from a folder or a hub; what was changed on the way is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import kinprint

from kinprint import fingerprint
from kinprint.errors import KinprintError, LibraryError
from kinprint.library import Library
from kinprint.library.sets import MANIFEST, open_set, pull, shipped, write_manifest


@pytest.fixture
def published(models: Path, tmp_path: Path) -> Path:
    """A set of the three shipped models."""
    folder = tmp_path / "set"
    folder.mkdir()
    files = [folder / f"{name}.kinprint" for name in ("base", "finetune", "twin")]
    for file in files:
        fingerprint(models / file.stem).save(file)
    write_manifest(folder, files)
    return folder


def pulled(published: Path, library: Path) -> tuple[int, list[KinprintError]]:
    failed: list[KinprintError] = []
    return pull(open_set(str(published)), Library.open(library, create=True), skip=failed.append), failed


def test_what_was_exported_is_pulled(published: Path, tmp_path: Path) -> None:
    assert pulled(published, tmp_path / "one") == (3, [])
    Library.open(tmp_path / "one").export(tmp_path / "out")
    digests = {model.digest for model in Library.open(tmp_path / "one").models()}
    assert digests == {item.digest for item in open_set(str(published)).items}


def test_a_pull_goes_on_where_it_was_cut(published: Path, tmp_path: Path) -> None:
    """What is there is not read again: not even a file that has gone meanwhile is missed."""
    library = Library.open(tmp_path / "lib", create=True)
    library.add([fingerprint(published / "base.kinprint")])
    (published / "base.kinprint").unlink()
    assert pulled(published, tmp_path / "lib") == (2, [])
    assert pulled(published, tmp_path / "lib") == (0, [])


def test_a_file_that_was_changed_is_left_out(published: Path, tmp_path: Path) -> None:
    """The others come."""
    (published / "twin.kinprint").write_bytes((published / "base.kinprint").read_bytes()[:-1] + b"x")
    (published / "finetune.kinprint").unlink()
    new, failed = pulled(published, tmp_path / "lib")
    assert new == 1
    assert len(failed) == 2
    assert all(str(published) in str(error) for error in failed)


def test_a_fingerprint_under_the_name_of_another_is_left_out(published: Path, tmp_path: Path) -> None:
    """The manifest agrees with the file and not with what is in it."""
    content = json.loads((published / MANIFEST).read_text())
    base, finetune, _ = content["models"]
    base["digest"], finetune["digest"] = finetune["digest"], base["digest"]
    (published / MANIFEST).write_text(json.dumps(content))
    new, failed = pulled(published, tmp_path / "lib")
    assert (new, len(failed)) == (1, 2)


ROW = {"name": "m", "file": "m.kinprint", "bytes": 10, "sha256": "0" * 64, "digest": "0" * 64}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        json.dumps({"format": "kinprint-set/2", "models": []}),
        json.dumps({"format": "kinprint-set/1", "models": {}}),
        json.dumps({"format": "kinprint-set/1", "models": [3]}),
        json.dumps({"format": "kinprint-set/1", "models": [ROW] * 10_001}),
        *(
            json.dumps({"format": "kinprint-set/1", "models": [ROW | changed]})
            for changed in (
                {"file": "../m.kinprint"},
                {"file": "/etc/passwd"},
                {"file": "m.safetensors"},
                {"file": None},
                {"name": 3},
                {"bytes": -1},
                {"bytes": 10**12},
                {"bytes": True},
                {"sha256": "x"},
                {"digest": 7},
            )
        ),
    ],
)
def test_a_manifest_is_not_believed(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(LibraryError) as caught:
        open_set(str(tmp_path))
    assert MANIFEST in str(caught.value)


def test_a_folder_without_a_manifest_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="starter"):
        open_set(str(tmp_path))


def test_a_set_on_a_hub(published: Path, hub: Any, tmp_path: Path) -> None:
    """Pulled by its id; nothing but the manifest and the files is asked for."""
    server = hub({"org/set": published})
    failed: list[KinprintError] = []
    assert pull(open_set("org/set"), Library.open(tmp_path / "lib", create=True), skip=failed.append) == 3
    assert failed == []
    assert server.fetched == {MANIFEST, "base.kinprint", "finetune.kinprint", "twin.kinprint"}


def test_no_place_on_a_disk_is_published(published: Path, models: Path) -> None:
    assert fingerprint(models / "base").provenance["source"].startswith("/")
    assert [item.source for item in open_set(str(published)).items] == ["base", "finetune", "twin"]


def test_the_shipped_set_is_whole(tmp_path: Path) -> None:
    """Every file is what its manifest says, with a licence and a source."""
    assert shipped() == ["starter"]
    done = kinprint("library", "pull", "--library", tmp_path / "lib")
    assert done.returncode == 0, done.stderr
    assert {model.name for model in Library.open(tmp_path / "lib").models()} == {"SmolLM2-135M-Instruct", "all-MiniLM-L6-v2"}
    assert all(item.licence == "apache-2.0" and "/" in item.source for item in open_set("starter").items)
