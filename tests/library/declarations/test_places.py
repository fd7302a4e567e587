"""What model folders and weights files say of themselves, as tools and people write it; every word is a stranger's.

The cases are made up in the form of real ones: what transformers, peft, mergekit, Unsloth, llama.cpp and CycloneDX write.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kinprint.library.declarations.declared import read_declared
from kinprint.library.declarations.licences import LicenceFinding, recognised
from kinprint.library.declarations.verify import Options, Verification, verify

MIT = "Permission is hereby granted, free of charge, to any person obtaining\na copy of this software"
APACHE = "                              Apache License\n                        Version 2.0, January 2004"
LLAMA = "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version Release Date: July 23, 2024"
TRAINER = (
    "# out\n\nThis model is a fine-tuned version of [acme/base](https://huggingface.co/acme/base) on an unknown dataset.\n"
)
UNSLOTH = "# Uploaded model\n\n- **Developed by:** me\n- **Finetuned from model :** acme/base-bnb-4bit\n"
MERGED = """### Merge Method

This model was merged using the [TIES](https://arxiv.org/abs/2306.01708) merge method using [acme/base](https://huggingface.co/acme/base)
as a base.

### Models Merged

The following models were included in the merge:
* [acme/one](https://huggingface.co/acme/one)
* ./local/two
* [acme/three](https://huggingface.co/acme/three)
"""
RECIPE = """merge_method: dare_ties
base_model: acme/base
models:
  - model: acme/base
  - model: acme/one
    parameters: {density: 0.5, weight: 0.3}
  - model: acme/two+acme/adapter
dtype: bfloat16
"""
SLICES = """slices:
- sources:
  - {model: acme/one, layer_range: [0, 8]}
- sources:
  - {model: {path: acme/two}, layer_range: [4, 12]}
"""


def card(matter: str, text: str = "") -> dict[str, str]:
    return {"README.md": f"---\n{matter}\n---\n{text}"}


CASES: dict[str, tuple[Mapping[str, Any], list[tuple[str, str]], list[str]]] = {
    # what lies there -> (name, relation) of every base, licences
    "nothing": ({}, [], []),
    "a card without a word": (card("language: en"), [], []),
    "one base": (card("base_model: acme/base\nlicense: apache-2.0"), [("acme/base", "")], ["apache-2.0"]),
    "a list": (
        card("base_model: [acme/one, acme/two]\nbase_model_relation: merge"),
        [("acme/one", "merge"), ("acme/two", "merge")],
        [],
    ),
    "a block": (card("base_model:\n- acme/one\nbase_model_relation: Fine-Tuned"), [("acme/one", "finetune")], []),
    "base-model": (card("base-model: acme/base"), [("acme/base", "")], []),
    "BaseModels": (card("BaseModels: [acme/one]"), [("acme/one", "")], []),
    "finetuned_from": (card("finetuned_from: acme/base"), [("acme/base", "")], []),
    "with commas": (card("base_model: acme/one, acme/two"), [("acme/one", ""), ("acme/two", "")], []),
    "tables": (card("base_model:\n- name: acme/one\n- id: acme/two"), [("acme/one", ""), ("acme/two", "")], []),
    "a page": (card("base_model: https://huggingface.co/acme/base/tree/main"), [("acme/base", "")], []),
    "a page of a revision": (card("base_model: https://huggingface.co/acme/base/blob/v2/README.md"), [("acme/base", "")], []),
    "quantised": (card("base_model: acme/base\nbase_model_relation: quantised"), [("acme/base", "quantized")], []),
    "another relation": (card("base_model: acme/base\nbase_model_relation: distilled"), [("acme/base", "distilled")], []),
    "other, by name": (card("license: other\nlicense_name: llama3.1"), [], ["llama3.1"]),
    "licence": (card("licence: Apache License 2.0"), [], ["apache-2.0"]),
    "two licences": (card("license: [mit, cc-by-nc-4.0]"), [], ["mit", "cc-by-nc-4.0"]),
    "a licence of one's own": (card("license: acme-open-1"), [], ["acme-open-1"]),
    "Trainer": ({"README.md": TRAINER}, [("acme/base", "finetune")], []),
    "Trainer without a base": (
        {"README.md": "This model is a fine-tuned version of [](https://huggingface.co/) on data."},
        [],
        [],
    ),
    "Unsloth": ({"README.md": UNSLOTH}, [("acme/base-bnb-4bit", "finetune")], []),
    "mergekit's card": (
        {"README.md": MERGED},
        [("acme/base", "merge"), ("acme/one", "merge"), ("acme/three", "merge")],
        [],
    ),
    "mergekit's recipe": (
        {"mergekit_config.yml": RECIPE},
        [("acme/base", "merge"), ("acme/one", "merge"), ("acme/two", "merge")],
        [],
    ),
    "slices": ({"mergekit_config.yml": SLICES}, [("acme/one", "merge"), ("acme/two", "merge")], []),
    "a folder in a recipe": ({"mergekit_config.yml": "models:\n- model: ../../secret\n"}, [("", "merge")], []),
    "peft": ({"adapter_config.json": {"base_model_name_or_path": "acme/base"}}, [("acme/base", "adapter")], []),
    "licence files": ({"LICENSE": MIT, "NOTICE.txt": "Built with Llama."}, [], ["mit"]),
    "a licence that the card does not state": (
        card("license: apache-2.0") | {"LICENSE": LLAMA},
        [],
        ["apache-2.0", "llama3.1"],
    ),
    "the card's licence, twice": (card("license: apache-2.0") | {"LICENSE.txt": APACHE}, [], ["apache-2.0"]),
    "card and recipe": (
        card("base_model: acme/base") | {"mergekit_config.yml": RECIPE},
        [("acme/base", "merge"), ("acme/one", "merge"), ("acme/two", "merge")],
        [],
    ),
    "card and text": (card("base_model: acme/other", TRAINER), [("acme/other", ""), ("acme/base", "finetune")], []),
    "CycloneDX": (
        {
            "bom.json": {
                "metadata": {
                    "component": {"licenses": [{"license": {"id": "MIT"}}], "pedigree": {"ancestors": [{"name": "base"}]}}
                }
            }
        },
        [("base", "")],
        ["mit"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_folder_says(case: str, tmp_path: Path) -> None:
    files, bases, licences = CASES[case]
    (tmp_path / "model.safetensors").write_bytes(b"")
    for name, content in files.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    found = read_declared(str(tmp_path))
    assert [(one.name, one.relation) for one in found.declarations] == bases
    assert [licence.id for licence in found.licences] == licences
    assert found.notes == ()


HEADERS: dict[str, tuple[dict[str, str], list[tuple[str, str]], list[str], str]] = {
    "nothing": ({}, [], [], ""),
    "a name": ({"general.name": "Llama 3.1 8B Instruct"}, [], [], "Llama 3.1 8B Instruct"),
    "a page": ({"general.base_model.0.repo_url": "https://huggingface.co/acme/base"}, [("acme/base", "")], [], ""),
    "words": (
        {"general.base_model.0.name": "Base 8B", "general.base_model.0.organization": "Acme Corp"},
        [("Acme-Corp/Base-8B", "")],
        [],
        "",
    ),
    "two": (
        {"general.base_model.1.repo_url": "https://huggingface.co/acme/two", "general.base_model.0.name": "One"},
        [("One", ""), ("acme/two", "")],
        [],
        "",
    ),
    "a source": ({"general.source.huggingface.repository": "acme/base"}, [("acme/base", "")], [], ""),
    "a source elsewhere": ({"general.source.url": "https://example.org/model"}, [], [], ""),
    "a licence": ({"general.license": "llama3.1", "general.license.name": "Llama 3.1 Community License"}, [], ["llama3.1"], ""),
    "what is no name": (
        {"general.base_model.0.name": "../../etc", "general.name": "\x1b[31mred"},
        [("", "")],
        [],
        "\\x1b[31mred",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_what_a_gguf_says(case: str, tmp_path: Path) -> None:
    words, bases, licences, called = HEADERS[case]
    write_gguf(tmp_path / "model.gguf", words)
    found = read_declared(str(tmp_path / "model.gguf"))
    assert [(one.name, one.relation) for one in found.declarations] == bases
    assert [licence.id for licence in found.licences] == licences
    assert found.called == called


def write_gguf(path: Path, words: Mapping[str, str]) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in words.items():
        if key == "general.name":
            writer.add_name(value)
        else:
            writer.add_string(key, value)
    writer.add_tensor("output_norm.weight", np.ones(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("says", "bases", "licences"),
    [
        ({"format": "pt"}, [], []),
        ({"base_model": "acme/base", "license": "mit"}, [("acme/base", "")], ["mit"]),
        (
            {"modelspec.merged_from": "acme/one, acme/two", "modelspec.title": "Mine"},
            [("acme/one", "merge"), ("acme/two", "merge")],
            [],
        ),
        (
            {"merge_recipe": json.dumps({"models": [{"name": "acme/one"}, "acme/two"]})},
            [("acme/one", "merge"), ("acme/two", "merge")],
            [],
        ),
        ({"merge_recipe": "[" * 5000}, [("", "merge")], []),
    ],
)
def test_what_safetensors_say(says: dict[str, str], bases: list[Any], licences: list[str], tmp_path: Path) -> None:
    save_file({"x": np.ones(4, np.float32)}, tmp_path / "model.safetensors", metadata=says)
    found = read_declared(str(tmp_path))
    assert [(one.name, one.relation) for one in found.declarations] == bases
    assert [licence.id for licence in found.licences] == licences


@pytest.mark.parametrize("damaged", ["models: [", "a: &a [*a]", "- " * 3000 + "x", "\x00"])
def test_a_damaged_recipe_is_a_note(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "mergekit_config.yml").write_text(damaged, encoding="utf-8")
    found = read_declared(str(tmp_path))
    assert found.declarations == ()
    assert len(found.notes) == 1


# --- what is said of them


@pytest.fixture
def mirror(models: Path, tmp_path: Path) -> Path:
    """The shipped models, `base` under a licence."""
    for name in ("base", "twin", "finetune"):
        shutil.copytree(models / name, tmp_path / name)
    (tmp_path / "base" / "README.md").write_text("---\nlicense: llama3.1\n---\n")
    (tmp_path / "finetune" / "README.md").write_text("# mine\n")
    return tmp_path


def said(mirror: Path, **options: Any) -> Verification:
    return verify(str(mirror / "finetune"), Options(mirror, offline=True, **options))


@pytest.mark.parametrize(("base", "conclusion"), [("base", "confirmed"), ("twin", "contradicted"), ("nobody", "not-testable")])
@pytest.mark.parametrize("place", ["card", "text", "recipe", "weights"])
def test_every_place_is_held_to_its_word(place: str, base: str, conclusion: str, mirror: Path) -> None:
    """True, false, and of a model that nobody has."""
    model = mirror / "finetune"
    if place == "card":
        (model / "README.md").write_text(f"---\nbase_model: {base}\n---\n")
    elif place == "text":
        shutil.move(mirror / "base", mirror / "acme" / "base")
        shutil.move(mirror / "twin", mirror / "acme" / "twin")
        (model / "README.md").write_text(
            f"This model is a fine-tuned version of [acme/{base}](https://huggingface.co/acme/{base})."
        )
    elif place == "recipe":
        (model / "mergekit_config.yml").write_text(f"models: [{{model: {base}}}]\n")
    else:
        save_file(load_file(model / "model.safetensors"), model / "model.safetensors", metadata={"base_model": base})
    assert said(mirror).conclusion == conclusion


def test_places_that_contradict_each_other(mirror: Path) -> None:
    """The card names a stranger, the recipe the base: each is tested; one parent that is seen excuses one that is not."""
    model = mirror / "finetune"
    (model / "README.md").write_text("---\nbase_model: twin\n---\n")
    (model / "mergekit_config.yml").write_text("models: [{model: base}]\n")
    found = {finding.declaration.name: finding.status for finding in said(mirror).findings}
    assert found == {"twin": "not-testable", "base": "confirmed"}


def test_a_licence_beside_that_of_the_base(mirror: Path) -> None:
    (mirror / "finetune" / "README.md").write_text("---\nbase_model: base\nlicense: apache-2.0\n---\n")
    (finding,) = said(mirror).licences
    assert finding.same is False
    assert "base states llama3.1 (own terms; card); this model states apache-2.0 (permissive; card)" in finding.sentence()


def test_nothing_declared_and_the_weights_are_those_of_another(mirror: Path) -> None:
    """A renamed copy: whose weights they are is said, and under which licence that model was."""
    from kinprint import fingerprint
    from kinprint.library.declarations.base_models import at_hand

    shutil.copytree(mirror / "base", mirror / "mine")
    (mirror / "mine" / "README.md").unlink()
    found = verify(str(mirror / "mine"), Options(mirror, at_hand([fingerprint(mirror / "base")], None), offline=True))
    assert found.conclusion == "undeclared-relative"
    assert found.sentence() == "It declares no base, and its weights are those of base."
    assert found.licences[0].sentence() == "Licence: base states llama3.1 (own terms; card); this model states none."


def test_a_model_of_the_library_is_no_relative_of_itself(mirror: Path, tmp_path: Path) -> None:
    """By its digest and its name, whatever ends the name of its file."""
    from kinprint import fingerprint
    from kinprint.library.declarations.base_models import at_hand

    file = tmp_path / "my.model.v2.safetensors"
    shutil.copy(mirror / "base" / "model.safetensors", file)
    found = verify(str(file), Options(None, at_hand([fingerprint(file)], None), offline=True))
    assert found.conclusion == "nothing-declared"
    assert found.itself == file.name


def test_where_a_fingerprint_was_measured_is_never_opened(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library is a stranger's: what it says of places could make kinprint ask any server."""
    from kinprint import fingerprint
    from kinprint.fingerprints import Fingerprint
    from kinprint.library.declarations import declared
    from kinprint.library.declarations.base_models import at_hand

    measured = fingerprint(mirror / "base")
    hostile = Fingerprint("other", measured.traits, measured.facts, {"source": "https://example.org/model"})
    opened: list[str] = []
    located = declared.located
    monkeypatch.setattr(declared, "located", lambda place, **options: opened.append(place) or located(place, **options))
    (mirror / "finetune" / "README.md").write_text("---\nbase_model: other\n---\n")
    confirmed = verify(str(mirror / "finetune"), Options(None, at_hand([hostile], None)))
    (mirror / "finetune" / "README.md").unlink()
    undeclared = verify(str(mirror / "finetune"), Options(None, at_hand([hostile], None)))
    assert (confirmed.conclusion, undeclared.conclusion) == ("confirmed", "undeclared-relative")
    assert set(opened) == {str(mirror / "finetune")}


@pytest.mark.parametrize(
    ("written", "id"),
    [
        ("Apache-2.0", "apache-2.0"),
        ("apache license 2.0", "apache-2.0"),
        ("MIT License", "mit"),
        ("The MIT License", "mit"),
        (MIT, "mit"),
        (APACHE, "apache-2.0"),
        (LLAMA, "llama3.1"),
        ("Llama 2 Community License", "llama2"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\n Version 3, 19 November 2007", "agpl-3.0"),
        ("cc-by-nc-4.0", "cc-by-nc-4.0"),
        ("Tongyi Qianwen LICENSE AGREEMENT", "tongyi-qianwen"),
        ("proprietary", "proprietary"),
        ("", ""),
        ("\x1b[31m", "\\x1b[31m"),
    ],
)
def test_licences_are_recognised(written: str, id: str) -> None:
    assert recognised(written).id == id


def test_a_licence_that_nobody_states_is_no_finding_of_difference() -> None:
    assert LicenceFinding("base", (), (recognised("mit"),)).same is None
    assert LicenceFinding("base", (recognised("MIT"),), (recognised("mit license"),)).same is True
