"""The one permutation engine that every test of kinprint uses. It knows arrays and relabellings, and nothing of models.

`scores` makes features comparable without looking at labels; `structure` says how units may be relabelled; `permanents`
gives the exact moment generating function of a relabelling; `alignment` searches for the layers that belong together;
`exchangeability` joins them into a test.
"""

from kinprint.statistics.alignment import admissible, best_map
from kinprint.statistics.exchangeability import Result, exchangeability_test, exchangeability_test_of_scores
from kinprint.statistics.scores import label_free_scores
from kinprint.statistics.structure import Structure

__all__ = [
    "Result",
    "Structure",
    "admissible",
    "best_map",
    "exchangeability_test",
    "exchangeability_test_of_scores",
    "label_free_scores",
]
