"""One way to explain a suspect, whatever the kind of merge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kinprint.arrays import Float64s


@dataclass(frozen=True)
class Account:
    """One way to explain the suspect.

    Attributes:
        kind: a key of `gather_result.KINDS`.
        chosen: rows of `Data.x` that take part, without the base of ties and of sparse sums.
        coefficients, errors: (chosen,) of the whole; of ties the weights of the mean.
        remainder: (columns,) NaN where a model lacks the entry.
        base: row of the base, where the kind has one.
        details: what else was estimated: t of slerp, density of ties.
        tensors: (tensors, chosen) coefficients of each tensor, and their errors.
    """

    kind: str
    chosen: tuple[int, ...]
    coefficients: Float64s
    errors: Float64s
    remainder: Float64s
    base: int | None = None
    details: dict[str, float] = field(default_factory=dict)
    tensors: tuple[Float64s, Float64s] | None = None

    @property
    def models(self) -> tuple[int, ...]:
        return self.chosen if self.base is None or self.base in self.chosen else (self.base, *self.chosen)

    def coefficient_of(self, model: int) -> tuple[float, float]:
        """The coefficient of one of `models` and its standard error; NaN for the base of ties, which has none."""
        if model not in self.chosen:
            return math.nan, math.nan
        position = self.chosen.index(model)
        return float(self.coefficients[position]), float(self.errors[position])
