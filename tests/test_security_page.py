"""The limits that docs/security.md states are those of the code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from kinprint.benchmark import pairs
from kinprint.blackbox import transcripts
from kinprint.checkpoints import adapters, card, foreign_config, json_text, mapped, opening, tokenizer, weight_files
from kinprint.checkpoints.formats import _gguf, _pickle, _protobuf, onnx, safetensors, torch_zip
from kinprint.library.declarations import in_toto, time_stamps
from kinprint.observation import kept_answers, probe, wire
from kinprint.zoo import lineage

fingerprint = import_module("kinprint.fingerprints.fingerprint")  # the names are also those of functions
recognise = import_module("kinprint.architectures.recognise")

PAGE = Path(__file__).parents[1] / "docs" / "security.md"

LIMITS = {
    "header of a safetensors file": (safetensors.MAX_HEADER, "bytes"),
    "directory of a PyTorch zip": (torch_zip.MAX_DIRECTORY, "bytes"),
    "pickle in it": (torch_zip.MAX_PICKLE, "bytes"),
    "instructions of a pickle": (_pickle.MAX_STEPS, ""),
    "header of a GGUF file": (_gguf.MAX_HEADER, "bytes"),
    "keys in it, nested arrays": (_gguf.MAX_KEYS, f", {_gguf.MAX_NESTING}"),
    "strings in its arrays, arrays within arrays": (_gguf.MAX_ITEMS, f", {_gguf.MAX_NESTED:,}"),
    "fields of an ONNX file, numbers that a tensor of it lists": (_protobuf.MAX_FIELDS, f", {onnx.MAX_LISTED:,}"),
    "`params.json` or `model_config.yaml`": (foreign_config.MAX_BYTES, "bytes"),
    "tensors of a file": (mapped.MAX_TENSORS, ""),
    "name of a tensor": (mapped.MAX_NAME, "characters"),
    "axes of a tensor": (mapped.MAX_RANK, ""),
    "matrices and vectors of a model, experts of one tensor counted": (recognise.MAX_PARTS, ""),
    "index of shards, files that it names": (weight_files.MAX_INDEX, f"bytes, {weight_files.MAX_SHARDS:,}"),
    "`config.json`": (opening.MAX_CONFIG, "bytes"),
    "`adapter_config.json`, patterns in it": (adapters.MAX_CONFIG, f"bytes, {adapters.MAX_PATTERNS:,}"),
    "items of any JSON, nested": (json_text.MAX_ITEMS, f", {json_text.MAX_NESTING}"),
    "JSON that is not ASCII": (json_text.MAX_NOT_ASCII, "bytes"),
    "tokenizer, lines of a `vocab.txt`": (tokenizer.MAX_BYTES, f"bytes, {tokenizer.MAX_LINES:,}"),
    "model card, its front matter": (card.MAX_BYTES, f"bytes, {card.MAX_FRONT_MATTER:,} characters"),
    "`.kinprint` file, its header": (fingerprint.MAX_FILE_BYTES, f"bytes, {fingerprint.MAX_HEADER_BYTES:,}"),
    "traits of a fingerprint, characters of its name": (fingerprint.MAX_TRAITS, f", {fingerprint.MAX_NAME}"),
    "list of pairs": (pairs.MAX_BYTES, "bytes"),
    "lineage of a zoo": (lineage.MAX_BYTES, f"bytes, {lineage.MAX_MEMBERS:,} models, {lineage.MAX_GENERATIONS} generations"),
    "statement or CycloneDX document, items of a list in it": (in_toto.MAX_BYTES, f"bytes, {in_toto.MAX_FILES:,}"),
    "time stamp, certificates of an authority": (time_stamps.MAX_BYTES, "bytes each"),
    "probe texts": (probe.MAX_BYTES, f"bytes, {probe.MAX_TEXTS:,} texts"),
    "answer of a model server": (wire.MAX_BYTES, "bytes"),
    "transcript of a training, characters of one text": (
        transcripts.MAX_BYTES,
        f"bytes, {transcripts.MAX_TEXTS:,} texts, {transcripts.MAX_CHARACTERS:,}",
    ),
    "kept answers": (kept_answers.MAX_BYTES, "bytes"),
}


def rows() -> list[str]:
    """The table as it stands on the page."""
    found = []
    for what, (number, unit) in LIMITS.items():
        space = "" if unit.startswith(",") or not unit else " "
        found.append(f"| {what} | {number:,}{space}{unit} |")
    return found


def test_the_page_counts_the_targets_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run of some day counted stands beside it."""
    monkeypatch.syspath_prepend(str(PAGE.parents[1] / "fuzz"))
    from targets import TARGETS

    assert f"There are {len(TARGETS)} targets now" in PAGE.read_text()


def test_the_limits_are_those_of_the_code() -> None:
    text = PAGE.read_text()
    assert [row for row in rows() if row not in text] == []
