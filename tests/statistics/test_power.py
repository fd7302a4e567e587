"""What a test could have seen, against what a test does see."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from kinprint.statistics import detectable


@pytest.mark.parametrize("alpha", [0.05, 1e-3])
def test_half_of_all_cases(alpha: float) -> None:
    """Alternative: a statistic that is normal about the detectable correlation. It is significant in half of 20 000 draws."""
    resolution, rng = 0.01, np.random.default_rng(1)
    statistic = rng.normal(detectable(resolution, alpha), resolution, 20_000)
    significant = norm.sf(statistic / resolution) <= alpha
    assert significant.mean() == pytest.approx(0.5, abs=0.015)


def test_a_stricter_alpha_sees_less() -> None:
    """At 1e-6 a correlation of 4.753 resolutions is seen, at 1e-9 one of 5.998; what is seen scales with the resolution."""
    assert detectable(1.0, 1e-6) == pytest.approx(4.7534, abs=1e-4)
    assert detectable(1.0, 1e-9) == pytest.approx(5.9978, abs=1e-4)
    assert detectable(0.03, 1e-9) == pytest.approx(0.03 * detectable(1.0, 1e-9))
    assert detectable(1.0, 0.9) == 0


@pytest.mark.parametrize(("resolution", "alpha"), [(1.0, 0.0), (1.0, 1.0), (1.0, float("nan")), (-1.0, 0.05)])
def test_what_cannot_be_is_refused(resolution: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"alpha|resolution"):
        detectable(resolution, alpha)
