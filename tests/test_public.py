"""What `import kinprint` offers: all of it, lazily, each verb with an example that runs (tests/docs runs them)."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import kinprint
from kinprint.verbs import gather, identify, tree, verify

VERBS = ("audit", "compare", "diff", "fingerprint", "gather", "identify", "matrix", "observe", "transform", "tree", "verify")
ASKING = ("controls", "head_span", "palimpsest", "same_endpoint")
"""Those that ask a suspect."""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_import_is_cheap() -> None:
    """It brings in nothing that is not in the standard library, and of this package two small modules."""
    brought = set(run("import sys; before = {*sys.modules}; import kinprint; print(*{*sys.modules} - before)").split())
    ours = {"kinprint", "kinprint._version", "kinprint.errors"}
    assert {name for name in brought if name.partition(".")[0] not in sys.stdlib_module_names} == ours


def test_every_name_is_there() -> None:
    """`dir` and tab completion see names before they are used; what is not offered is an AttributeError as anywhere."""
    assert set(kinprint.__all__) <= set(run("import kinprint; print(*dir(kinprint))").split())
    assert all(getattr(kinprint, name) is not None for name in [*kinprint.__all__, "__version__"])
    with pytest.raises(AttributeError, match="'kinprint' has no attribute 'paternity'"):
        kinprint.paternity  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    """The imports that they read name the places from which names come."""
    tree = ast.parse(Path(kinprint.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imports == kinprint._HOMES
    assert set(kinprint.__all__) == {*imports, "KinprintError"}


@pytest.mark.parametrize("name", [*VERBS, *ASKING])
def test_a_verb_is_documented(name: str) -> None:
    """Arguments, result, errors and an example; every parameter is named among the arguments."""
    text = inspect.getdoc(getattr(kinprint, name)) or ""
    assert [part for part in ("Args:", "Returns:", "Raises:", "Example:", ">>> ") if part not in text] == []
    arguments = text.partition("Args:")[2].partition("Returns:")[0]
    assert [each for each in inspect.signature(getattr(kinprint, name)).parameters if f"{each}: " not in arguments] == []


@pytest.fixture(scope="module")
def fingerprints(models: Path) -> dict[str, kinprint.Fingerprint]:
    return {name: kinprint.fingerprint(models / name, cache=False) for name in ("base", "finetune", "twin")}


@pytest.fixture(scope="module")
def finetune(fingerprints: dict[str, kinprint.Fingerprint], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The place of a model that needs no measuring."""
    file = tmp_path_factory.mktemp("public") / "finetune.kinprint"
    fingerprints["finetune"].save(file)
    return file


@pytest.fixture(scope="module")
def library(fingerprints: dict[str, kinprint.Fingerprint], tmp_path_factory: pytest.TempPathFactory) -> kinprint.Library:
    """The base model and its twin."""
    pytest.importorskip("lancedb")
    opened = kinprint.Library.open(tmp_path_factory.mktemp("public") / "library", create=True)
    opened.add([fingerprints["base"], fingerprints["twin"]])
    return opened


def test_places_and_fingerprints_are_the_same(
    fingerprints: dict[str, kinprint.Fingerprint], finetune: Path, library: kinprint.Library, models: Path
) -> None:
    """A model by its place or as a fingerprint, a library by its place or open: the results are equal."""
    measured = fingerprints["finetune"]
    assert identify(finetune, library.where).to_json() == identify(measured, library).to_json()
    assert gather(str(finetune), library=Path(library.where)).to_json() == gather(measured, library=library).to_json()
    by_place = verify(models / "base", library=library.where, against=[finetune], offline=True)
    assert by_place == verify(str(models / "base"), library=library, against=[measured], offline=True)
    assert by_place.searched == 3


def test_a_tree_joins_models_and_a_library(finetune: Path, library: kinprint.Library) -> None:
    pytest.importorskip("skbio")
    forest = tree([finetune], library=library)
    assert sorted(forest.labels) == ["base", "finetune", "twin"]
    assert [forest.labels[model] for model in forest.singletons] == ["twin"]


def test_all_that_was_searched_counts(fingerprints: dict[str, kinprint.Fingerprint], library: kinprint.Library) -> None:
    """Models that are named and those of a library: `gather` corrects for both, a model in both counts twice."""
    assert gather(fingerprints["finetune"], [fingerprints["base"]], library=library).searched[0] == 3
