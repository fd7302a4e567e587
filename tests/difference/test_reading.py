"""The words of a difference, and what is looked through on the way to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf_files
import numpy as np
import pytest

import kinprint
from kinprint import transforms
from kinprint.architectures import OpenModel, open_model
from kinprint.difference import MEANS, Changes, between
from kinprint.errors import CheckpointError
from kinprint.transforms._model import Model, changed


@pytest.fixture(scope="module")
def base(models: Path) -> OpenModel:
    return open_model(models / "base")


def made(models: Path, name: str, **options: Any) -> OpenModel:
    """A copy of the shipped base, in memory."""
    model = transforms.known()[name](transforms.read_model(models / "base"), **options)
    return OpenModel(transforms.in_memory(model, name))


def edited(models: Path, roles: tuple[str, ...], change: Any) -> OpenModel:
    """The shipped base with some matrices changed."""

    def moved(place: Any, part: Any) -> Any:
        return changed(part, lambda array: change(array).astype(np.float32)) if place[1] in roles else part

    model: Model = transforms.read_model(models / "base").each(moved)
    return OpenModel(transforms.in_memory(model, "edited"))


def test_relabelled_units_are_looked_through(base: OpenModel, models: Path) -> None:
    """Of a copy whose channels, heads and neurons were permuted no entry changed, and every one was compared."""
    found = between(base, made(models, "permute", seed=1))
    assert (found.reading.word, found.reading.then) == ("another-form", "same")
    assert (found.changed, found.answering, found.not_compared) == (0, 1.0, ())
    assert found.layer_map == (0, 1, 2, 3)


def test_another_basis_is_said_and_not_measured(base: OpenModel, models: Path) -> None:
    """A rotation leaves no entry that answers one: nothing is reported as a change of the layers."""
    found = between(base, made(models, "rotate", seed=1))
    assert (found.reading.word, found.reading.then) == ("another-form", None)
    assert found.layer_map == (None,) * 4
    assert not any(change.layer is not None and len(change.shape) == 2 and change.shape[0] > 1 for change in found.tensors)


def test_layers_left_out_are_looked_through(base: OpenModel, models: Path) -> None:
    found = between(base, made(models, "prune", kind="depth", layers=[0, 3]))
    assert (found.reading.word, found.reading.then, found.layer_map) == ("layers", "same", (0, 3))
    assert "1-2" in found.reading.words
    assert {place[0] for place in found.missing} == {1, 2}


def test_units_left_out_are_looked_through(base: OpenModel, models: Path) -> None:
    """Of the neurons and heads that stayed no entry changed."""
    found = between(base, made(models, "prune", kind="width", amount=0.25))
    assert (found.reading.word, found.changed) == ("width", 0)
    assert "192 of 256 neurons" in found.reading.words


def test_experts_are_compared_with_the_ffn_they_were(base: OpenModel, models: Path) -> None:
    found = between(base, made(models, "upcycle", experts=2, seed=1))
    assert (found.reading.word, found.changed) == ("upcycled", 0)
    assert {place[1] for place in found.added} == {"router"}


def test_another_vocabulary(base: OpenModel, models: Path) -> None:
    found = between(base, made(models, "swap-vocabulary", size=300, seed=1))
    assert (found.reading.word, found.reading.then) == ("vocabulary", "part")


def test_a_gguf_of_the_same_values(models: Path, tmp_path: Path) -> None:
    """Names, order of rows and number type are another; no entry is. Eight bits are told from training."""
    for form, word in (("F16", "cast"), ("Q8_0", "quantised")):
        gguf_files.FORMS[f"GGUF {form}"](models / "base", tmp_path / form)
        found = kinprint.diff(models / "base", tmp_path / form / "model.gguf")
        assert (found.reading.word, found.answering) == (word, 1.0)
        assert (found.changed == 0) == (word == "cast")


def test_a_merged_adapter(base: OpenModel, models: Path) -> None:
    """Its rank; every other tensor is said to be unchanged."""

    def adapted(array: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(len(array))
        return array + 0.01 * rng.standard_normal((len(array), 4)) @ rng.standard_normal((4, array.shape[1]))

    found = between(base, edited(models, ("q", "v"), adapted))
    assert (found.reading.word, found.reading.rank) == ("low-rank", 4)
    assert "Unchanged: k, o, gate, up, down, embedding" in found.reading.words


def test_one_direction_taken_out_of_all_layers(base: OpenModel, models: Path) -> None:
    """Other directions in each layer are a change of rank 1, and no such edit."""
    direction = np.random.default_rng(0).standard_normal(128)
    direction /= np.linalg.norm(direction)

    def ablated(array: np.ndarray) -> np.ndarray:
        return array - np.outer(direction, direction @ array)

    def other(array: np.ndarray) -> np.ndarray:
        own = array[:, 0] / np.linalg.norm(array[:, 0])
        return array - np.outer(own, own @ array)

    assert between(base, edited(models, ("o", "down"), ablated)).reading.word == "one-direction"
    assert between(base, edited(models, ("o", "down"), other)).reading.word == "low-rank"


def test_only_the_embedding(base: OpenModel, models: Path) -> None:
    found = between(base, edited(models, ("embedding",), lambda array: array * 1.01))
    assert (found.reading.word, found.reading.words.splitlines()[0]) == ("part", "Only embedding changed.")


def test_a_fingerprint_holds_no_weights(models: Path) -> None:
    """It is refused with the remedy."""
    with pytest.raises(CheckpointError, match="name the checkpoint"):
        kinprint.diff(models / "base", "some.kinprint")


def test_every_word_means_something_and_was_counted(models: Path) -> None:
    """Each word that was said in the benchmark is a word, and right no more often than it was said."""
    from kinprint.difference import reading

    found: Changes = between(open_model(models / "base"), open_model(models / "base"))
    assert found.reading.word == "same"
    for word, (right, said) in reading._measured().items():
        assert word in MEANS
        assert 0 <= right <= said
