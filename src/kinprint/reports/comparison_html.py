"""A comparison as one HTML page that needs no network: a verdict on top, what an engineer checks further down."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from kinprint import methods as registry
from kinprint._version import __version__
from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import Comparison
from kinprint.comparison.parts import parameters
from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.methods import Evidence
from kinprint.reports import comparison_words as words
from kinprint.reports.comparison_figures import Share, Source, bars, composition, layer_map
from kinprint.reports.comparison_null import null_picture
from kinprint.reports.comparison_profiles import familiar, layer_maps
from kinprint.reports.pages import page
from kinprint.statistics.relabelling import SEED
from kinprint.statistics.tails import DRAWS


def comparison_html(
    comparison: Comparison,
    *,
    command: str,
    files: Mapping[str, Sequence[FileHash]] | None = None,
    when: str = "",
    case: str = "",
    author: str = "",
    home: str = "",
) -> str:
    """The page.

    Args:
        comparison: the pair and all evidence about it.
        command: what to type to find it again.
        files: "reference", "suspect" -> their files with digests, where the files are at hand.
        when: date and time of the comparison, as the page shall show it.
        case, author: what and who stand on top of the page, if anything.
        home: where a link in front of the page leads, on a server; without it there is none.
    """
    depth = int(comparison.reference.layers or 0)
    return page(
        "comparison.html",
        reference=_side(comparison.reference, "reference", files),
        suspect=_side(comparison.suspect, "suspect", files),
        about=comparison.about,
        verdict=comparison.verdict,
        sentence=comparison.sentence(),
        means=words.MEANS[comparison.verdict],
        means_not=[*words.MEANS_NOT[comparison.verdict], *([comparison.fabrication] if comparison.fabrication else [])],
        disguise=", ".join(next((item.disguise for item in comparison.tests if item.disguise), ())),
        applied=sum(item.applies for item in comparison.tests),
        alpha=words.scientific(math.log10(comparison.alpha)),
        tests=[words.test(item, _null(item)) for item in comparison.tests],
        null=null_picture(comparison.tests, comparison.alpha),
        parts=[words.part(item) for item in comparison.parts],
        composition=composition("Parts of the suspect", shares(comparison)) if comparison.parts else None,
        components=[
            {"what": what, "tests": [words.test(item, _null(item)) for item in each.tests]}
            for what, each in comparison.components.items()
        ],
        layer_map=layer_map("Map of layers", sources, depth) if (sources := _sources(comparison)) else None,
        layers=[words.layer(item) for item in comparison.layers],
        layer_lines=[
            *(words.layers(comparison.layers, depth) if comparison.layers else []),
            *words.experts(comparison.experts),
        ],
        strengths=[_strength(item) for item in comparison.tests if item.applies and item.layers],
        familiar=list(familiar(comparison.reference, comparison.suspect)),
        layer_maps=list(layer_maps(comparison.reference, comparison.suspect)),
        scores=words.scores(comparison),
        reached=words.REACHED,
        unmeasured=words.unmeasured(comparison.scores),
        context=words.context(comparison.context),
        provenance=_provenance(comparison, when),
        home=home,
        command=command,
        case=case,
        author=author,
    )


def _null(item: Evidence) -> str:
    """The null hypothesis of the test that gave it."""
    return next((method.caveat for method in registry.known() if method.name == item.method), "")


def _sources(comparison: Comparison) -> list[Source]:
    """Every layer of the suspect, as it is drawn; by the map alone where nothing is known of single layers."""
    if comparison.layers:
        return [Source(item.sources, item.state, f"suspect layer {item.layer}: {item.words()}") for item in comparison.layers]
    mapped = enumerate(comparison.layer_map or ())
    return [
        Source((source,), "shared", f"suspect layer {index} comes from reference layer {source}") for index, source in mapped
    ]


def shares(comparison: Comparison) -> list[Share]:
    """The parts of the suspect that something is known of, each with its share of their parameters."""
    found = []
    for item in comparison.parts:
        compared = comparison.components.get(item.part)
        size = parameters(comparison.suspect, item.part) if compared is None else compared.suspect.stated.parameters or 0
        found.append(Share(item.part, float(size), item.state, words.PART[item.state]))
    return found


def _side(model: Fingerprint, side: str, files: Mapping[str, Sequence[FileHash]] | None) -> dict[str, Any]:
    return {"name": model.name, "files": list((files or {}).get(side, ()))}


def _strength(item: Evidence) -> dict[str, Any]:
    assert item.layers is not None
    return {
        "drawn": bars(f"{item.method} by layer", item.layers, "layer of the suspect"),
        "caption": f"{item.method}: z by layer of the suspect. Of independent models it is within 3 of zero nearly always.",
    }


def _provenance(comparison: Comparison, when: str) -> list[tuple[str, str, str]]:
    a, b = comparison.reference, comparison.suspect
    rows = [
        ("source", _stated(a, "source"), _stated(b, "source")),
        ("revision", _stated(a, "revision"), _stated(b, "revision")),
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


def _stated(model: Fingerprint, what: str) -> str:
    return printable(model.provenance.get(what) or "–")


def _share(model: Fingerprint) -> str:
    return "all" if model.quick is None else f"{model.quick:.2%} (--quick)"


def _notes(model: Fingerprint) -> list[str]:
    notes = model.provenance.get("notes")
    return [str(note) for note in notes[:20]] if isinstance(notes, list) else []
