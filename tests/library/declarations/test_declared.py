"""What a model declares is read from four places, and every word of it is a stranger's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kinprint.errors import CheckpointError
from kinprint.fingerprints import fingerprint
from kinprint.library.declarations.declaration import parsed
from kinprint.library.declarations.declared import read_declared
from kinprint.library.declarations.places._place import MAX_BASES


def model(folder: Path, files: dict[str, Any] | None = None) -> str:
    """A folder with empty weights and the given files."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    for name, content in (files or {}).items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


def card(**fields: Any) -> str:
    return f"---\n{json.dumps(fields)}\n---\n"


def bom(*ancestors: Any) -> dict[str, Any]:
    return {"bomFormat": "CycloneDX", "metadata": {"component": {"name": "me", "pedigree": {"ancestors": list(ancestors)}}}}


def test_every_place_is_read_and_each_base_comes_once(tmp_path: Path) -> None:
    """Card, adapter, pedigree and configuration; what several say is one declaration."""
    files = {
        "README.md": card(base_model=["acme/one", "acme/two"], base_model_relation="Merge"),
        "config.json": {"_name_or_path": "acme/one"},
        "adapter_config.json": {"base_model_name_or_path": "acme/three"},
        "bom.json": bom(
            {"type": "machine-learning-model", "purl": "pkg:huggingface/acme/two@abc"}, {"group": "g", "name": "n"}
        ),
    }
    found = read_declared(model(tmp_path / "m", files))
    assert [(one.name, one.relation, one.where) for one in found.declarations] == [
        ("acme/one", "merge", ("card", "configuration")),
        ("acme/two", "merge", ("card", "pedigree")),
        ("acme/three", "adapter", ("adapter configuration",)),
        ("g/n", "", ("pedigree",)),
    ]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("said", "name", "revision"),
    [
        ("acme/base", "acme/base", ""),
        ("base", "base", ""),
        ("acme/base@v1.0", "acme/base", "v1.0"),
        ("https://huggingface.co/acme/base", "acme/base", ""),
        ("../../etc", "", ""),
        ("/etc/passwd", "", ""),
        ("acme/../../base", "", ""),
        ("a/b/c", "", ""),
        (".ssh", "", ""),
        ("acme/base@../x", "", ""),
        ("[red]acme[/red]", "", ""),
        ("acme/\x1b[31mbase", "", ""),
        ("a\nb", "", ""),
        ("x" * 5000, "", ""),
        ("", "", ""),
        (17, "", ""),
        ({"a": 1}, "", ""),
        (None, "", ""),
    ],
)
def test_only_names_are_names(said: object, name: str, revision: str) -> None:
    """A path, markup, a control character, anything too long is shown, harmlessly, and never looked up."""
    found = parsed(said)
    assert (found.name, found.revision) == (name, revision)
    assert found.text.isprintable()
    assert len(found.text) <= 300


@pytest.mark.parametrize("path", ["/home/me/llama", "./checkpoint-500", "output", ""])
def test_a_configuration_that_names_a_folder_declares_nothing(tmp_path: Path, path: str) -> None:
    """Whoever saved the model loaded it from a folder of theirs."""
    assert read_declared(model(tmp_path / "m", {"config.json": {"_name_or_path": path}})).declarations == ()


def test_what_is_damaged_is_a_note(tmp_path: Path) -> None:
    """A card, a configuration or a pedigree that cannot be read is named, and the others count."""
    damaged = {"README.md": "---\na: [\n---\n", "config.json": "{", "x.cdx.json": "[]", "adapter_config.json": "{}"}
    found = read_declared(model(tmp_path / "m", damaged))
    assert found.declarations == ()
    assert len(found.notes) == 3


@pytest.mark.parametrize(
    "content",
    [
        {"metadata": 3},
        {"metadata": {"component": []}},
        {"metadata": {"component": {"pedigree": [1]}}},
        {"metadata": {"component": {"pedigree": {"ancestors": {"a": 1}}}}},
        bom(3, None, "x", {"type": "data", "name": "corpus"}),
        {"components": [{"type": "machine-learning-model", "pedigree": {"ancestors": [{"name": "a"}]}}] * 2},
        {"components": 7},
    ],
)
def test_a_pedigree_of_the_wrong_shape_declares_nothing(tmp_path: Path, content: Any) -> None:
    """Neither an error nor a guess."""
    assert read_declared(model(tmp_path / "m", {"bom.json": content})).declarations == ()


def test_a_pedigree_among_other_components(tmp_path: Path) -> None:
    """A bill of materials that lists the model; libraries have ancestors of their own."""
    component = {"type": "machine-learning-model", "name": "me", "pedigree": {"ancestors": [{"name": "base"}]}}
    content = {"components": [{"type": "library", "name": "torch", "pedigree": {"ancestors": [{"name": "x"}]}}, component]}
    assert [one.name for one in read_declared(model(tmp_path / "m", {"bom.json": content})).declarations] == ["base"]


def test_many_bases(tmp_path: Path) -> None:
    """A card of a thousand bases costs no more than one of a few."""
    found = read_declared(model(tmp_path / "m", {"README.md": card(base_model=[f"acme/{n}" for n in range(1000)])}))
    assert len(found.declarations) == MAX_BASES
    assert len(found.notes) == 1


def test_a_pedigree_that_is_no_file_is_a_note(tmp_path: Path) -> None:
    """Nothing blocks on it."""
    place = model(tmp_path / "m")
    (tmp_path / "m" / "bom.json").mkdir()
    assert len(read_declared(place).notes) == 1


def test_an_adapter_alone(tmp_path: Path) -> None:
    """What it declares is read without the weights of a model."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "acme/base", "peft_type": "LORA"}))
    found = read_declared(str(folder))
    assert found.is_adapter
    assert [(one.name, one.relation) for one in found.declarations] == [("acme/base", "adapter")]


def test_a_fingerprint_and_its_model_declare_the_same(models: Path, tmp_path: Path) -> None:
    """The card's base travels with the fingerprint."""
    fingerprint(models / "finetune", quick=True).save(tmp_path / "f.kinprint")
    places = (models / "finetune", tmp_path / "f.kinprint")
    assert [[one.name for one in read_declared(str(place)).declarations] for place in places] == [["base"], ["base"]]


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    """The card of the folder above is not taken for it."""
    shutil.copy(Path(model(tmp_path / "m", {"README.md": card(base_model="acme/one")})) / "README.md", tmp_path / "README.md")
    with pytest.raises(CheckpointError, match="no such file or folder"):
        read_declared(str(tmp_path / "nowhere"))
