"""All evidence about one pair of models, and the verdict."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Any

from kinprint import methods as registry
from kinprint.architectures import Weights
from kinprint.comparison import evidence_cache
from kinprint.comparison.components import counterparts, same_kind
from kinprint.comparison.context import context
from kinprint.comparison.experts import ExpertOrigin, expert_origins
from kinprint.comparison.false_accusations import strangers_of
from kinprint.comparison.identity import Sameness, sameness
from kinprint.comparison.in_order import in_order
from kinprint.comparison.layers import LayerOrigin, layer_origins
from kinprint.comparison.origin import Origin, origin
from kinprint.comparison.parts import SharedPart, sentence_of_part, shared_parts
from kinprint.comparison.parts import sentence as sentence_of_parts
from kinprint.comparison.second_line import contradiction
from kinprint.comparison.sides import both
from kinprint.comparison.small_parts import small_part
from kinprint.comparison.verdict import combined_log10_p, decide, unforgeable_log10_p, with_detectable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.matching.device import on
from kinprint.methods import Evidence, Method
from kinprint.notebook import Shown
from kinprint.progress import listened_to
from kinprint.terms import ALPHA, Verdict
from kinprint.words import chance, p_value

FORMAT = "kinprint-comparison/1"

MEANING: Mapping[Verdict, str] = {
    "identical": "Other parts were not looked at here.",
    "related": "The test does not say which model it comes from, nor whether it was allowed.",
    "no-evidence": "This does not prove that it is unrelated.",
    "untestable": "The reasons stand beside each test.",
}
"""What a verdict about one part says besides, in plain words."""

FABRICATION = (
    "A reference made from the suspect would give this verdict too. That is ruled out if it was published, or committed to "
    "(kinprint commit), before the suspect."
)
"""What an accuser could have made, since tests are as good either way about, and what settles who was first."""


@dataclass(frozen=True)
class Comparison(Shown):
    """What `compare` found.

    Attributes:
        reference: the fingerprint of the model that may be the ancestor.
        suspect: the fingerprint of the model that is examined.
        verdict: "identical", "related", "no-evidence" or "untestable".
        log10_p: combined over the tests that decide, corrected for their number; None if none does.
        layer_map: reference layer of each suspect layer, by the strongest test; None unless related or identical.
        evidence: of every method, tests first, the strongest first.
        content: whether the weights are the same, and what besides them differs.
        context: facts that are no evidence.
        alpha: the p-value up to which the pair is called related.
        parts: which parts are shared; () unless related or identical.
        components: what stands beside the language model in both (a vision tower), by what it is, each compared as a model.
        about: the part that all of this is about (`kinprint.comparison.one_part`); "" of whole models.
        start: whether training is shared, or only a random start; None where that was not asked (only of related models whose
            checkpoints are both at hand, `deep`).
    """

    reference: Fingerprint
    suspect: Fingerprint
    verdict: Verdict
    log10_p: float | None
    layer_map: tuple[int, ...] | None
    evidence: tuple[Evidence, ...]
    content: Sameness
    context: dict[str, Any]
    alpha: float = ALPHA
    parts: tuple[SharedPart, ...] = ()
    components: Mapping[str, Comparison] = field(default_factory=dict)
    about: str = ""
    start: Origin | None = None

    @property
    def same(self) -> str | None:
        """How the models are known to be identical, or None; of one part alone it is not asked."""
        return None if self.about else self.content.identical

    @property
    def tests(self) -> tuple[Evidence, ...]:
        return tuple(item for item in self.evidence if item.kind == "test")

    @property
    def everything(self) -> tuple[Evidence, ...]:
        """The evidence of the model and of all components, on which the verdict rests."""
        return (*self.evidence, *(item for each in self.components.values() for item in each.everything))

    @cached_property
    def layers(self) -> tuple[LayerOrigin, ...]:
        """Where each layer of the suspect comes from, with p-values of their own; () unless whole models are related or
        identical, or where nothing tells. Worked out when it is first asked for."""
        if self.about or self.verdict not in ("related", "identical"):
            return ()
        return layer_origins((self.reference, self.suspect), (registry.known(), self.evidence), self.alpha)

    @cached_property
    def experts(self) -> tuple[ExpertOrigin, ...]:
        """Where each expert of the suspect comes from; () as `layers`, and where fingerprints know too little of experts."""
        if self.about or self.verdict not in ("related", "identical"):
            return ()
        said, models = (registry.known(), self.evidence), (self.reference, self.suspect)
        return expert_origins(models, said, self.layers, self.layer_map, self.alpha)

    @property
    def scores(self) -> tuple[Evidence, ...]:
        return tuple(item for item in self.evidence if item.kind == "score")

    @property
    def unforgeable(self) -> float | None:
        """log10 p combined over the tests whose evidence no relabelling can make; None if none of them decides."""
        return unforgeable_log10_p(self.everything)

    @property
    def forgeable(self) -> bool | None:
        """Whether a "related" rests on labels and signs alone, which somebody could have fitted; None for other verdicts."""
        if self.verdict != "related":
            return None
        if self.content.weights is not None or self._copied:
            return False
        return self.unforgeable is None or self.unforgeable > math.log10(self.alpha)

    @property
    def fabrication(self) -> str | None:
        """What an accuser could have made of the suspect, and what rules it out; None unless related or identical."""
        return FABRICATION if self.verdict in ("related", "identical") else None

    @property
    def _copied(self) -> tuple[str, ...]:
        """Parts that are the same bit for bit, where a test of them says, too, that this is no coincidence."""
        level = math.log10(self.alpha)
        return tuple(each.part for each in self.parts if each.state == "identical" and (each.log10_p or 0) <= level)

    def sentence(self) -> str:
        """The verdict in plain words: what was found, what it means and what it does not."""
        a, b = self.reference.name, self.suspect.name
        if self.about:
            strength = f"{self._strength()} " if self.verdict == "related" else ""
            return f"{sentence_of_part(self.about, self.parts, (a, b))} {strength}{MEANING[self.verdict]}"
        if self.verdict == "identical":
            return f"{b} holds the same weights as {a}: {self.same}."
        if self.verdict == "related" and self.content.weights is not None:
            return (
                f"{b} holds the same language model as {a}: {self.content.weights}. {self._beside()}{self._by_part(after=True)}"
            )
        if self.verdict == "related":
            return (
                f"{b} and {a} share initial or trained weights ({chance(self.log10_p or 0)}): one was made from the "
                f"other, or both from a common origin. {self._by_part()}{self._strength()} "
                f"The test does not say which, nor whether it was allowed.{self._started()}"
            )
        if self.verdict == "untestable":
            return f"Nothing can be said about {b} and {a}: no test applies to this pair. The reasons stand beside each test."
        deep = {method.name for method in registry.known() if method.deep}
        hint = (
            "a copy that was disguised and trained very much longer is not seen"
            if any(item.method in deep for item in self.evidence)
            else "a copy that was disguised and trained for long may be seen with --deep only"
        )
        quick = [model.quick for model in (self.reference, self.suspect) if model.quick is not None]
        if quick:
            hint = f"{max(quick):.1%} of the bytes were read (--quick); some disguised copies are only seen when all are read"
        aside = "".join(
            f" {item.set_aside}" for item in self.tests if item.set_aside and (item.log10_p or 0) <= math.log10(self.alpha)
        )
        caution = f"This does not prove that they are unrelated: {hint}."
        return f"No evidence that {b} shares weights with {a}.{aside} {self._power()} {caution}"

    def _power(self) -> str:
        """What the tests could have seen, or why that cannot be said."""
        known = [item.detectable for item in self.tests if item.applies and item.detectable is not None]
        if known:
            return f"With kept labels, a correlation of {min(known):.3f} between units would be seen in half of all cases."
        return (
            "How weak a relation these tests would have seen could not be worked out: units were matched by what they compute, "
            "for no test of units with equal labels applies to these two shapes."
        )

    def _by_part(self, *, after: bool = False) -> str:
        """Which parts are shared, where that is not all of them, with the space in front of it or behind it."""
        said = sentence_of_parts(self.parts)
        return (f" {said}" if after else f"{said} ") if said else ""

    def _started(self) -> str:
        """Whether training is shared or only a random start, where that can be told, with a space in front of it."""
        said = self.start.sentence() if self.start else ""
        return f" {said}" if said else ""

    def _beside(self) -> str:
        """What besides the language model differs."""
        words = ", ".join(difference.words() for difference in self.content.differences)
        return f"The models are not identical: {words}."

    def _strength(self) -> str:
        """What it would take to make the evidence of related models without descent."""
        if self._copied and (self.unforgeable or 0) > math.log10(self.alpha):
            return f"No relabelling can make this: matrices agree bit for bit ({', '.join(self._copied)})."
        if not self.forgeable:
            p = p_value(self.unforgeable or 0)
            return f"No relabelling can make this: tests that use neither labels nor signs agree (p {p})."
        a, b = self.reference.name, self.suspect.name
        return (
            "This rests on labels and signs alone: it holds unless those of one model were chosen by looking at the other. "
            f"If {a} was public, or committed to, before {b}, that is ruled out."
        )

    def headline(self) -> str:
        return f"{self.verdict}: {self.reference.name} and {self.suspect.name}"

    def summary(self) -> str:
        return self.sentence()

    def rows(self) -> list[dict[str, Any]]:
        """What every method said, tests first: method, kind, statistic, log10_p, whether the verdict rests on it, note."""
        of = {"": self, **self.components}
        return [
            {
                "method": f"{item.method} of the {what}" if what else item.method,
                "kind": item.kind,
                "statistic": item.statistic,
                "log10_p": item.log10_p,
                "decides": item.decides,
                "note": item.note,
            }
            for what, each in of.items()
            for item in each.evidence
        ]

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint compare --json` prints."""
        return {
            "format": FORMAT,
            "reference": _model(self.reference),
            "suspect": _model(self.suspect),
            "part": self.about or None,
            "verdict": self.verdict,
            "sentence": self.sentence(),
            "alpha": self.alpha,
            "log10_p": self.log10_p,
            "forgeable": self.forgeable,
            "unforgeable_log10_p": self.unforgeable,
            "fabrication": self.fabrication,
            "content": self.content.to_json(),
            "parts": [part.to_json() for part in self.parts],
            "start": None if self.start is None else self.start.to_json(),
            "components": {
                what: {
                    "log10_p": each.log10_p,
                    "layer_map": None if each.layer_map is None else list(each.layer_map),
                    "content": each.content.to_json(),
                    "evidence": [item.to_json() for item in each.evidence],
                }
                for what, each in self.components.items()
            },
            "layer_map": None if self.layer_map is None else list(self.layer_map),
            "layers": [layer.to_json() for layer in self.layers],
            "experts": [expert.to_json() for expert in self.experts],
            "evidence": [item.to_json() for item in self.evidence],
            "context": self.context,
        }


def compare(
    reference: str | os.PathLike[str] | Fingerprint,
    suspect: str | os.PathLike[str] | Fingerprint,
    *,
    deep: bool = False,
    quick: bool = False,
    scores: bool = False,
    alpha: float = ALPHA,
    methods: Sequence[Method] | None = None,
    device: str | None = None,
) -> Comparison:
    """Compare two models by every method that applies and give the verdict.

    Args:
        reference: the model that may be the ancestor: a folder, a file, a `.kinprint` file or a fingerprint.
        suspect: the model that is examined.
        deep: add the test that needs both checkpoints: a minute rather than seconds on large models. It also sees copies that
            were disguised and trained on for longer (docs/hiding.md says what hides what).
        quick: read about 1 % of the weights of models that are not fingerprints yet: heads, and disguised copies of models
            without gated neurons, are then not seen.
        scores: measure what published scores alone need, too, of models that are not fingerprints yet; with `deep`, run those
            that need both checkpoints, too. They describe, and take minutes more.
        alpha: largest combined p-value that is called related.
        methods: what to run, whatever `scores` says; by default every known method.
        device: where torch works out the large products of `deep`, "cuda"; numpy does by default.

    Returns:
        all evidence, and the verdict.

    Raises:
        KinprintError: a model cannot be read, or is a fingerprint where `deep` needs the checkpoint; the device cannot be used.

    Example:
        >>> import kinprint
        >>> comparison = kinprint.compare("examples/models/base", "examples/models/finetune")
        >>> comparison.verdict, comparison.log10_p < -100
        ('related', True)
    """
    with on(device):
        measured, weights = both(reference, suspect, partial(fingerprint, quick=quick, scores=scores), deep=deep)
        return examine(measured, weights, scores=scores, alpha=alpha, methods=methods)


def examine(
    fingerprints: tuple[Fingerprint, Fingerprint],
    weights: tuple[Weights, Weights] | None = None,
    *,
    scores: bool = False,
    alpha: float = ALPHA,
    methods: Sequence[Method] | None = None,
    cache: bool = False,
    progress: Callable[[str, int, int], None] = lambda method, done, total: None,
) -> Comparison:
    """As `compare`, for models that are open already; without weights, deep methods are left out.

    Tests run first. As soon as they are done the verdict is known, and progress tells it beside the scores that follow.

    Args:
        cache: use what methods said about this pair earlier, and keep what they say now (`evidence_cache`).
        progress: called with what is being done (the method, how far it is, the verdict once it is known), how many methods
            have run and how many there are.
    """
    a, b = fingerprints
    known = methods if methods is not None else [m for m in registry.known() if scores or not m.deep or m.kind == "test"]
    comparable = known if same_kind(a, b) else []
    wanted = [m for m in comparable if (weights is not None or not m.deep) and m.concerns(a, b)]
    wanted.sort(key=lambda m: (m.kind != "test", m.deep))
    earlier = evidence_cache.find(a, b) if cache else {}
    content, results = sameness(a, b), list[Evidence]()
    for (kind, deep), group in groupby(wanted, key=lambda m: (m.kind, m.deep)):
        decided = f"{decide(content, combined_log10_p(results), alpha)}; " if kind == "score" else ""
        together = list(group)
        with closing(
            _one_by_one(together, fingerprints, weights) if deep else _side_by_side(together, fingerprints, earlier)
        ) as said:
            for method in together:
                step = partial(_step, progress, decided + method.name, len(results), len(wanted))
                step()
                with listened_to(step):
                    results.append(next(said))
    if cache:
        _keep(fingerprints, earlier, zip(wanted, results, strict=True))
    components = {
        what: examine(pair, scores=scores, alpha=alpha, methods=methods, cache=cache)
        for what, pair in counterparts(a, b).items()
    }
    beside = [item for each in components.values() for item in each.everything]
    shown = [_with_false_accusations(item, fingerprints) for item in with_detectable(results, alpha, beside)]
    evidence = tuple(sorted(shown, key=_strength))
    log10_p = combined_log10_p([*evidence, *beside])
    verdict = decide(content, log10_p, alpha)
    strong = [item for item in evidence if item.decides and (content.weights or (item.log10_p or 0) <= math.log10(alpha))]
    layer_map = next((item.layer_map for item in strong if item.layer_map), None)
    return Comparison(
        reference=a,
        suspect=b,
        verdict=verdict,
        log10_p=log10_p,
        layer_map=layer_map if verdict in ("related", "identical") else None,
        evidence=evidence,
        content=content,
        context=context(a, b),
        alpha=alpha,
        parts=shared_parts(fingerprints, (known, evidence), components, alpha) if verdict in ("related", "identical") else (),
        components=components,
        start=origin(*weights, layer_map) if weights and verdict == "related" and not content.weights else None,
    )


def _keep(
    fingerprints: tuple[Fingerprint, Fingerprint], earlier: Mapping[str, Evidence], now: Iterable[tuple[Method, Evidence]]
) -> None:
    """Keep what is new, beside what was kept."""
    all_of_it = dict(earlier) | {method.name: item for method, item in now if evidence_cache.keepable(method)}
    if all_of_it.keys() != earlier.keys():
        evidence_cache.keep(*fingerprints, all_of_it.values())


def _side_by_side(
    methods: Sequence[Method], fingerprints: tuple[Fingerprint, Fingerprint], earlier: Mapping[str, Evidence]
) -> Generator[Evidence]:
    """What methods say of two fingerprints, in their order: what they said earlier, or now, several at a time."""

    def found(method: Method) -> Evidence:
        kept = earlier.get(method.name) if evidence_cache.keepable(method) else None
        return kept or _judged(method(*fingerprints), method, fingerprints)

    return in_order(found, methods)


def _one_by_one(
    methods: Sequence[Method], fingerprints: tuple[Fingerprint, Fingerprint], weights: tuple[Weights, Weights] | None
) -> Generator[Evidence]:
    """What methods say of two checkpoints."""
    return (_judged(method(*(weights or fingerprints)), method, fingerprints) for method in methods)


def _judged(item: Evidence, method: Method, fingerprints: tuple[Fingerprint, Fingerprint]) -> Evidence:
    """Evidence, and why it is set aside, if it is."""
    return replace(item, set_aside=small_part(item, method, fingerprints) or contradiction(item, method, fingerprints))


def _step(
    progress: Callable[[str, int, int], None],
    method: str,
    number: int,
    methods: int,
    what: str = "",
    done: int = 0,
    total: int = 0,
) -> None:
    """Tell that a method runs, and how far it is where it says so."""
    progress(f"{method}: {done} of {total} {what}" if total else method, number, methods)


def _with_false_accusations(item: Evidence, models: Iterable[Fingerprint]) -> Evidence:
    """A score with the share of unrelated models like these that reach it; tests have p-values instead."""
    if item.kind != "score" or item.statistic is None or (strangers := strangers_of(item.method, models)) is None:
        return item
    return replace(item, false_accusations=strangers.reached(item.statistic))


def _strength(item: Evidence) -> tuple[bool, bool, float, str]:
    """Tests before scores, those that decide before the others, the smallest p-value first."""
    return item.kind != "test", not (item.decides if item.kind == "test" else item.applies), item.log10_p or 0.0, item.method


def _model(model: Fingerprint) -> dict[str, Any]:
    return {"name": model.name, "source": model.provenance.get("source"), "digest": model.digest}
