"""compare(): every method on one pair of models, p-values combined, a verdict from the tests alone."""

from kinprint.comparison.comparison import FORMAT, Comparison, compare, examine
from kinprint.comparison.sides import both
from kinprint.terms import ALPHA, Verdict

__all__ = ["ALPHA", "FORMAT", "Comparison", "Verdict", "both", "compare", "examine"]
