"""What `palimpsest` sees of a training run in its descendants, and how its p-values spread over strangers.

    python benchmarks/palimpsest.py exact
    python benchmarks/palimpsest.py strangers --zoo zoo-tiny --answers answers
    python benchmarks/palimpsest.py power --zoo zoo-small --answers answers [--only MEMBER...] [--served llama-finetune]
    python benchmarks/palimpsest.py writing --zoo zoo-tiny --answers answers [--only MEMBER...]

`exact` draws random orders. `strangers` holds every transcript of a zoo against every member whose line never read these
windows in this order, nor learned from one that did. `power` holds the transcript of llama-base against its descendants, with
and without a control model. `writing` asks models for texts alone, at several temperatures, each about the order that it read
itself and about the order of a model that it has nothing to do with. Answers are kept in a folder, so that a run that was cut
goes on. Members that are not built are left out.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tables
from completion_server import serving
from scipy.stats import kstest, norm

from kinprint.blackbox.asking import Asker
from kinprint.blackbox.palimpsest import palimpsest, palimpsest_of_writing
from kinprint.blackbox.result import BlackBoxResult
from kinprint.blackbox.transcripts import Transcript, read_transcript
from kinprint.observation.kept_answers import KeptAnswers
from kinprint.observation.loaded import Loaded
from kinprint.observation.suspects import Served
from kinprint.statistics.concordance import rising
from kinprint.zoo import Lineage
from kinprint.zoo.recipes import Recipe, Train, Transform, recipes
from kinprint.zoo.transcripts import own_training, write_transcript

ORDERS, TEXTS = 1000, 1000
"""Random orders that are drawn, and of how many texts."""

TRANSCRIPT, CONTROL = "llama-base", "llama-same-start"
"""Whose order is looked for, and the model that read other windows."""

COUNTS = (400, 800, 1600, 3200)
"""Texts that are asked."""

SERVED = 800
"""The same through a server."""

OF_STRANGERS = 240
"""The same of strangers: how many does not matter to what is uniform."""

WRITTEN = (128, 256)
"""Texts that a model is asked to write."""

TEMPERATURES = (0.7, 1.0)
"""At which it writes them."""

Read = tuple[str, int, str]
"""Text, order and tokenizer of a training: equal ones are equal windows in equal order."""


def read_by(recipe: Recipe, everything: dict[str, Recipe]) -> tuple[set[Read], str]:
    """What a member's line read, and its tokenizer; what its teachers and all its parents read counts."""
    seen, tokenizer = set[Read](), "main"
    for parent in recipe.member.parents:
        theirs, tokenizer = read_by(everything[parent], everything)
        seen |= theirs
    for step in recipe.steps:
        tokenizer = step.tokenizer or tokenizer if isinstance(step, Transform) else tokenizer
        if isinstance(step, Train):
            seen.add((step.text, step.order, tokenizer))
            if step.teacher:
                seen |= read_by(everything[step.teacher], everything)[0]
    return seen, tokenizer


def transcripts(zoo: Path) -> Iterator[tuple[str, Read, Transcript]]:
    """Every order of a zoo once, the longest training of each."""
    size = Lineage.read(zoo).size
    everything = {recipe.member.name: recipe for recipe in recipes(size)}
    longest: dict[Read, tuple[float, str]] = {}
    for name, recipe in everything.items():
        step = own_training(recipe)
        if step is not None and (zoo / name).exists():
            key = (step.text, step.order, read_by(recipe, everything)[1])
            longest[key] = max(longest.get(key, (0.0, "")), (step.length, name))
    for key, (_, name) in longest.items():
        with tempfile.TemporaryDirectory() as folder:
            write_transcript(zoo, name, Path(folder) / f"{name}.jsonl")
            yield name, key, read_transcript(Path(folder) / f"{name}.jsonl")


def asker(zoo: Path, name: str, transcript: str, answers: Path, *, loaded: dict[str, Loaded]) -> Asker:
    """A member, whose answers about one transcript are in a file."""
    if name not in loaded:
        loaded.clear()
        loaded[name] = Loaded(str(zoo / name), batch=64)
    model = loaded[name]
    model.name = name
    return Asker(model, KeptAnswers(answers / f"{zoo.name}-{transcript}-{name}.jsonl", name))


def exact() -> None:
    rng = np.random.default_rng(0)
    found = np.array([10 ** rising(rng.permutation(TEXTS)).log10_p for _ in range(ORDERS)])
    print(_spread(f"{ORDERS:,} random orders of {TEXTS:,} texts", found))


def strangers(zoo: Path, answers: Path) -> None:
    everything = {recipe.member.name: recipe for recipe in recipes(Lineage.read(zoo).size)}
    read = list(transcripts(zoo))
    found, refused = [], 0
    for name in (name for name in everything if (zoo / name).exists()):
        loaded: dict[str, Loaded] = {}
        seen, _ = read_by(everything[name], everything)
        for of, key, transcript in read:
            if key in seen:
                continue
            result = palimpsest(transcript.first(OF_STRANGERS), asker(zoo, name, of, answers, loaded=loaded))
            if result.log10_p is None:
                refused += 1
            else:
                found.append(10**result.log10_p)
    print(_spread(f"{len(found)} pairs of {len(read)} transcripts and models that never read their order", np.array(found)))
    print(f"\n{refused} pairs were untestable.")


def _spread(what: str, found: np.ndarray) -> str:
    shares = " | ".join(f"{(found <= limit).mean():.1%}" for limit in (0.01, 0.05, 0.5))
    rows = ["| p-values of | KS p | smallest | p <= 0.01 | p <= 0.05 | p <= 0.5 |", "|---|---|---|---|---|---|"]
    return "\n".join([*rows, f"| {what} | {kstest(found, 'uniform').pvalue:.2g} | {found.min():.2g} | {shares} |"])


def power(zoo: Path, answers: Path, served: str | None, only: list[str]) -> None:
    size = Lineage.read(zoo).size
    everything = {recipe.member.name: recipe for recipe in recipes(size)}
    with tempfile.TemporaryDirectory() as folder:
        write_transcript(zoo, TRANSCRIPT, Path(folder) / f"{TRANSCRIPT}.jsonl")
        transcript = read_transcript(Path(folder) / f"{TRANSCRIPT}.jsonl")
    own = own_training(everything[TRANSCRIPT])
    assert own is not None
    key = (own.text, own.order, "main")
    counts = sorted({min(count, len(transcript.texts)) for count in COUNTS})
    heads = [*(f"{count:,} texts" for count in counts), *(f"{count:,}, control" for count in counts)]
    print(f"| suspect | how it was made | trained since | {' | '.join(heads)} |\n|---|---|---|{'---|' * len(heads)}")
    control = asker(zoo, CONTROL, TRANSCRIPT, answers, loaded={}) if (zoo / CONTROL).exists() else None
    for name in (name for name in everything if (zoo / name).exists()):
        if everything[name].member.disguise or (only and name not in only):
            continue
        seen = read_by(everything[name], everything)[0]
        suspect = asker(zoo, name, TRANSCRIPT, answers, loaded={})
        cells = []
        for controls in ([], [control] if control is not None and name != CONTROL else None):
            for count in counts:
                result = None if controls is None else palimpsest(transcript.first(count), suspect, controls)
                cells.append("–" if result is None else tables.p(result.log10_p))
        since = _since(everything[name], everything)
        print(f"| {name} | {_relation(zoo, name, key in seen)} | {since:.0%} | {' | '.join(cells)} |", flush=True)
    if served:
        print(f"\n{_through_a_server(zoo, served, transcript.first(SERVED), answers)}")


def _relation(zoo: Path, name: str, knows: bool) -> str:
    lineage = Lineage.read(zoo)
    if name == TRANSCRIPT:
        return "the run itself"
    truth = lineage.relation(TRANSCRIPT, name)
    if truth.truth == "related":
        return truth.kind
    return "trained anew in the same order" if knows else "stranger"


def _since(recipe: Recipe, everything: dict[str, Recipe]) -> float:
    """Steps behind the run, as a share of it."""
    if not recipe.member.parents:
        return 0.0
    own = sum(step.length for step in recipe.steps if isinstance(step, Train))
    return own + _since(everything[recipe.member.parents[0]], everything)


def _through_a_server(zoo: Path, name: str, transcript: Transcript, answers: Path) -> str:
    here = palimpsest(transcript, asker(zoo, name, TRANSCRIPT, answers, loaded={}))
    with serving(str(zoo / name)) as url:
        there: BlackBoxResult = palimpsest(transcript, Asker(Served(url, name)))
    asked = f"{there.requests:,} requests, {there.tokens:,} tokens"
    return f"Through a server, {name} gets log10 p {there.log10_p:.2f} ({asked}); run here, {here.log10_p:.2f}."


def writing(zoo: Path, answers: Path, only: list[str]) -> None:
    """Normal deviates of the test, positive where a model writes what it read late: means over models, by what they know."""
    everything = {recipe.member.name: recipe for recipe in recipes(Lineage.read(zoo).size)}
    orders = [(key, transcript) for name, key, transcript in transcripts(zoo) if not everything[name].member.parents]
    found: dict[tuple[bool, str], list[float]] = {}
    for name, recipe in everything.items():
        if recipe.member.kind != "base" or not (zoo / name).exists() or (only and name not in only):
            continue
        seen, loaded = read_by(recipe, everything)[0], dict[str, Loaded]()
        for key, transcript in orders:
            suspect = asker(zoo, name, "-".join(map(str, key)), answers, loaded=loaded)
            suspect.suspect.batch = 256
            found.setdefault((key in seen, "log-probabilities"), []).append(_z(palimpsest(transcript, suspect)))
            for temperature in TEMPERATURES:
                for count in WRITTEN:
                    written = asker(zoo, name, "writing", answers, loaded=loaded)
                    result = palimpsest_of_writing(transcript, written, count, temperature=temperature)
                    found.setdefault((key in seen, f"{count} texts at {temperature}"), []).append(_z(result))
    print("| asked | models | its own order: mean z | largest | p <= 0.05 | another order: mean z | largest | p <= 0.05 |")
    print("|---|---|---|---|---|---|---|---|")
    for what in dict.fromkeys(what for _, what in found):
        cells = [cell for knows in (True, False) for cell in _deviates(np.array(found[knows, what]))]
        print(f"| {what} | {len(found[True, what])} | {' | '.join(cells)} |")


def _z(result: BlackBoxResult) -> float:
    value = result.statistics.get("z")
    assert isinstance(value, float), result.sentence
    return value


def _deviates(z: np.ndarray) -> tuple[str, ...]:
    return f"{z.mean():.2f}", f"{z.max():.2f}", str(int((z >= norm.isf(0.05)).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("exact", "strangers", "power", "writing"))
    parser.add_argument("--zoo", type=Path)
    parser.add_argument("--answers", type=Path, default=Path("palimpsest-answers"))
    parser.add_argument("--only", nargs="+", help="members that are examined; all that are built by default")
    parser.add_argument("--served", help="a member that is asked through a server, too")
    options = parser.parse_args()
    options.answers.mkdir(exist_ok=True)
    if options.what == "exact":
        exact()
    elif options.what == "strangers":
        strangers(options.zoo, options.answers)
    elif options.what == "writing":
        writing(options.zoo, options.answers, options.only or [])
    else:
        power(options.zoo, options.answers, options.served, options.only or [])


if __name__ == "__main__":
    main()
