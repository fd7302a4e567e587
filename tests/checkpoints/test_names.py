"""Names without what wrappers have added."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.checkpoints.names import STEPS, plain, renamed
from kinprint.fingerprints.content import short_names


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("_orig_mod.model.norm.weight", "model.norm.weight"),
        ("module.module.lm_head.weight", "lm_head.weight"),
        ("_fsdp_wrapped_module.model.layers.0._fsdp_wrapped_module.mlp.w.weight", "model.layers.0.mlp.w.weight"),
        ("base_model.model.model.layers.3.q.base_layer.weight", "model.layers.3.q.weight"),
        ("encoder.LayerNorm.gamma", "encoder.LayerNorm.weight"),
        ("encoder.layer_norm.beta", "encoder.layer_norm.bias"),
        ("encoder.layer_scale.gamma", "encoder.layer_scale.gamma"),
        ("pos_conv.weight_g", "pos_conv.parametrizations.weight.original0"),
        ("model.module.weight", "model.module.weight"),
    ],
)
def test_one_name(stored: str, expected: str) -> None:
    assert plain([stored]) == {stored: expected}


def test_a_step_in_front_counts_only_if_all_have_it() -> None:
    """A part of a model may be called module."""
    assert plain(["module.a.weight", "b.weight"])["module.a.weight"] == "module.a.weight"


def test_two_tensors_are_never_one() -> None:
    """A file with both the wrapped and the plain name keeps both."""
    names = ["a.weight", "a._orig_mod.weight"]
    assert sorted(plain(names).values()) == sorted(names)


def test_a_name_that_stays_is_not_taken_by_another() -> None:
    """Two would both be called x and stay as they are; a third would take the name of one of them, and hide it."""
    names = ["module.module.x", "module.x", "module.x._orig_mod"]
    assert len(set(plain(names).values())) == 3
    assert len(set(short_names(["model.model.x", "model.x", "x"]).values())) == 3


STEP = st.sampled_from(["a", "0", "norm", "weight", "gamma", "module", "base_model", "model", *sorted(STEPS)])


@given(st.sets(st.lists(STEP, min_size=1, max_size=5).map(".".join), max_size=8))
def test_no_name_is_lost(names: set[str]) -> None:
    """Whatever the names: as many as before, each of another tensor."""
    new = plain(names)
    assert new.keys() == names
    assert len(set(new.values())) == len(names)
    assert set(renamed({name: name for name in names}).values()) == names
