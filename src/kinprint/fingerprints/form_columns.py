"""What the columns of the trait `neurons.forms` hold: declared here once, for those who write it and all who read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

HEADS = ("queries", "keys", "outputs", "values")
"""What a layer's heads read as queries and as keys, write as outputs and read as values: each gives a quadratic form M."""


class Column(NamedTuple):
    """One number of a neuron.

    Attributes:
        what: "expert"; "norm", the log of a norm or of a product of norms; "cosine" of two unit vectors; or the form M of
            `HEADS` between two unit vectors, the log of it where both are the same vector.
        of: the vectors of the neuron ("gate", "up", "down") that it is made of.
    """

    what: str
    of: tuple[str, ...] = ()

    @property
    def odd(self) -> bool:
        """Whether it changes sign with a gated neuron, of which (up, down) computes the same as (-up, -down)."""
        return self.what not in ("expert", "norm") and self.of in (("gate", "up"), ("gate", "down"))


PAIRS = (("gate", "up"), ("gate", "down"), ("up", "down"))

COLUMNS = (
    Column("expert"),
    Column("norm", ("gate",)),
    Column("norm", ("up", "down")),
    *(Column("cosine", pair) for pair in PAIRS),
    *(Column(form, pair) for form in HEADS for pair in (("gate", "gate"), ("up", "up"), ("down", "down"), *PAIRS)),
)


def where(wanted: Callable[[Column], bool]) -> tuple[int, ...]:
    """The indices of some columns, ascending."""
    return tuple(index for index, column in enumerate(COLUMNS) if wanted(column))


EXPERT = COLUMNS.index(Column("expert"))
ODD = where(lambda column: column.odd)
EVEN = where(lambda column: column.what != "expert" and not column.odd)
GATED = where(lambda column: column.what in ("norm", "cosine") and "gate" in column.of)
"""Columns that no neuron has without a gate."""
