"""--part: one part of a model, wherever a command takes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import kinprint
from towers import written

from kinprint import Fingerprint, tree, verify
from kinprint.errors import FingerprintError

TOWER = ("--part", "vision-tower")


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two with one tower and different language models, one with nothing of either."""
    folder = tmp_path_factory.mktemp("seeing")
    seeds = {"one": (1, 1, 0), "other": (2, 1, 7), "stranger": (3, 3, 0)}
    one, other, stranger = (written(folder / name, *each) for name, each in seeds.items())
    return one, other, stranger


def test_a_fingerprint_of_a_tower(seeing: tuple[Path, Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "tower.kinprint"
    assert kinprint("fingerprint", seeing[0], *TOWER, "-o", file).returncode == 0
    tower = Fingerprint.load(file)
    assert tower.stated.component == "vision tower"
    assert tower.component("vision tower") is tower
    done = kinprint("compare", file, seeing[1], "--json")
    assert json.loads(done.stdout)["verdict"] == "related"


def test_a_tree_of_towers(seeing: tuple[Path, Path, Path]) -> None:
    done = kinprint("tree", *seeing, *TOWER, "--json")
    assert done.returncode == 0, done.stderr
    assert [len(family["nodes"]) for family in json.loads(done.stdout)["families"]] == [2]


def test_a_library_may_hold_models_without_one(seeing: tuple[Path, Path, Path], models: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("kinprint.library").Library.open(tmp_path / "lib", create=True)
    fingerprints = [Fingerprint.load(file) for file in _measured(tmp_path, *seeing, models / "base")]
    library.add(fingerprints)
    forest = tree(library=library, part="vision tower")
    assert len(forest.labels) == 3


def test_a_declaration_about_one_part(seeing: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """A relative that nobody declares: by its tower, not by its language model."""
    suspect, relative = _measured(tmp_path, *seeing[:2])
    known = Fingerprint.load(relative)
    assert [found.name for found in verify(suspect, against=[known], offline=True, part="vision tower").relatives] == [
        known.name
    ]
    assert verify(suspect, against=[known], offline=True, part="FFN").relatives == ()


def test_a_part_that_is_the_same_is_not_the_whole(seeing: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """One tower bit for bit beside other language models: the words are about the tower."""
    one, other = _measured(tmp_path, seeing[0], written(tmp_path / "twin", 2, 1))
    relative = verify(one, against=[Fingerprint.load(other)], offline=True, part="vision tower").relatives[0]
    assert not relative.identical
    assert relative.by_part == "By part: the vision tower is identical."


def test_what_has_no_such_part_says_what_it_has(models: Path, seeing: tuple[Path, Path, Path], tmp_path: Path) -> None:
    done = kinprint("fingerprint", models / "base", *TOWER, "-o", tmp_path / "none.kinprint")
    assert done.returncode == 1
    assert "base: has no vision tower; it has no components" in done.stderr
    with pytest.raises(FingerprintError, match=r"has no audio encoder.*it has: vision tower"):
        Fingerprint.load(_measured(tmp_path, seeing[0])[0]).component("audio encoder")


@pytest.mark.parametrize("command", ["tree", "fingerprint"])
def test_a_part_that_is_no_component(command: str, models: Path) -> None:
    done = kinprint(command, models / "base", "--part", "FFN")
    assert done.returncode == 2
    assert "takes a component here: vision tower, audio encoder" in " ".join(done.stderr.replace("│", " ").split())


def _measured(folder: Path, *models: Path) -> list[Path]:
    files = [folder / f"{model.name}.kinprint" for model in models]
    for model, file in zip(models, files, strict=True):
        assert kinprint("fingerprint", model, "-o", file).returncode == 0
    return files
