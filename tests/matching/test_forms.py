"""Which layers of a suspect are compared by the forms of their neurons."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.form_columns import COLUMNS, EXPERT
from kinprint.matching.forms import compared, present
from kinprint.matching.layers import LAYERS


def drawn(layers: int) -> np.ndarray:
    forms = np.random.default_rng(0).normal(size=(layers, 4, len(COLUMNS)))
    forms[..., EXPERT] = 0
    return forms


def model(forms: np.ndarray) -> Fingerprint:
    return Fingerprint("model", {"neurons.forms": forms})


def test_layers_that_have_neurons_are_compared_evenly() -> None:
    """The number of an expert makes no neuron; of many layers the first and the last are among those chosen."""
    few = drawn(5)
    few[2, :, 1:] = np.nan
    assert compared(model(few)).tolist() == [0, 1, 3, 4]
    chosen = compared(model(drawn(40)))
    assert (len(chosen), chosen[0], chosen[-1]) == (LAYERS, 0, 39)


def test_a_suspect_without_neurons_is_refused() -> None:
    nothing = drawn(3)
    nothing[..., 1:] = np.nan
    with pytest.raises(NotApplicable, match="no layer of the suspect"):
        compared(model(nothing))


def test_a_column_is_there_if_any_neuron_has_it() -> None:
    forms = drawn(2)
    forms[..., 3] = np.nan
    forms[:, 1:, 4] = np.nan
    assert np.flatnonzero(~present(model(forms))).tolist() == [3]
