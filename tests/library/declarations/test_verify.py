"""Declarations are confirmed where weights are shared, and contradicted only where the tests could have seen them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from typer.testing import CliRunner

from kinprint import methods
from kinprint.checkpoints.weight_choice import ADAPTER_CONFIG
from kinprint.cli import app
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.library.declarations.base_models import Few, Stored
from kinprint.library.declarations.declaration import parsed
from kinprint.library.declarations.declared import Declared
from kinprint.library.declarations.verify import DeclarationFinding, Options, Verification, circles, models_in_mirror, verify
from kinprint.library.store import Library
from kinprint.zoo.recipes import DISGUISE


@pytest.fixture
def mirror(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """Call it with name=(shipped model, card): a mirror of copies acme/name with these cards."""

    def build(**wanted: tuple[str, dict[str, Any]]) -> Path:
        for name, (source, fields) in wanted.items():
            folder = tmp_path / "mirror" / "acme" / name
            shutil.copytree(models / source, folder)
            (folder / "README.md").write_text(f"---\n{json.dumps(fields)}\n---\n")
        return tmp_path / "mirror"

    return build


def one(mirror: Path, name: str, **options: Any) -> DeclarationFinding:
    found = verify(str(mirror / "acme" / name), Options(models=mirror, offline=True, **options), name=f"acme/{name}")
    assert len(found.findings) == 1
    return found.findings[0]


def saved(model: Fingerprint, folder: Path, *shelf: Fingerprint) -> Verification:
    """What is found about a fingerprint in a file, beside others."""
    path = folder / f"{model.name}.kinprint"
    model.save(path)
    return verify(str(path), Options(shelf=Few(shelf), offline=True))


def test_a_true_declaration_is_confirmed_from_one_percent(mirror: Callable[..., Path]) -> None:
    """The first look is enough for what is not disguised."""
    folder = mirror(base=("base", {}), child=("finetune", {"base_model": "acme/base", "base_model_relation": "finetune"}))
    found = one(folder, "child")
    assert (found.status, found.stage) == ("confirmed", "quick")
    assert found.log10_p is not None
    assert found.log10_p < -6


@pytest.mark.parametrize("deep", [False, True])
def test_a_false_declaration_is_contradicted(mirror: Callable[..., Path], deep: bool) -> None:
    """Same shape, tests that would have seen a correlation, a relation that keeps weights, and nothing seen."""
    found = one(mirror(base=("base", {}), child=("twin", {"base_model": "acme/base"})), "child", deep=deep)
    assert (found.status, found.stage) == ("contradicted", "deep" if deep else "full")
    assert "would have been seen" in found.reason


def test_without_a_test_that_descendants_cannot_escape_nothing_is_contradicted(
    mirror: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No method is asked for by name: one fewer takes a verdict away, and breaks nothing."""
    others = tuple(test for test in methods.tests() if not test.descendants_keep)
    assert len(others) == len(methods.tests()) - 1
    monkeypatch.setattr(methods, "tests", lambda deep=False: () if deep else others)
    found = one(mirror(base=("base", {}), child=("twin", {"base_model": "acme/base"})), "child", deep=False)
    assert found.status == "not-testable"
    assert "would see descent do not apply" in found.reason


def test_a_disguised_descendant_is_not_contradicted(mirror: Callable[..., Path]) -> None:
    """Somebody rotated and relabelled the copy, and says truly where it came from."""
    folder = mirror(base=("base", {}), plain=("finetune", {}))
    child = folder / "acme" / "child"
    command = ["transform", "disguise", str(folder / "acme" / "plain"), "-o", str(child), "--seed", "0", "--steps", DISGUISE]
    assert CliRunner().invoke(app, command).exit_code == 0
    (child / "README.md").write_text("---\nbase_model: acme/base\n---\n")
    assert one(folder, "child").status == "confirmed"


@pytest.mark.parametrize(
    ("fields", "options", "why"),
    [
        ({"base_model": "acme/base", "base_model_relation": "distillation"}, {}, "does not say that weights were kept"),
        ({"base_model": "acme/base"}, {"quick": True}, "1 %"),
        ({"base_model": "acme/base", "base_model_relation": "quantized"}, {"deep": False}, "rotated"),
    ],
)
def test_what_does_not_suffice_to_contradict(
    mirror: Callable[..., Path], fields: dict[str, Any], options: dict[str, Any], why: str
) -> None:
    """Nothing seen, and a reason why that says little."""
    found = one(mirror(base=("base", {}), child=("twin", fields)), "child", **options)
    assert found.status == "not-testable"
    assert why in found.reason


def test_a_configuration_alone_contradicts_nothing(mirror: Callable[..., Path]) -> None:
    """_name_or_path says what was loaded, perhaps the configuration only."""
    folder = mirror(base=("base", {}), child=("twin", {}))
    path = folder / "acme" / "child" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_name_or_path": "acme/base"}))
    found = one(folder, "child", deep=False)
    assert found.status == "not-testable"
    assert "claims nothing about weights" in found.reason


def test_another_shape_is_not_contradicted(models: Path, tmp_path: Path) -> None:
    """What changed the shape is not declared; the tests may not follow it."""
    base, twin = (fingerprint(models / name) for name in ("base", "twin"))
    other = Fingerprint("acme/base", base.traits, {**base.facts, "intermediate_size": 7})
    found = saved(Fingerprint("child", twin.traits, twin.facts, {"base_model": "acme/base"}), tmp_path, other).findings[0]
    assert found.status == "not-testable"
    assert "shapes differ" in found.reason


def test_of_a_merge_one_parent_suffices(mirror: Callable[..., Path]) -> None:
    """A merge may hold next to nothing of one of its parents."""
    bases = {"base_model": ["acme/base", "acme/twin"], "base_model_relation": "merge"}
    folder = mirror(base=("base", {}), twin=("twin", {}), child=("finetune", bases))
    found = verify(str(folder / "acme" / "child"), Options(models=folder, offline=True, deep=False))
    assert [finding.status for finding in found.findings] == ["confirmed", "not-testable"]


@pytest.mark.parametrize("said", ["../base", "/etc", "acme/../base", "acme/nothing", "[red]x[/red]", "\x1b[2J", {"a": ["b"]}])
def test_what_cannot_be_found_is_not_opened(mirror: Callable[..., Path], said: object) -> None:
    """No name climbs out of the mirror, and what is no name is said to be none."""
    found = one(mirror(base=("base", {}), child=("finetune", {"base_model": said})), "child")
    assert found.status == "not-found"
    assert found.source == ""


def test_a_path_here_is_never_opened_for_a_name(
    mirror: Callable[..., Path], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`models/base` has the form of a hub id: what lies under it here is not what the card means."""
    folder = mirror(child=("finetune", {"base_model": "models/base"}))
    monkeypatch.chdir(models.parent)
    found = verify(str(folder / "acme" / "child"), Options(models=folder))
    assert found.findings[0].status == "not-found"


def test_a_namesake_is_not_the_model_itself(mirror: Callable[..., Path]) -> None:
    """other/child declares acme/child, as copies under another organisation do; acme/child declaring itself says nothing."""
    folder = mirror(child=("base", {"base_model": "acme/child"}))
    shutil.copytree(folder / "acme" / "child", folder / "other" / "child")
    options = Options(models=folder, offline=True)
    found = verify(str(folder / "other" / "child"), options, name="other/child")
    assert [finding.status for finding in found.findings] == ["confirmed"]
    itself = verify(str(folder / "acme" / "child"), options, name="acme/child")
    assert (itself.conclusion, len(itself.notes)) == ("nothing-declared", 1)


def test_an_adapter_is_not_testable(tmp_path: Path) -> None:
    """It holds what is added to a base, and nothing of the base."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"")
    (folder / ADAPTER_CONFIG).write_text(json.dumps({"base_model_name_or_path": "acme/base", "peft_type": "LORA"}))
    assert verify(str(folder), Options(offline=True)).findings[0].status == "not-testable"


def test_a_relative_that_nobody_declares(models: Path, tmp_path: Path) -> None:
    """A fine-tune that declares nothing, beside its base; a twin beside it is no relative."""
    base, twin, child = (fingerprint(models / name) for name in ("base", "twin", "finetune"))
    found = saved(Fingerprint("mine", child.traits, child.facts), tmp_path, base, twin)
    assert found.conclusion == "undeclared-relative"
    assert [relative.name for relative in found.relatives] == ["base"]
    assert found.searched == 2


def test_a_relative_that_declares_this_model_is_none(models: Path, tmp_path: Path) -> None:
    """The base declares nothing, but its fine-tune in the library declares the base: nothing is hidden."""
    found = saved(fingerprint(models / "base"), tmp_path, fingerprint(models / "finetune"))
    assert found.conclusion == "nothing-declared"


def test_the_model_itself_in_the_library_is_no_relative(models: Path, tmp_path: Path) -> None:
    """A library may hold what is verified."""
    base = fingerprint(models / "base")
    assert saved(base, tmp_path, base).relatives == ()


def test_a_base_on_the_hub(hub: Callable[[Mapping[str, Path]], HubServer], mirror: Callable[..., Path], models: Path) -> None:
    """It is read by its id where nothing nearer has it; without the hub it is not found, and the hub not asked."""
    server = hub({"acme/far": models / "base"})
    folder = mirror(child=("finetune", {"base_model": "acme/far"}), lost=("finetune", {"base_model": "acme/nowhere"}))
    assert one(folder, "child").status == "not-found"
    assert server.requests == []
    for name, status in (("child", "confirmed"), ("lost", "not-found")):
        found = verify(str(folder / "acme" / name), Options(models=folder))
        assert found.findings[0].status == status


def test_models_in_a_mirror(mirror: Callable[..., Path]) -> None:
    """Folders with weights or a configuration, not what lies inside them; hidden folders are passed over; loops end."""
    folder = mirror(a=("base", {}), b=("twin", {}))
    shutil.copytree(folder / "acme" / "b", folder / "acme" / "a" / "inside")
    shutil.copytree(folder / "acme" / "b", folder / ".cache" / "x")
    (folder / "empty").mkdir()
    (folder / "empty" / "up").symlink_to(folder / "empty")
    assert list(models_in_mirror(folder)) == ["acme/a", "acme/b"]


def test_circles() -> None:
    """Each circle once, whoever declares whom first; a chain is none."""

    def says(*names: str) -> Declared:
        return Declared(tuple(map(parsed, names)))

    declared = {"x/a": says("x/b"), "x/b": says("x/a"), "x/c": says("x/a"), "x/d": says("x/d")}
    assert circles(declared) == [("x/a", "x/b")]
    ring = {f"x/{n}": says(f"x/{(n + 1) % 5}") for n in range(5)}
    assert circles(ring) == [tuple(f"x/{n}" for n in range(5))]


def test_a_library(models: Path, mirror: Callable[..., Path], tmp_path: Path) -> None:
    """A base is found in it by its name, and relatives that nobody declares among its models."""
    pytest.importorskip("lancedb")
    base, twin = (fingerprint(models / name) for name in ("base", "twin"))
    library = Library.open(tmp_path / "library", create=True)
    library.add([Fingerprint("acme/base", base.traits, base.facts), twin])
    folder = mirror(child=("finetune", {"base_model": "acme/base"}), silent=("finetune", {}))
    options = Options(shelf=Stored(str(tmp_path / "library")), offline=True)
    assert verify(str(folder / "acme" / "child"), options).conclusion == "confirmed"
    found = verify(str(folder / "acme" / "silent"), options)
    assert [relative.name for relative in found.relatives] == ["acme/base"]
    assert found.searched == 2
