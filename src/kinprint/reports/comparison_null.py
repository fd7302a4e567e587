"""The picture of what decides: what a test says of strangers, and where this pair and each of its layers lie.

Every test states its statistic as z, in standard deviations of what relabelled units give. Of strangers z is about 0, give or
take 1: the hill. The scale is even up to EVEN and halves from there on, so that 5 and 50 both have a place. The p-value of a
test is worked out exactly and not read from the hill; the picture only shows why it is small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from scipy.special import ndtri

from kinprint.methods import Evidence
from kinprint.reports import svg
from kinprint.reports.comparison_words import scientific

WIDTH, LEFT, EVEN_WIDTH, RIGHT = 840.0, 150.0, 400.0, 24.0
HILL, TOP, ROW = 84.0, 12.0, 22.0
LOWEST, EVEN, DOUBLINGS = -4.0, 6.0, 4.0
TICKS = (-3, 0, 3, 6, 12, 24, 48, 96)
POINTS = 81


def null_picture(tests: Sequence[Evidence], alpha: float) -> Markup | None:
    """The hill of strangers, and below it a row for each test that applies: a bar for the pair, a dot for each layer.

    Args:
        tests: of a comparison.
        alpha: largest p-value that is called related; marked where a hill of this shape would have it.
    """
    shown = [item for item in tests if item.applies and item.statistic is not None and math.isfinite(item.statistic)]
    if not shown:
        return None
    foot = TOP + HILL
    bottom = foot + ROW * len(shown) + 8
    body = [_hill(foot), svg.text(_across(0.0), foot - 6, "strangers", anchor="middle")]
    for tick in TICKS:
        x = _across(float(tick))
        body.append(svg.element("line", look="grid", x1=x, y1=foot, x2=x, y2=bottom))
        body.append(svg.text(x, bottom + 14, str(tick), anchor="middle"))
    written = f"p = {scientific(math.log10(alpha))}"
    line = _across(-float(ndtri(alpha)))
    body.append(svg.element("line", look="mark", x1=line, y1=TOP, x2=line, y2=bottom, hover=written))
    body.append(svg.text(line + 4, TOP + 10, written, anchor="start"))
    for number, item in enumerate(shown):
        body += _row(item, foot + ROW * (number + 0.5) + 4)
    body.append(
        svg.text((LEFT + WIDTH - RIGHT) / 2, bottom + 30, "z: standard deviations above relabelled units", anchor="middle")
    )
    return svg.figure("Each test beside what strangers give", body, WIDTH, bottom + 38)


def _hill(foot: float) -> str:
    """The standard normal density, over the even part of the scale."""
    at = np.linspace(LOWEST, EVEN, POINTS)
    points = [(_across(float(z)), foot - (HILL - 22) * math.exp(-z * z / 2)) for z in at]
    return svg.polyline(points, look="curve reference")


def _row(item: Evidence, y: float) -> list[str]:
    """A test: its name, its layers, the pair."""
    body = [svg.text(LEFT - 8, y + 4, item.method, anchor="end")]
    for layer, z in enumerate(item.layers or ()):
        if math.isfinite(z):
            hover = f"{item.method}, layer {layer}: z = {z:.1f}"
            body.append(
                svg.element("circle", look="dot reference", cx=_across(z), cy=y, r=2.6, fill_opacity="0.45", hover=hover)
            )
    z = float(item.statistic or 0.0)
    hover = f"{item.method}: z = {z:.1f}" + ("; set aside" if item.set_aside else "")
    body.append(svg.rectangle(_across(z) - 2, y - 8, 4, 16, look="pair", hover=hover))
    return body


def _across(z: float) -> float:
    """Where z lies: evenly up to EVEN, then by doublings; what lies beyond either end, at the end."""
    if z <= EVEN:
        return LEFT + EVEN_WIDTH * (max(z, LOWEST) - LOWEST) / (EVEN - LOWEST)
    far = min(math.log2(z / EVEN), DOUBLINGS) / DOUBLINGS
    return LEFT + EVEN_WIDTH + (WIDTH - RIGHT - LEFT - EVEN_WIDTH) * far
