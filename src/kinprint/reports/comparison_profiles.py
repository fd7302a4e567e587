"""What scores can show of layers: curves over depth, beside those of two strangers, and layers with layers.

A score says what can be drawn of it (`Score.curves`, `Score.maps`); no score is named here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kinprint import methods
from kinprint.arrays import Float64s
from kinprint.fingerprints import Fingerprint
from kinprint.methods import Score
from kinprint.reports.comparison_figures import Curve, curves, heat
from kinprint.statistics.over_depth import correlation

STRANGERS = Path(__file__).with_name("strangers.json")
"""Profiles of models that were trained independently; written by examples/unrelated_profiles.py."""

FEWEST = 3
"""Layers of a curve that is drawn."""


def spectrum_profile(model: Fingerprint) -> Float64s:
    """(layers,) mean over heads of the log singular values of queries against keys; empty where they are not known."""
    spectra = model.traits.get("heads.qk_spectrum")
    if spectra is None:
        return np.empty(0)
    with np.errstate(all="ignore"):
        logs = np.log(np.where(spectra > 0, spectra, np.nan).astype(np.float64))
    known = [row[np.isfinite(row)] for row in logs]
    return np.array([row.mean() if row.size else np.nan for row in known])


def profiles(model: Fingerprint) -> dict[str, Float64s]:
    """Curves over the layers that know them: those of every score that has some, and one that is often shown and no score."""
    curves_of_scores = [score.curves(model) for score in _scores() if score.curves is not None]
    named = [{"log QK spectrum": spectrum_profile(model)}, *curves_of_scores]
    return {name: curve for group in named for name, curve in group.items() if np.isfinite(curve).sum() >= FEWEST}


def familiar(reference: Fingerprint, suspect: Fingerprint) -> Iterator[dict[str, Any]]:
    """Each profile of the pair beside the same profile of two strangers, where one is known."""
    ours, theirs = profiles(reference), profiles(suspect)
    for name in (name for name in ours if name in theirs):
        a, b = ours[name], theirs[name]
        yield {
            "title": name[0].upper() + name[1:],
            "ours": curves(f"{name} of the pair", _pair(a, b, (reference.name, suspect.name))),
            "caption": f"This pair: correlation over depth {_correlated(a, b)}.",
            "strangers": _strangers_profile(name),
        }


@cache
def _strangers() -> dict[str, dict[str, Any]]:
    """Name of a profile -> that of two models that were trained independently."""
    return {row["profile"]: row for row in json.loads(STRANGERS.read_text(encoding="utf-8"))["profiles"]}


def _strangers_profile(name: str) -> dict[str, Any] | None:
    row = _strangers().get(name)
    if row is None:
        return None
    x, y = (np.array(curve) for curve in row["curves"])
    return {
        "drawn": curves(f"{name} of strangers", _pair(x, y, row["models"])),
        "caption": f"Trained independently: {' and '.join(row['models'])}: {_correlated(x, y)}. Source: {row['source']}.",
    }


def _pair(a: Float64s, b: Float64s, names: Sequence[str]) -> list[Curve]:
    """Both curves with mean zero and variance one, as the field draws them."""
    return [
        Curve(name, ((curve - np.nanmean(curve)) / (np.nanstd(curve) or 1.0)).tolist(), look)
        for curve, name, look in zip((a, b), names, ("reference", "suspect"), strict=True)
    ]


def _correlated(a: Float64s, b: Float64s) -> str:
    correlated = correlation(a[np.isfinite(a)], b[np.isfinite(b)])
    return "not defined" if correlated is None else f"{correlated:.2f}"


def layer_maps(reference: Fingerprint, suspect: Fingerprint) -> Iterator[dict[str, Any]]:
    """Of every score that has maps: layers with layers, within each model and across the two."""
    for maps in (score.maps for score in _scores() if score.maps is not None):
        across = maps.between(reference, suspect)
        within = maps.between(reference, reference), maps.between(suspect, suspect)
        rows = []
        for vectors, kind in across:
            shown = (
                ("within the reference", within[0][vectors, kind], "reference", "reference"),
                ("within the suspect", within[1][vectors, kind], "suspect", "suspect"),
                ("across", across[vectors, kind], "reference", "suspect"),
            )
            drawn = [
                {"drawn": heat(f"{kind} cosines, {caption}", cosines.tolist(), down, right), "caption": caption}
                for caption, cosines, down, right in shown
            ]
            rows.append({"title": f"{vectors}, {kind}", "maps": drawn})
        if rows:
            yield {"title": maps.title, "caption": maps.caption, "rows": rows}


def _scores() -> Iterator[Score]:
    yield from (method for method in methods.known() if isinstance(method, Score))
