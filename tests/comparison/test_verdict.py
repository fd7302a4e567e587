"""From evidence to a verdict: the number of tests counts in the p-value and in what the tests could have seen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from methods import simulated

from kinprint.comparison import examine
from kinprint.comparison.verdict import combined_log10_p, unforgeable_log10_p, with_detectable
from kinprint.methods import Evidence, Method, Test
from kinprint.statistics import detectable

SAID = Evidence(method="a", kind="test", statistic=1.0, log10_p=-2.0, resolution=0.01)
SILENT = Evidence(method="silent", kind="test", note="Does not apply.")
SCORE = Evidence(method="score", kind="score", statistic=0.9)


def method(evidence: Evidence) -> Method:
    return Test(name=evidence.method, summary="", needs=(), source="", null="", run=lambda reference, suspect: evidence)


def test_tests_that_apply_are_counted() -> None:
    """The smallest p-value times the number of tests that apply; neither scores nor silent tests count."""
    tests = [SAID, replace(SAID, method="b", log10_p=-7.5), SILENT, SCORE]
    assert combined_log10_p(tests) == -7.5 + math.log10(2)
    assert combined_log10_p([SILENT, SCORE]) is None


@pytest.mark.parametrize("alpha", [1e-3, 1e-6, 1e-9])
def test_detectable_is_that_of_the_alpha_in_use(alpha: float) -> None:
    """Two tests apply: each sees what it would call significant at alpha / 2."""
    rng = np.random.default_rng(0)
    models = simulated.model(rng, name="a"), simulated.model(rng, name="b")
    evidence = [SAID, replace(SAID, method="b", resolution=0.02), SILENT, SCORE]
    found = examine(models, alpha=alpha, methods=[method(item) for item in evidence])
    seen = {item.method: item.detectable for item in found.evidence}
    assert seen == {"a": detectable(0.01, alpha / 2), "b": detectable(0.02, alpha / 2), "silent": None, "score": None}
    assert [item.to_json()["detectable"] for item in found.tests] == [item.detectable for item in found.tests]
    assert f"a correlation of {detectable(0.01, alpha / 2):.3f} between" in found.sentence()


def test_a_test_at_its_detectable_correlation_decides() -> None:
    """A z of detectable / resolution is just related, alone and among three tests that see nothing."""
    for others in (0, 3):
        evidence = [SAID, *(replace(SAID, method=str(number), log10_p=-0.1) for number in range(others))]
        seen = with_detectable(evidence, 1e-6)[0].detectable
        assert seen is not None
        for z, related in ((seen / 0.01 + 1e-3, True), (seen / 0.01 - 1e-3, False)):
            log10_p = math.log10(0.5 * math.erfc(z / math.sqrt(2)))
            combined = combined_log10_p([replace(SAID, log10_p=log10_p), *evidence[1:]])
            assert combined is not None
            assert (combined <= -6) == related


def test_related_says_what_could_have_made_it() -> None:
    """Labels alone: it says so, and what rules that out. With a test that no relabelling can make: it says that."""
    rng = np.random.default_rng(1)
    models = simulated.model(rng, name="a"), simulated.model(rng, name="b")
    fitted, sure = replace(SAID, log10_p=-40.0), replace(SAID, method="b", log10_p=-9.0, forgeable=False)
    for evidence, forgeable, words in (
        ([fitted], True, "rests on labels and signs alone"),
        ([fitted, replace(sure, log10_p=-2.0)], True, "If a was public, or committed to, before b, that is ruled out."),
        ([fitted, sure], False, "No relabelling can make this"),
        ([replace(fitted, log10_p=-1.0), replace(sure, log10_p=-1.0)], None, "No evidence"),
    ):
        found = examine(models, methods=[method(item) for item in evidence])
        assert found.forgeable is forgeable
        assert found.to_json()["forgeable"] is forgeable
        assert words in found.sentence()
    assert [item["forgeable"] for item in found.to_json()["evidence"]] == [True, False]


def test_the_unforgeable_p_value_counts_all_tests() -> None:
    """Corrected for every test that decides, not for those of its kind alone."""
    tests = [replace(SAID, log10_p=-40.0), replace(SAID, method="b", log10_p=-9.0, forgeable=False)]
    assert unforgeable_log10_p(tests) == -9 + math.log10(2)
    assert unforgeable_log10_p(tests[:1]) is None


@pytest.mark.parametrize(("share", "verdict"), [(0.0006, "no-evidence"), (0.3, "related")])
def test_a_small_part_does_not_speak_for_the_model(share: float, verdict: str) -> None:
    """A test of less than 1 % of the parameters names its part and decides nothing; of more it decides."""
    rng = np.random.default_rng(2)
    models = simulated.model(rng, name="a"), simulated.model(rng, name="b")
    part = replace(method(replace(SAID, log10_p=-27.0)), share=lambda model: share, part="routers")
    found = examine(models, methods=[part, method(replace(SAID, method="b", log10_p=-0.3))])
    assert found.verdict == verdict
    assert ("Only 0.06% of the parameters are in the routers" in found.sentence()) == (verdict == "no-evidence")
    assert (found.tests[-1].to_json()["set_aside"] is not None) == (verdict == "no-evidence")
