"""What tests of models that only answer say about the models of a zoo: head-span, same-endpoint, controls.

    python benchmarks/endpoints.py --zoo ZOO [heads] [orders] [servers] [null] [power] [controls] [rounding]

Without a word all of them. Each prints a table. Models of a zoo are small, so they are run here; `servers` and `power` ask them
through an OpenAI-compatible server on this machine (`tests/model_server.py`).
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
from tables import p as shown
from tokenizers import Tokenizer

from kinprint.blackbox.asking import Asker
from kinprint.blackbox.controls import agreement, questions
from kinprint.blackbox.head_span import head_span, order
from kinprint.blackbox.output_heads import OutputHead, output_head
from kinprint.blackbox.rankings import TOLERANCE, slack
from kinprint.blackbox.same_endpoint import plan, same_endpoint
from kinprint.blackbox.span import Reading, unexplained
from kinprint.blackbox.top_tokens import chosen, top_tokens
from kinprint.observation import shipped
from kinprint.observation.loaded import Loaded
from kinprint.observation.suspects import Served
from kinprint.statistics.paired_agreement import more_often
from kinprint.zoo import Lineage

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from model_server import Manners, served  # noqa: E402

PROMPTS = 8
ORDERED = 60
"""Pairs of either kind whose orders are tried."""

LENGTHS = (20, 48, 96, 120, 144, 192, 384)
ASKED = 2000
"""Prompts of `controls`."""

REPEATS = 4
ALPHA = 1e-6


class Zoo:
    """The models of a zoo, loaded when they are asked for, and what is known of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lineage = folder, Lineage.read(folder)
        self.names = [name for name in self.lineage.members if (folder / name / "model.safetensors").is_file()]
        self._askers: dict[str, Asker] = {}
        self._heads: dict[str, OutputHead] = {}

    def asker(self, name: str) -> Asker:
        if name not in self._askers:
            self._askers[name] = Asker(Loaded(str(self.folder / name)))
        return self._askers[name]

    def head(self, name: str) -> OutputHead:
        if name not in self._heads:
            self._heads[name] = output_head(self.folder / name)
        return self._heads[name]

    def kind(self, reference: str, suspect: str) -> str:
        if reference == suspect:
            return "itself"
        relation = self.lineage.relation(reference, suspect)
        return f"{relation.truth}: {relation.kind.split(' + ')[0] if relation.truth == 'related' else relation.kind}"

    def windows(self, count: int, length: int, seed: int = 1) -> list[str]:
        """Texts of so many tokens, drawn from those that the models were trained on, prose and code."""
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizers" / "main" / "tokenizer.json"))
        rng = np.random.default_rng(seed)
        streams = [np.load(path, mmap_mode="r") for path in sorted((self.folder / "tokens").glob("*.npy"))]
        streams = [stream.reshape(-1) for stream in streams]
        found: list[str] = []
        while len(found) < count:
            stream = streams[int(rng.integers(len(streams)))]
            start = int(rng.integers(len(stream) - length))
            text = tokenizer.decode(list(map(int, stream[start : start + length])))
            if "�" not in text and text.strip():
                found.append(text)
        return found


def heads(zoo: Zoo) -> None:
    """head-span on every ordered pair: what is left, and the verdicts."""
    rows: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for reference, suspect in itertools.product(zoo.names, zoo.names):
        result = head_span(zoo.head(reference), zoo.asker(suspect), shipped().texts[:PROMPTS])
        rows[zoo.kind(reference, suspect)].append((float(result.statistics.get("unexplained") or np.nan), result.verdict))
    print(
        "| pairs | kind | left, smallest | median | largest | same-head | refuted | no-evidence |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for kind, found in sorted(rows.items()):
        left, verdicts = np.array([share for share, _ in found]), Counter(verdict for _, verdict in found)
        sizes = " | ".join(f"{value:.2g}" for value in (np.nanmin(left), np.nanmedian(left), np.nanmax(left)))
        counts = " | ".join(str(verdicts[each]) for each in ("same-head", "refuted", "no-evidence"))
        print(f"| {len(found)} | {kind} | {sizes} | {counts} |")


def orders(zoo: Zoo) -> None:
    """How many of the most likely tokens must be in order for a head to be refuted by one order."""
    rng = np.random.default_rng(1)
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one, other in itertools.product(zoo.names, zoo.names):
        kind = zoo.kind(one, other).partition(":")[0]
        if kind in ("itself", "related", "unrelated") and (one == other or zoo.head(one).tokens == zoo.head(other).tokens):
            pairs[kind].append((one, other))
    print(f"| pairs | kind | {' | '.join(f'{k} tokens' for k in LENGTHS)} |\n|---|---|{'---|' * len(LENGTHS)}")
    for kind, every in pairs.items():
        chosen = [every[i] for i in rng.permutation(len(every))[:ORDERED]]
        refuted = np.zeros(len(LENGTHS), dtype=int)
        for reference, suspect in chosen:
            head = zoo.head(reference)
            ranking = order(head, top_tokens(head, zoo.asker(suspect), shipped().texts[:1]).readings[0])
            full = np.concatenate([ranking, _rest(zoo, head, suspect, ranking)])
            refuted += [slack(head, full[:k]) < -TOLERANCE for k in LENGTHS]
        print(f"| {len(chosen)} | {kind} | {' | '.join(map(str, refuted))} |")


def _rest(zoo: Zoo, head: OutputHead, suspect: str, ranking: np.ndarray) -> np.ndarray:
    """The tokens of a reading behind those of its order."""
    reading = top_tokens(head, zoo.asker(suspect), shipped().texts[:1]).readings[0]
    return np.array([index for index in reading.ids if index not in set(ranking.tolist())], dtype=np.int64)


def servers(zoo: Zoo) -> None:
    """head-span through a server, by what it gives."""
    base, head = "llama-base", zoo.head("llama-base")
    other = zoo.asker("llama-seed1").suspect
    manners = {
        "lists all tokens": Manners(listed=1 << 20),
        "lists 20, takes biases": Manners(),
        "lists 20, takes biases, 3 decimals": Manners(decimals=3),
        "lists 20, takes biases, 2 decimals": Manners(decimals=2),
        "lists 20, ignores biases": Manners(biases=False),
        "lists none": Manners(listed=0),
        "says the same of every token": Manners(constant=-3.0),
        "adds noise of 0.3": Manners(noise=0.3),
        "another model after request 15": Manners(other=other, honest=15),  # type: ignore[arg-type]
    }
    suspects = {name: zoo.asker(name).suspect for name in (base, "llama-lora", "llama-finetune", "llama-seed1")}
    bfloat = Loaded(str(zoo.folder / base), dtype="bfloat16")
    columns = {**suspects, f"{base} in bfloat16": bfloat}
    print(f"| the server | requests | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}")
    for what, how in manners.items():
        verdicts, requests = [], 0
        for model in columns.values():
            with served(model, how) as url:  # type: ignore[arg-type]
                result = head_span(head, Asker(Served(url, "served")), shipped().texts[:2])
            verdicts.append(result.verdict)
            requests = max(requests, result.requests)
        print(f"| {what} | {requests} | {' | '.join(verdicts)} |")


def null(zoo: Zoo) -> None:
    """p-values where the null hypothesis of same-endpoint holds: a model against itself, other seeds."""
    equal, ranks = [], []
    for number, name in enumerate(zoo.names):
        texts = zoo.windows(10 * REPEATS, 24, seed=number)
        for repeat in range(REPEATS):
            asked = plan(texts[10 * repeat : 10 * repeat + 10], samples=5, tokens=8)
            result = same_endpoint(zoo.asker(name), zoo.asker(name), asked)
            equal.append(float(result.statistics["log10 p of the discrepancy"] or 0))
            ranks.append(float(result.statistics["log10 p of the ranks"] or 0))
    print("| test | pairs | p ≤ 0.01 | p ≤ 0.05 | p ≤ 0.2 | p ≤ 0.5 | smallest |\n|---|---|---|---|---|---|---|")
    for test, logs in (("discrepancy", equal), ("ranks", ranks)):
        values = 10 ** np.array(logs)
        shares = " | ".join(f"{np.mean(values <= level):.3f}" for level in (0.01, 0.05, 0.2, 0.5))
        print(f"| {test} | {len(values)} | {shares} | {values.min():.2g} |")


def power(zoo: Zoo) -> None:
    """same-endpoint against what an endpoint may serve instead, through a server that gives log-probabilities of texts."""
    base = "llama-base"
    reference, asked = zoo.asker(base), plan(zoo.windows(60, 24, seed=99), samples=10, tokens=8)
    path = str(zoo.folder / base)
    serve: dict[str, tuple[Callable[[], Loaded], Manners]] = {"the same": (lambda: Loaded(path), Manners())}
    serve["the same, no log-probabilities"] = lambda: Loaded(path), Manners(echo=False)
    serve["in bfloat16"] = lambda: Loaded(path, dtype="bfloat16"), Manners()
    for temperature in (0.9, 0.7):
        serve[f"temperature {temperature}"] = lambda: Loaded(path), Manners(temperature=temperature)
    for name in zoo.names:
        if name in OTHERS:
            serve[name] = (lambda name=name: Loaded(str(zoo.folder / name))), Manners()  # type: ignore[misc]
    print(
        "| served instead of llama-base | verdict | p, discrepancy | p, ranks | log-probabilities apart | p, as close |\n"
        "|---|---|---|---|---|---|"
    )
    for what, (load, how) in serve.items():
        with served(load(), how) as url:
            result = same_endpoint(reference, Asker(Served(url, "served")), asked)
        found = result.statistics
        apart = found.get("log-probabilities apart")
        cells = [shown(_number(found.get(f"log10 p of the {test}"))) for test in ("discrepancy", "ranks")]
        cells += ["–" if apart is None else f"{apart:.2g}", shown(_number(found.get("log10 p that another's are as close")))]
        print(f"| {what} | {result.verdict} | {' | '.join(cells)} |", flush=True)


OTHERS = (
    "llama-int4", "llama-lora", "llama-merged-ties", "llama-finetune", "llama-finetune-permute", "llama-long", "llama-student",
    "llama-seed1", "gpt2-base",
)  # fmt: skip


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def controls(zoo: Zoo) -> None:
    """controls on every ordered pair: against all founders that are kin of neither."""
    asked = questions(zoo.windows(ASKED, 20))
    said = {name: zoo.asker(name).ask(asked) for name in zoo.names}
    agree = {(a, b): agreement(said[a], said[b]) for a, b in itertools.product(zoo.names, zoo.names)}
    founders = [name for name in zoo.names if zoo.lineage.members[name].kind == "base"]
    rows: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for reference, suspect in itertools.product(zoo.names, zoo.names):
        others = [name for name in founders if _stranger(zoo, name, suspect) and _stranger(zoo, name, reference)]
        if reference == suspect or not others:
            continue
        log10_p = max(more_often(agree[suspect, reference], agree[suspect, other]) for other in others)
        above = sum(agree[suspect, other].mean() >= agree[suspect, reference].mean() for other in others)
        rank = (1 + int(above)) / (1 + len(others))
        rows[zoo.kind(reference, suspect)].append((log10_p, rank, len(others)))
    print(
        "| pairs | kind | controls | median p | closer at 0.05 | closer at 1e-6 | reference first of all |\n"
        "|---|---|---|---|---|---|---|"
    )
    for kind, found in sorted(rows.items()):
        logs = np.array([log10_p for log10_p, _, _ in found])
        counts = [int((logs <= np.log10(level)).sum()) for level in (0.05, ALPHA)]
        first = sum(rank <= 1 / (1 + others) for _, rank, others in found)
        used = sorted({others for _, _, others in found})
        cells = [f"{used[0]}-{used[-1]}", shown(float(np.median(logs))), *map(str, counts), str(first)]
        print(f"| {len(found)} | {kind} | {' | '.join(cells)} |")


def rounding(zoo: Zoo) -> None:
    """What a head leaves of answers of its own model that were rounded, or made by a rounded copy of it."""
    print("| what is rounded | left, smallest | largest |\n|---|---|---|")
    kinds: dict[str, list[float]] = defaultdict(list)
    for name in zoo.names:
        if zoo.lineage.members[name].kind != "base":
            continue
        head = zoo.head(name)
        readings = [chosen(head, each) for each in top_tokens(head, zoo.asker(name), shipped().texts[:PROMPTS]).readings]
        rows = head.rows.astype(np.float64)
        for reading in readings:
            ids, values = reading.ids, reading.values
            columns = np.c_[rows[ids], np.ones(len(ids))]
            state = np.linalg.lstsq(columns, values, rcond=None)[0][:-1]
            logits = rows[ids] @ state
            answers = {"logits, to bfloat16": logits.astype(ml_dtypes.bfloat16).astype(np.float64)}
            for bits in (8, 4):
                step = np.abs(rows[ids]).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
                answers[f"rows of the head, to {bits} bits"] = (np.round(rows[ids] / step) * step) @ state
            for what, rounded in answers.items():
                kinds[what].append(unexplained(head, [Reading(ids, rounded)])[0].share)
    for what, shares in kinds.items():
        print(f"| {what} | {min(shares):.2g} | {max(shares):.2g} |")


def _stranger(zoo: Zoo, one: str, other: str) -> bool:
    return one != other and zoo.lineage.relation(one, other).truth == "unrelated"


PARTS: dict[str, Callable[[Zoo], None]] = {
    "heads": heads, "orders": orders, "servers": servers, "null": null, "power": power, "controls": controls,
    "rounding": rounding,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zoo", type=Path, required=True)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which tables; all by default")
    options = parser.parse_args(arguments)
    zoo = Zoo(options.zoo)
    for name in options.parts or PARTS:
        PARTS[name](zoo)
        print()


if __name__ == "__main__":
    main()
