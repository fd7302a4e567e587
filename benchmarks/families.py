"""Every text type that the installed transformers knows, tiny: is it read rightly, and are its copies told from look-alikes?

    python benchmarks/families.py --keep families [--types llama,t5] [--json FILE] [--markdown FILE] [--every]

For each type a tiny random model is built, without a network (`tiny_models`), and the reading of its file is held against what
its modules say (`tiny_truths`): layers, heads, what norms add to their gains, which way matrices lie. Then files are made of it
(`tiny_variants`) and compared with it: what holds the same weights has to be `identical` whatever it is called and wrapped in,
what differs in one tensor must not be, a noisy child has to be `related`, a model from another seed never.

With --keep a second run builds nothing anew. The exit code is 1 if a truth is violated. A type that is refused violates none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tiny_models
import tiny_truths
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from safetensors.numpy import load_file
from tiny_truths import truths
from tiny_variants import Truth, Variant, variants

from kinprint import compare, fingerprint
from kinprint.architectures import Anatomy, OpenModel, open_model
from kinprint.errors import KinprintError
from kinprint.fingerprints import Fingerprint

RIGHT: dict[Truth, tuple[str, ...]] = {
    "identical": ("identical",),
    "related": ("related",),
    "stranger": ("no-evidence", "untestable"),
    "not identical": ("related", "no-evidence", "untestable", "refused"),
}
"""The verdicts that a truth allows."""

UNTESTABLE = "untestable"

FALSE_TYPE = ("type llama", "type qwen2")
"""Pairs whose second has the type of another family."""

FIGURES = "<!-- figures of benchmarks/families.py -->"
"""Behind this line a page has what the command found."""


def quiet() -> None:
    """Nothing of transformers on the terminal: defaults of dozens of types warn of themselves."""
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


# --- building


def built(kind: str, folder: Path) -> dict[str, Any]:
    """A model, the same saved again, and one from another seed, in `base`, `again`, `other`; what is true of the first.

    Raises:
        Exception: whatever transformers raises where such a model cannot be built.
    """
    said = folder / "truths.json"
    recipe = _recipe()
    if said.exists() and (found := json.loads(said.read_text())).get("recipe") == recipe:
        return dict(found)
    shutil.rmtree(folder, ignore_errors=True)
    model = tiny_models.build(kind, seed=0)
    model.save_pretrained(folder / "base")
    stored = load_file(folder / "base" / "model.safetensors")
    found = {"recipe": recipe, **truths(model, stored)}
    tiny_models.build(kind, seed=1).save_pretrained(folder / "other")
    found["again"] = _saved_again(type(model), folder, stored)
    said.write_text(json.dumps(found))
    return found


@cache
def _recipe() -> str:
    """What models are built with: kept ones of another recipe are built anew."""
    import transformers

    sources = (Path(module.__file__ or "").read_text() for module in (tiny_models, tiny_truths))
    return hashlib.sha256("\n".join((transformers.__version__, *sources)).encode()).hexdigest()


def _saved_again(cls: Any, folder: Path, stored: dict[str, np.ndarray]) -> str:
    """Loads and saves; "" if transformers itself keeps every weight, else what it does."""
    try:
        cls.from_pretrained(folder / "base").save_pretrained(folder / "again")
        copy = load_file(folder / "again" / "model.safetensors")
    except Exception as error:
        return f"transformers cannot load what it saved: {_short(error)}"
    changed = [
        name for name, array in copy.items() if name in stored and not np.array_equal(array, stored[name], equal_nan=True)
    ]
    missing = sorted(stored.keys() ^ copy.keys())
    return f"transformers saves another model: {', '.join((changed + missing)[:3])}" if changed or missing else ""


# --- reading


def reading(opened: OpenModel, true: dict[str, Any]) -> dict[str, Any]:
    """How a model was read, and where that contradicts what is true of it."""
    anatomy = opened.anatomy
    sizes = {name: math.prod(tensor.shape) for name, tensor in opened.checkpoint.tensors.items()}
    whole = sum(size for name, size in sizes.items() if name not in anatomy.buffers)
    with_a_role = sum(math.prod(part.shape) for part in anatomy.parts)
    facts = anatomy.facts
    return {
        "family": anatomy.family,
        "by": "inferred" if anatomy.family == "inferred" else "guess" if anatomy.guessed else "table",
        "why": anatomy.why,
        "share": with_a_role / whole if whole else 0.0,
        "without": dict(Counter(anatomy.others.values()).most_common(6)),
        "unknown": len(anatomy.unknown),
        "unknown_names": list(anatomy.unknown[:8]),
        "facts": {key: facts.get(key) for key in (
            "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "positions", "norm", "rotary_dim",
            "rotary_pairs", "layer_kinds")},
        "gains": sum(part.role.startswith("gains.") for part in anatomy.parts),
        "misread": misread(opened, true),
    }  # fmt: skip


def misread(opened: OpenModel, true: dict[str, Any]) -> list[str]:
    """What a reading says that is not true, in words."""
    anatomy = opened.anatomy
    facts, wrong = anatomy.facts, []
    for fact, key in (
        ("num_hidden_layers", "layers"),
        ("num_attention_heads", "heads"),
        ("num_key_value_heads", "kv_heads"),
        ("head_dim", "head_dim"),
    ):
        if fact in facts and true[key] and facts[fact] not in true[key]:
            wrong.append(f"{fact} {facts[fact]}, the model has {' or '.join(map(str, true[key]))}")
    if true["rotary"] and facts.get("rotary_dim") is not None and facts["rotary_dim"] not in true["rotary"]:
        wrong.append(f"rotary_dim {facts['rotary_dim']}, the model has {' or '.join(map(str, true['rotary']))}")
    pairs = facts.get("rotary_pairs")
    if pairs is not None and true["interleaved"] is not None and (pairs == "interleaved") != true["interleaved"]:
        wrong.append(f"rotary_pairs {pairs}")
    if facts.get("positions") in ("learned", "none", "sinusoidal", "alibi") and true["rotary"]:
        wrong.append(f"positions {facts['positions']}, the model rotates")
    wrong += dict.fromkeys(word for part in anatomy.parts for word in _wrong_part(part, opened, anatomy, true))
    return wrong


def _wrong_part(part: Any, opened: OpenModel, anatomy: Anatomy, true: dict[str, Any]) -> Iterable[str]:
    tensor = opened.checkpoint.tensors[part.tensor]
    name = getattr(tensor, "name", part.tensor)
    kind = f"{part.role} ({part.tensor if part.layer is None else part.tensor.replace(f'.{part.layer}.', '.N.')})"
    if part.role.startswith("gains."):
        stored = np.asarray(tensor.read(), np.float32).reshape(-1)
        if name in true["added"] and stored.shape == part.shape:
            added = float(np.median(part.read().astype(np.float32) - stored))
            if abs(added - true["added"][name]) > 1e-3:
                yield f"{kind}: {added:+.0f} where the module adds {true['added'][name]:.0f}"
        norm = true["norms"].get(name)
        if norm and part.role in ("gains.input", "gains.post_attention", "gains.final") and norm != anatomy.facts["norm"]:
            yield f"{kind}: norm {anatomy.facts['norm']}, the module's is {norm}"
    elif len(part.shape) == 2 and name in true["shapes"] and tuple(true["shapes"][name])[1] != part.shape[1]:
        yield f"{kind}: {part.shape[1]} inputs where the module has {true['shapes'][name][1]}"


# --- comparing


def outcome(base: Fingerprint, variant: Variant, true: dict[str, Any], known: Iterable[str] = ()) -> dict[str, Any]:
    """The verdict about a pair, whether its truth allows it (None for a descendant that no test applies to), and how the second
    was misread.

    Args:
        known: what was misread of the first already.
    """
    tested = variant.truth in ("related", "stranger")
    wrong: list[str] = []
    try:
        opened = open_model(variant.place)
        if variant.truth == "identical":
            wrong = [word for word in misread(opened, true) if word not in known]
        found = compare(base, fingerprint(opened, cache=False, threads=1), **({} if tested else {"methods": []}))
    except KinprintError as error:
        verdict, said = "refused", str(error)
    except Exception as error:
        verdict, said = "crash", _short(error)
    else:
        verdict = found.verdict
        said = "" if verdict == "identical" else "; ".join(each.words() for each in found.content.differences)
        said = said or ("the weights with a role are not the same" if variant.truth == "identical" != verdict else "")
    right: bool | None = verdict in RIGHT[variant.truth]
    if variant.truth == "related" and verdict == UNTESTABLE:
        right = None
    return {"pair": variant.name, "truth": variant.truth, "verdict": verdict, "right": right, "said": said,
            "detail": variant.detail, "misread": wrong}  # fmt: skip


def swept(kind: str, folder: Path, *, every: bool) -> dict[str, Any]:
    """All that is found out about a type."""
    start = time.perf_counter()
    result: dict[str, Any] = {"type": kind, "status": "not built", "why": "", "reading": None, "pairs": []}
    try:
        true = built(kind, folder)
    except Exception as error:
        return {**result, "why": _short(error)}
    try:
        opened = open_model(folder / "base")
        result["reading"] = reading(opened, true)
        base = fingerprint(opened, cache=False, threads=1)
    except KinprintError as error:
        return {**result, "status": "refused", "why": str(error).removeprefix(f"{folder / 'base'}: ")}
    except Exception as error:
        return {**result, "status": "crash", "why": _short(error)}
    anatomy = opened.anatomy
    wrong = result["reading"]["misread"]
    kept = [Variant("saved again", "identical", folder / "again")] if not true["again"] else []
    kept += [Variant("other seed", "stranger", folder / "other")]
    with tempfile.TemporaryDirectory() as work:
        roles = sorted({part.tensor for part in anatomy.parts})
        made = variants(folder / "base", Path(work), roles, sorted(anatomy.others), true["tied"], every=every)
        pairs = [outcome(base, variant, true, wrong) for variant in chain(kept, made)]
    return {**result, "status": "read", "again": true["again"], "pairs": pairs, "seconds": time.perf_counter() - start}


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[-2:])}"[:240]


# --- what came out


def violations(result: dict[str, Any]) -> list[str]:
    """Truths that were violated, in words. What a model is misread as under the type of another family is none: where tensors
    do not contradict it, the type is all that there is."""
    found = [f"misread: {word}" for word in (result["reading"] or {}).get("misread", ())]
    if result["status"] == "crash":
        found.append(f"crash: {result['why']}")
    for pair in result["pairs"]:
        if pair["right"] is False:
            what = f" ({pair['detail']})" if pair["detail"] else ""
            found.append(f"{pair['pair']}{what}: {pair['verdict']}{': ' + pair['said'] if pair['said'] else ''}")
        if pair["misread"] and not pair["pair"].startswith(FALSE_TYPE):
            found.append(f"{pair['pair']}, misread: {', '.join(pair['misread'])}")
    return found


def right(result: dict[str, Any]) -> bool:
    return result["status"] == "read" and not violations(result)


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a sweep."""
    tried = [result for result in results if result["status"] != "not built"]
    read = [result for result in tried if result["reading"] is not None]
    pairs: dict[str, Counter[str]] = {}
    for result in read:
        for pair in result["pairs"]:
            pairs.setdefault(pair["pair"], Counter())[pair["verdict"]] += 1
    return {
        "types": len(results),
        "built": len(tried),
        "refused": sum(result["status"] == "refused" for result in tried),
        "by": dict(Counter(result["reading"]["by"] for result in read)),
        "misread": sum(bool(result["reading"]["misread"]) for result in read),
        "copies misread": sum(
            bool(pair["misread"]) and not pair["pair"].startswith(FALSE_TYPE) for result in read for pair in result["pairs"]
        ),
        "believed a false type": sum(
            bool(pair["misread"]) and pair["pair"].startswith(FALSE_TYPE) for result in read for pair in result["pairs"]
        ),
        "right": sum(right(result) for result in tried),
        "share": float(np.mean([result["reading"]["share"] for result in read])) if read else 0.0,
        "false identical": sum(pair["verdict"] == "identical" != pair["truth"] for r in read for pair in r["pairs"]),
        "untestable children": sum(pair["right"] is None for r in read for pair in r["pairs"]),
        "pairs": {name: dict(counts) for name, counts in pairs.items()},
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> Table:
    shown = Table("type", "read", "as", "roles", "pairs right", "violated", expand=False)
    for result in results:
        read, wrong = result["reading"], violations(result)
        counted = [pair["right"] for pair in result["pairs"]]
        shown.add_row(
            result["type"],
            read["by"] if read else result["status"],
            read["family"] if read else "",
            f"{100 * read['share']:.0f} %" if read else "",
            f"{sum(value is not False for value in counted)} of {len(counted)}" if counted else "",
            "; ".join(wrong)[:160] if wrong else ("" if result["status"] == "read" else result["why"][:160]),
            style="red" if wrong else "" if result["status"] == "read" else "yellow",
        )
    return shown


def lines_of(figures: dict[str, Any]) -> list[str]:
    by = ", ".join(f"{count} by {kind}" for kind, count in figures["by"].items()).replace("by inferred", "inferred")
    return [
        f"{figures['built']} of {figures['types']} types could be built; {figures['refused']} of them are refused, "
        f"the others read: {by}.",
        f"{figures['right']} types are right in everything; {figures['misread']} are misread, and "
        f"{figures['copies misread']} copies; {figures['false identical']} pairs are falsely identical.",
        f"{figures['believed a false type']} renamed copies are read with numbers or norms of the type that they claim.",
        f"{100 * figures['share']:.0f} % of the parameters of a type that is read have a role, on average.",
    ]


def markdown(results: list[dict[str, Any]], figures: dict[str, Any], version: str) -> str:
    """The figures as they stand in the documentation."""
    order = ("identical", "related", "no-evidence", "untestable", "refused", "crash")
    truth_of = {pair["pair"]: pair["truth"] for result in results for pair in result["pairs"]}
    rows = [f"With transformers {version}. {' '.join(lines_of(figures))}", ""]
    rows += [f"| pair | truth | {' | '.join(order)} |", f"|---|---|{'---:|' * len(order)}"]
    rows += [
        f"| {name} | {truth_of[name]} | {' | '.join(str(counts.get(verdict, '')) for verdict in order)} |"
        for name, counts in figures["pairs"].items()
    ]
    rows += ["", "| type | read | as | parameters with a role | what is wrong |", "|---|---|---|---:|---|"]
    for result in results:
        read = result["reading"]
        said = "; ".join(violations(result)) or ("" if result["status"] == "read" else result["why"])
        cells = (read["by"], f"`{read['family']}`", f"{100 * read['share']:.0f} %") if read else (result["status"], "", "")
        rows.append(f"| `{result['type']}` | {' | '.join(cells)} | {_cell(said)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())[:300]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", help="some types only, with commas between them")
    parser.add_argument("--keep", type=Path, help="where built models are kept, and found")
    parser.add_argument("--json", type=Path, help="where all that was found is written")
    parser.add_argument("--markdown", type=Path, help="where the figures are written as they stand in the documentation")
    parser.add_argument("--every", action="store_true", help="look-alikes of every kind of tensor, not of two")
    parser.add_argument("--text-only", action="store_true", help="without types that read images or sound besides")
    arguments = parser.parse_args()
    quiet()
    import transformers

    known = tiny_models.types(wrappers=not arguments.text_only)
    kinds = arguments.types.split(",") if arguments.types else known
    if strange := sorted(set(kinds) - set(tiny_models.types())):
        parser.error(f"transformers {transformers.__version__} knows no text type {', '.join(strange)}")
    console = Console()
    results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as place, Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(kinds))
        for kind in kinds:
            progress.update(task, description=kind)
            results.append(swept(kind, (arguments.keep or Path(place)) / kind, every=arguments.every))
            progress.advance(task)
            if arguments.json:
                said = {"transformers": transformers.__version__, "summary": summary(results), "types": results}
                arguments.json.write_text(json.dumps(said, indent=1, default=str))
    figures = summary(results)
    console.print(table(results))
    for line in lines_of(figures):
        console.print(line)
    if arguments.markdown:
        before = arguments.markdown.read_text().partition(FIGURES)[0] if arguments.markdown.exists() else ""
        arguments.markdown.write_text(f"{before}{FIGURES}\n{markdown(results, figures, transformers.__version__)}")
    return 1 if any(violations(result) for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
