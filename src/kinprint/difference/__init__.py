"""diff(): what changed from one model to another, measured tensor by tensor, and a reading of it in words.

`matrix` reads a part some rows at a time, `pairing` says which part answers which, `units` finds units in another order.
`tensor_change` measures one pair in one pass: `entries` counts, `spectrum` looks at directions, `grid` at values. `kinds` says
what kind of change a matrix went through, `reading` what that makes of the model.
"""

from kinprint.difference.changes import FORMAT, Changes, between, diff
from kinprint.difference.reading import MEANS, Reading
from kinprint.difference.tensor_change import TensorChange

__all__ = ["FORMAT", "MEANS", "Changes", "Reading", "TensorChange", "between", "diff"]
