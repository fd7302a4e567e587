"""kinprint and other tools that say whether a model was made from another, on the same pairs: found, accused, seconds, memory.

    git clone https://github.com/LUMIA-Group/AWM                             # awm/bin/pip install -r AWM/requirements.txt
    git clone https://github.com/cisco-ai-defense/model-provenance-kit       # its dependencies in mpk (Python 3.12)
    python -m venv ws && ws/bin/pip install weightscope==0.4.3
    python benchmarks/peers.py FOLDER --zoo zoo --released smollm2.gguf gemma3.gguf minilm --markdown docs/peers.md \\
        --awm AWM --awm-python awm/bin/python --mpk model-provenance-kit --mpk-python mpk/bin/python --weightscope ws/bin/python

Every peer runs under its own interpreter, in one process that stays (`peer_workers`), with one thread and offline. Both models
are read anew for every pair, by every tool; seconds are processor time without imports. A peer that is not given is left
out. FOLDER keeps every answer, so that a run that was stopped goes on, and the descendants of released models.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from peer_pairs import Asked, of_released, of_zoo
from peer_workers.protocol import commit
from tables import marked

from kinprint.benchmark import Pair
from kinprint.benchmark.measures import above_all, reaching

MARK = "<!-- figures of benchmarks/peers.py -->\n"
WORKERS = Path(__file__).parent / "peer_workers"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """When a tool accuses.

    Attributes:
        head: of a column.
        text: the rule, for a reader.
        ranks: the score that pairs are ranked by, for what is found while nobody is accused.
        key: what the rule looks at, a score or a word.
        above: a score accuses above it.
        words: a word accuses if it is one of these.
    """

    head: str
    text: str
    ranks: str
    key: str
    above: float | None = None
    words: frozenset[str] = frozenset()

    def accuses(self, said: Row) -> bool:
        value = said.get(self.key)
        return value in self.words if self.above is None else value is not None and value > self.above


@dataclass(frozen=True)
class Tool:
    """A tool, the file that runs it, the rules by which it accuses, and whether it is asked about zoos alone."""

    name: str
    worker: str
    rules: tuple[Rule, ...]
    zoos_only: bool = False


AWM_WEAKEST = 0.00375 + 12.14 * 0.0028
"""The least z that AWM's README lists for a related pair, as a similarity. AWM gives no threshold."""

CONFIRMED, HIGH, WEAK = "Confirmed Match", 0.75, 0.65
"""model-provenance-kit's word where the configuration decides, and the limits of its other two matches."""

COMMON_BASE = frozenset({"identical", "lora_like", "targeted_fine_tune", "continued_pretraining", "post_training"})
"""Labels of weightscope that name a common base."""

TOOLS = (
    Tool(
        "kinprint",
        "kinprint_worker.py",
        (Rule("kinprint", "p ≤ 1e-6 over all tests", "evidence", "verdict", words=frozenset({"related", "identical"})),),
    ),
    Tool(
        "AWM",
        "awm_worker.py",
        (Rule("AWM", f"similarity > {AWM_WEAKEST:.4f} (z > 12.14)", "similarity", "similarity", AWM_WEAKEST),),
    ),
    Tool(
        "AWM's method in kinprint",
        "kinprint_awm_worker.py",
        (Rule("AWM here", f"similarity > {AWM_WEAKEST:.4f} (z > 12.14)", "similarity", "similarity", AWM_WEAKEST),),
        zoos_only=True,
    ),
    Tool(
        "model-provenance-kit",
        "mpk_worker.py",
        (
            Rule("MPK confirmed", "Confirmed Match", "pipeline", "decision", words=frozenset({CONFIRMED})),
            Rule("MPK > 0.75", "High-Confidence Match or more (> 0.75)", "pipeline", "pipeline", HIGH),
            Rule("MPK > 0.65", "Weak Match or more (> 0.65)", "pipeline", "pipeline", WEAK),
            Rule("MPK weights > 0.75", "its score of the weights alone > 0.75", "weights", "weights", HIGH),
        ),
    ),
    Tool(
        "weightscope",
        "weightscope_worker.py",
        (
            Rule(
                "weightscope lineage",
                "lineage: derived_from_base or likely_descendant",
                "unchanged",
                "lineage",
                words=frozenset({"derived_from_base", "likely_descendant"}),
            ),
            Rule("weightscope label", "a label that names a common base", "unchanged", "label", words=COMMON_BASE),
        ),
    ),
)


class Worker:
    """A peer in a process of its own that stays; see `peer_workers.protocol`.

    Attributes:
        version: of the peer.
        memory: GiB that its imports took.
    """

    def __init__(self, command: Sequence[str], *, ours: bool = False) -> None:
        self.command, self.ours = list(command), ours
        self._start()

    def _start(self) -> None:
        alone = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        inherited = {key: value for key, value in os.environ.items() if self.ours or key != "PYTHONPATH"}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=inherited | alone
        )
        hello = self._line()
        if hello is None:
            raise SystemExit(f"{' '.join(self.command)} does not start; run it to see why")
        self.version, self.memory = str(hello["version"]), float(hello["memory"])

    def _line(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def ask(self, reference: str, suspect: str) -> dict[str, Any]:
        """The row of a pair. If the worker ends over it, that is its answer, and another is started."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"reference": reference, "suspect": suspect}) + "\n")
        self._process.stdin.flush()
        row = self._line()
        if row is None:
            row = {"no_answer": f"the process ended ({self._process.wait()})"}
            self.close()
            self._start()
        return row

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Kept:
    """Answers in a file of JSON lines, one a pair and version of a tool. A line that was not written to its end is dropped."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text() if file.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            file.write_text(whole)
        self.rows = {self._key(row): row for row in map(json.loads, whole.splitlines())}

    @staticmethod
    def _key(row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in ("tool", "version", "set", "reference", "suspect"))

    def of(self, tool: str, version: str, asked: str, pair: Pair) -> Row | None:
        return self.rows.get((tool, version, asked, pair.reference, pair.suspect))

    def add(self, row: Row) -> None:
        self.rows[self._key(row)] = row
        with self.file.open("a") as lines:
            lines.write(json.dumps(row) + "\n")


def answers(tool: str, worker: Worker, asked: Asked, kept: Kept) -> dict[Pair, Row]:
    """What a tool says of every pair: what was kept of this version, and the rest now."""
    found = {}
    for pair in asked.pairs.pairs:
        row = kept.of(tool, worker.version, asked.name, pair)
        if row is None:
            said = worker.ask(asked.pairs.models[pair.reference], asked.pairs.models[pair.suspect])
            about = {"tool": tool, "version": worker.version, "set": asked.name, "imports": worker.memory}
            row = {**about, "reference": pair.reference, "suspect": pair.suspect, **said}
            kept.add(row)
        found[pair] = row
    return found


def standing(tool: Tool, rows: Mapping[Pair, Row]) -> list[str]:
    """The lines of a tool in the first table, one a rule."""
    said = {pair: row.get("said") for pair, row in rows.items()}
    silent = sum(value is None for value in said.values())
    seconds = [row["seconds"] for row in rows.values() if "said" in row]
    memory = max((row["memory"] for row in rows.values() if "memory" in row), default=0.0)
    cost = [f"{median(seconds):.2g}" if seconds else "–", f"{memory:.2f} ({min(row['imports'] for row in rows.values()):.2f})"]
    lines = []
    for number, rule in enumerate(tool.rules):
        ranked, called = (
            {
                truth: [of(value) if value is not None else None for pair, value in said.items() if pair.truth == truth]
                for truth in ("related", "unrelated")
            }
            for of in (lambda value, rule=rule: value.get(rule.ranks), lambda value, rule=rule: float(rule.accuses(value)))
        )
        clean = above_all(ranked["related"], ranked["unrelated"])
        cells = [share(clean), share(reaching(called["related"], 1.0)), share(reaching(called["unrelated"], 1.0))]
        rest = [str(silent), *cost] if number == 0 else ["", "", ""]
        lines.append(f"| {' | '.join([tool.name if number == 0 else '', rule.text, *cells, *rest])} |")
    return lines


def share(counted: tuple[int, int] | None) -> str:
    return "–" if counted is None else f"{counted[0]} of {counted[1]}"


def by_group(asked: Asked, found: Mapping[Tool, Mapping[Pair, Row]]) -> list[str]:
    """The second table: pairs called related, by group and rule."""
    rules = [(tool, rule) for tool in found for rule in tool.rules]
    lines = [f"| pairs | of | {' | '.join(rule.head for _, rule in rules)} |", "|---|---:|" + "---:|" * len(rules)]
    groups = dict.fromkeys(asked.group[pair] for pair in sorted(asked.pairs.pairs, key=_order))
    for group in groups:
        inside = [pair for pair in asked.pairs.pairs if asked.group[pair] == group]
        counts = [sum(rule.accuses(found[tool][pair].get("said") or {}) for pair in inside) for tool, rule in rules]
        lines.append(f"| {group} | {len(inside)} | {' | '.join(map(str, counts))} |")
    return lines


def _order(pair: Pair) -> tuple[int, bool]:
    return ("related", "shared-initialisation", "unrelated").index(pair.truth), pair.disguised


def silences(tool: Tool, rows: Iterable[Row]) -> list[str]:
    """Why a tool gave no answer, the three commonest reasons."""
    reasons = Counter(row["no_answer"] for row in rows if "no_answer" in row)
    more = sum(reasons.values()) - sum(count for _, count in reasons.most_common(3))
    return [f"- {tool.name}, no answer: {count} × {text}" for text, count in reasons.most_common(3)] + (
        [f"- {tool.name}, no answer: {more} × other reasons"] if more else []
    )


def agreement(found: Mapping[Tool, Mapping[Pair, Row]]) -> list[str]:
    """The largest difference of AWM's similarity, by the published code and by ours, without and with GPT-NeoX models.

    The published code prints percentages with two decimals: agreement shows as a difference of at most 0.00005. It splits the
    fused matrices of GPT-NeoX in thirds, where queries, keys and values lie head by head: there it differs.
    """
    theirs, ours = (
        next((rows for tool, rows in found.items() if tool.name == n), {}) for n in ("AWM", "AWM's method in kinprint")
    )
    both = {
        pair: abs(row["said"]["similarity"] - ours[pair]["said"]["similarity"])
        for pair, row in theirs.items()
        if "said" in row and "said" in ours.get(pair, {})
    }
    fused = {pair for pair in both if "gpt_neox" in f"{pair.reference} {pair.suspect}"}
    lines = []
    for text, pairs in (("", both.keys() - fused), (" with GPT-NeoX models", fused)):
        if pairs:
            lines.append(f"- AWM, both codes{text}: {len(pairs)} pairs, largest difference {max(both[p] for p in pairs):.5f}")
    return lines


def report(asked: Asked, found: Mapping[Tool, Mapping[Pair, Row]], absent: Sequence[str]) -> str:
    """The tables of one set of pairs."""
    truths = Counter(pair.truth for pair in asked.pairs.pairs)
    counted = f"{truths['related']} related, {truths['unrelated']} unrelated"
    if truths["shared-initialisation"]:
        counted += f", {truths['shared-initialisation']} with a random start in common (in the second table only)"
    heads = ["tool", "accuses at", "found, nobody accused", "found", "accused", "no answer", "seconds", "GiB (imports)"]
    lines = [f"{asked.of} {counted}.", "", f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * 6]
    for tool, rows in found.items():
        lines += standing(tool, rows)
    notes = [line for tool, rows in found.items() for line in silences(tool, rows.values())] + agreement(found)
    versions = {tool.name: next(iter(rows.values()))["version"] for tool, rows in found.items() if rows}
    notes.append("- Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()))
    notes += [f"- Left out: {', '.join(absent)}"] if absent else []
    return "\n".join([*lines, "", *by_group(asked, found), "", *notes])


def commands(arguments: argparse.Namespace) -> dict[Tool, Callable[[], Worker] | None]:
    """How each tool is started; None for one that was not given."""
    here, folder = sys.executable, WORKERS
    given: dict[str, list[str] | None] = {
        "kinprint": [here],
        "AWM's method in kinprint": [here],
        "AWM": [arguments.awm_python or here, str(arguments.awm)] if arguments.awm else None,
        "model-provenance-kit": [arguments.mpk_python or here, str(arguments.mpk)] if arguments.mpk else None,
        "weightscope": [arguments.weightscope] if arguments.weightscope else None,
    }

    def start(tool: Tool, told: list[str]) -> Callable[[], Worker]:
        return lambda: Worker([told[0], str(folder / tool.worker), *told[1:]], ours=told[0] == here)

    return {tool: start(tool, told) if (told := given[tool.name]) else None for tool in TOOLS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="keeps the answers, and the descendants of released models")
    parser.add_argument("--zoo", type=Path, action="append", default=[], help="a zoo: the pairs of its models")
    parser.add_argument("--every", type=int, default=1, help="of a zoo, take only every n-th pair")
    parser.add_argument("--released", type=Path, nargs="+", default=[], help="released models: descendants are made of each")
    parser.add_argument("--released-every", type=int, default=1, help="of these, take only every n-th pair")
    parser.add_argument("--awm", type=Path, help="a checkout of AWM")
    parser.add_argument("--awm-python", help="the interpreter that has what AWM needs; this one by default")
    parser.add_argument("--mpk", type=Path, help="a checkout of model-provenance-kit")
    parser.add_argument("--mpk-python", help="the interpreter that has what model-provenance-kit needs; this one by default")
    parser.add_argument("--weightscope", metavar="PYTHON", help="an interpreter that has weightscope")
    parser.add_argument("--markdown", type=Path, help="a page to write the figures into, between its marks")
    arguments = parser.parse_args()
    if not arguments.zoo and not arguments.released:
        parser.error("give --zoo, --released or both")
    kept = Kept(arguments.folder / "answers.jsonl")
    sets = [of_zoo(zoo, arguments.every, arguments.folder / "in-order" / zoo.name) for zoo in arguments.zoo]
    sets += (
        [of_released(arguments.folder / "released", arguments.released, arguments.released_every)] if arguments.released else []
    )
    starts = commands(arguments)
    absent = [tool.name for tool, start in starts.items() if start is None]
    texts = []
    for asked in sets:
        found = {}
        for tool, start in starts.items():
            if start is not None and not (tool.zoos_only and asked.name == "released"):
                worker = start()
                found[tool] = answers(tool.name, worker, asked, kept)
                worker.close()
                print(f"{asked.name}: {tool.name} done", file=sys.stderr, flush=True)
        texts.append(report(asked, found, absent))
    written = f"Figures of {date.today().isoformat()}, kinprint at {commit(Path(__file__).parents[1], 'src')}."
    text = "\n\n".join([written, *texts])
    print(text)
    if arguments.markdown:
        marked(arguments.markdown, MARK, text)


if __name__ == "__main__":
    main()
