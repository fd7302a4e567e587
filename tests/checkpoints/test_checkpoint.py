from __future__ import annotations

import pickle
from functools import partial

import pytest

from kinprint.checkpoints.checkpoint import Checkpoint, Deferred
from kinprint.errors import CheckpointError


def fail() -> dict[str, int]:
    raise CheckpointError("tokenizer.json", "damaged")


def test_a_deferred_mapping_is_loaded_once_and_when_needed() -> None:
    calls = []
    deferred = Deferred(lambda: calls.append(1) or {"a": 1})
    assert not calls
    assert dict(deferred) == {"a": 1}
    assert (deferred["a"], len(deferred), deferred.problem) == (1, 1, "")
    assert calls == [1]


def test_what_cannot_be_loaded_is_empty_and_noted() -> None:
    checkpoint = Checkpoint("m", "m", tensors={}, tokenizer=Deferred(fail))
    assert dict(checkpoint.tokenizer) == {}
    assert checkpoint.notes == ("tokenizer.json: damaged",)


def test_plain_mappings_have_nothing_to_note() -> None:
    assert Checkpoint("m", "m", tensors={}, tokenizer={"a": 1}).notes == ()


def test_a_checkpoint_and_its_errors_travel_to_other_processes() -> None:
    assert dict(pickle.loads(pickle.dumps(Deferred(partial(dict, a=1))))) == {"a": 1}
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: damaged"):
        raise pickle.loads(pickle.dumps(CheckpointError("tokenizer.json", "damaged")))
