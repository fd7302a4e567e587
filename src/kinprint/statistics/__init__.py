"""The engines that every test of kinprint uses. They know arrays, relabellings and signs, and nothing of models.

`scores` makes features comparable without looking at labels; `structure` says how units may be relabelled, `neighbourhoods`
which of them are neighbours and what their labels may mean; `order` and `copies` check a model against itself, `label_checks`
do so for the report; `permanents` gives the exact moment generating function of a relabelling, `relabelling` draws some;
`alignment` searches for the layers that belong together; `exchangeability` joins them into a test. `signs` tests numbers whose
signs the null hypothesis makes random. `tails` says how a p-value is found, `multiplicity` corrects it for the number of tries;
`power` says what a test could have seen; `ranks` and `distributions` stand for
scipy.stats. `half_remainder` asks whether one explanation leaves less than half of what
another leaves; `small_ball` whether one leaves less than chance could. `equality` and `uniform_ranks` compare what two
models write, `paired_agreement` how often two agree with a third. `wilson` says how well a share is known that was counted.
"""

from kinprint.statistics.alignment import admissible, best_map
from kinprint.statistics.exchangeability import (
    ExchangeabilityResult,
    exchangeability_test,
    exchangeability_test_of_scores,
    partners_test,
    single_layer_tests,
)
from kinprint.statistics.multiplicity import alpha_of_each, bonferroni, smallest
from kinprint.statistics.normal_scores import label_free_scores, normal_scores
from kinprint.statistics.power import detectable
from kinprint.statistics.relabelling_group import RelabellingGroup
from kinprint.statistics.signs import SignTestResult, sign_test, sign_z
from kinprint.statistics.wilson import wilson

__all__ = [
    "ExchangeabilityResult",
    "RelabellingGroup",
    "SignTestResult",
    "admissible",
    "alpha_of_each",
    "best_map",
    "bonferroni",
    "detectable",
    "exchangeability_test",
    "exchangeability_test_of_scores",
    "label_free_scores",
    "normal_scores",
    "partners_test",
    "sign_test",
    "sign_z",
    "single_layer_tests",
    "smallest",
    "wilson",
]
