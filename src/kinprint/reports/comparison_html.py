"""A comparison as one HTML page that needs no network: a verdict on top, what an engineer checks further down."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint import methods as registry
from kinprint._version import __version__
from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import Comparison
from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.methods import Evidence
from kinprint.methods.norm_gains import GAINS, cosines
from kinprint.methods.std_profile import ATTENTION, correlation, profiles
from kinprint.reports import comparison_words as words
from kinprint.reports.comparison_figures import Curve, bars, curves, heat, layer_map
from kinprint.reports.pages import page
from kinprint.statistics.relabelling import SEED
from kinprint.statistics.tails import DRAWS

Array = NDArray[np.float64]

STRANGERS = Path(__file__).with_name("strangers.json")
"""Profiles of models that were trained independently; written by examples/unrelated_profiles.py."""


def comparison_html(
    comparison: Comparison, *, command: str, files: Mapping[str, Sequence[FileHash]] | None = None, when: str = ""
) -> str:
    """The page.

    Args:
        comparison: what was found.
        command: what to type to find it again.
        files: "reference", "suspect" -> their files with digests, where the files are at hand.
        when: date and time of the comparison, as the page shall show it.
    """
    found, known = comparison, {method.name: method for method in registry.known()}
    depth = int(found.reference.layers or 0)
    return page(
        "comparison.html",
        reference=_side(found.reference, "reference", files),
        suspect=_side(found.suspect, "suspect", files),
        verdict=found.verdict,
        sentence=found.sentence(),
        means=words.MEANS[found.verdict],
        means_not=words.MEANS_NOT[found.verdict],
        disguise=", ".join(next((item.disguise for item in found.tests if item.disguise), ())),
        applied=sum(item.applies for item in found.tests),
        alpha=words.scientific(math.log10(found.alpha)),
        tests=[words.test(item, known[item.method].caveat if item.method in known else "") for item in found.tests],
        layer_map=layer_map("Map of layers", found.layer_map, depth) if found.layer_map else None,
        strengths=[_strength(item) for item in found.tests if item.applies and item.layers],
        familiar=list(_familiar(found.reference, found.suspect)),
        heats=list(_heats(found.reference, found.suspect)),
        scores=[words.score(item) for item in found.scores],
        context=words.context(found.context),
        provenance=_provenance(found, when),
        command=command,
    )


def _side(model: Fingerprint, side: str, files: Mapping[str, Sequence[FileHash]] | None) -> dict[str, Any]:
    return {"name": model.name, "files": list((files or {}).get(side, ()))}


def _strength(item: Evidence) -> dict[str, Any]:
    assert item.layers is not None
    return {
        "drawn": bars(f"{item.method} by layer", item.layers, "layer of the suspect"),
        "caption": f"{item.method}: z by layer of the suspect. Of independent models it is within 3 of zero nearly always.",
    }


@cache
def _strangers() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(STRANGERS.read_text(encoding="utf-8"))["profiles"]
    return found


def spectrum_profile(model: Fingerprint) -> Array:
    """(layers,) mean over heads of the log singular values of queries against keys; empty where they are not known."""
    spectra = model.traits.get("heads.qk_spectrum")
    if spectra is None:
        return np.empty(0)
    with np.errstate(all="ignore"):
        logs = np.log(np.where(spectra > 0, spectra, np.nan).astype(np.float64))
    known = [row[np.isfinite(row)] for row in logs]
    return np.array([row.mean() if row.size else np.nan for row in known])


def _deviation(role: str, model: Fingerprint) -> Array:
    return profiles(model).get(role, np.empty(0))


PROFILES: dict[str, Callable[[Fingerprint], Array]] = {
    "log QK spectrum": spectrum_profile,
    **{f"standard deviation of {role.upper()}": partial(_deviation, role) for role in ATTENTION},
}
"""What is drawn -> a curve over the layers that know it."""


def _familiar(reference: Fingerprint, suspect: Fingerprint) -> Iterator[dict[str, Any]]:
    """Each profile of the pair beside the same profile of two strangers."""
    for strangers in _strangers():
        name = strangers["profile"]
        a, b = (PROFILES[name](model) for model in (reference, suspect))
        if min(np.isfinite(a).sum(), np.isfinite(b).sum()) < 3:
            continue
        x, y = (np.array(curve) for curve in strangers["curves"])
        yield {
            "title": name[0].upper() + name[1:],
            "ours": curves(f"{name} of the pair", _pair(a, b, (reference.name, suspect.name))),
            "caption": f"This pair: correlation over depth {_correlated(a, b)}.",
            "strangers": curves(f"{name} of strangers", _pair(x, y, strangers["models"])),
            "strangers_caption": f"Trained independently: {' and '.join(strangers['models'])}: {_correlated(x, y)}. "
            f"Source: {strangers['source']}.",
        }


def _pair(a: Array, b: Array, names: Sequence[str]) -> list[Curve]:
    """Both curves with mean zero and variance one, as the field draws them."""
    return [
        Curve(name, ((curve - np.nanmean(curve)) / (np.nanstd(curve) or 1.0)).tolist(), look)
        for curve, name, look in zip((a, b), names, ("reference", "suspect"), strict=True)
    ]


def _correlated(a: Array, b: Array) -> str:
    found = correlation(a[np.isfinite(a)], b[np.isfinite(b)])
    return "not defined" if found is None else f"{found:.2f}"


def _heats(reference: Fingerprint, suspect: Fingerprint) -> Iterator[dict[str, Any]]:
    """Cosines of norm gains within each model and across the two, raw and centred."""
    for trait in GAINS:
        a, b = (np.asarray(model.traits.get(trait, np.empty(0)), dtype=np.float64) for model in (reference, suspect))
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
            continue
        sides = {"reference": a, "suspect": b}
        for kind in ("centred", "raw"):
            maps = [
                {"drawn": heat(f"{kind} cosines, {caption}", _cosines(sides[down], sides[across], kind), down, across)}
                | {"caption": caption}
                for caption, down, across in (
                    ("within the reference", "reference", "reference"),
                    ("within the suspect", "suspect", "suspect"),
                    ("across", "reference", "suspect"),
                )
            ]
            yield {"title": f"{trait}, {kind}", "maps": maps}


def _cosines(a: Array, b: Array, kind: str) -> list[list[float]]:
    found: list[list[float]] = cosines(a, b, centred=kind == "centred").tolist()
    return found


def _provenance(found: Comparison, when: str) -> list[tuple[str, str, str]]:
    a, b = found.reference, found.suspect
    rows = [
        ("source", _said(a, "source"), _said(b, "source")),
        ("revision", _said(a, "revision"), _said(b, "revision")),
        ("fingerprint (BLAKE3)", a.digest, b.digest),
        ("bytes read", _share(a), _share(b)),
        *((f"note {number + 1}", *notes) for number, notes in enumerate(zip_longest(_notes(a), _notes(b), fillvalue=""))),
    ]
    rows += [("measured with", measured_with(), ""), ("permutations", f"{DRAWS} draws, seed {SEED:#x}", "")]
    return [*rows, *([("made", when, "")] if when else [])]


def measured_with() -> str:
    """Versions of what measured and compared."""
    tools = f"kinprint {__version__}, traits {TRAIT_VERSION}"
    return f"{tools}, numpy {np.__version__}, Python {platform.python_version()}"


def _said(model: Fingerprint, what: str) -> str:
    return printable(model.provenance.get(what) or "–")


def _share(model: Fingerprint) -> str:
    return "all" if model.quick is None else f"{model.quick:.2%} (--quick)"


def _notes(model: Fingerprint) -> list[str]:
    notes = model.provenance.get("notes")
    return [str(note) for note in notes[:20]] if isinstance(notes, list) else []
