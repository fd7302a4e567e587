"""What a method is, what it finds, and the evidence that becomes of it.

A method compares two fingerprints, or two whole checkpoints, and gives a `Finding`. A `Test` has a null hypothesis and a
p-value that is uniform under it: it decides. A `Score` describes, and names the case for which it is known to fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float64s
from kinprint.errors import NotApplicable, NotMeasured
from kinprint.fingerprints import Fingerprint, trait_table
from kinprint.json_numbers import finite
from kinprint.statistics import ExchangeabilityResult
from kinprint.statistics.label_checks import LabelCheck

Kind = Literal["test", "score"]

COMPUTING = ("run", "share", "beyond", "single_layers", "single_experts", "curves", "maps")
"""Attributes of a method that are functions, or made of them."""


@dataclass(frozen=True)
class Finding:
    """What a method found in one pair.

    Attributes:
        statistic: what the method measured; None if it does not apply.
        log10_p: one-sided p-value of a test; None for scores and for tests that do not apply.
        bound: True if log10_p is a rigorous upper bound rather than an exact Monte Carlo p-value.
        layer_map: reference layer of each suspect layer, where the method aligned layers.
        layers: strength of every suspect layer (tests: z), NaN where a layer was not compared.
        parts: named parts of the statistic.
        resolution: of a test of units with equal labels: the correlation between them that moves the statistic by one
            standard deviation under the null.
        disguise: what was done to the form of the weights, in a few words each, where a test could tell.
        forgeable: of a test: True if somebody who sets freely what a model's function leaves free (order, signs, scales, bases)
            could make such evidence between strangers; False if that takes another function.
        labels: of a test of units with equal labels: by side ("reference", "suspect"), whether that model's labels carry order.
        note: what a reader should know, in a sentence or two.
        across: of a method that compares layers: its value for every suspect layer (rows) with every reference layer.
    """

    statistic: float | None = None
    log10_p: float | None = None
    bound: bool = False
    layer_map: tuple[int, ...] | None = None
    layers: tuple[float, ...] | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    resolution: float | None = None
    disguise: tuple[str, ...] = ()
    forgeable: bool = True
    labels: Mapping[str, tuple[LabelCheck, ...]] = field(default_factory=dict)
    note: str = ""
    across: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence(Finding):
    """A finding with the method that made it, and what the comparison adds.

    Attributes:
        method: name of the method.
        kind: "test" or "score".
        detectable: smallest correlation between units with equal labels for which the test alone would have called the
            pair related in half of all cases: its power on this pair. `compare` fills it in, from the resolution, for its
            alpha corrected for the number of tests.
        set_aside: why a test that applies decides nothing, as a sentence; empty where it decides.
        false_accusations: of a score: how many of the benchmark's unrelated pairs reach the statistic, and how many there
            are; None where that was not measured. `compare` fills it in.
        unmeasured: of a score that does not apply: a model was measured without the traits that it needs.
    """

    method: str
    kind: Kind
    detectable: float | None = None
    set_aside: str = ""
    false_accusations: tuple[int, int] | None = None
    unmeasured: bool = False

    @classmethod
    def of(cls, method: Method, finding: Finding) -> Evidence:
        """The finding, signed by its method."""
        return cls(method=method.name, kind=method.kind, **{item.name: getattr(finding, item.name) for item in fields(Finding)})

    @property
    def applies(self) -> bool:
        return self.statistic is not None

    @property
    def decides(self) -> bool:
        """Whether a verdict may rest on it."""
        return self.kind == "test" and self.log10_p is not None and not self.set_aside

    def to_json(self) -> dict[str, Any]:
        """As `kinprint-comparison/1` promises; fields that have no meaning for the kind are left out."""
        data: dict[str, Any] = {"method": self.method, "kind": self.kind, "statistic": finite(self.statistic)}
        if self.kind == "test":
            data |= {"log10_p": finite(self.log10_p), "bound": self.bound, "detectable": finite(self.detectable)}
            data |= {"forgeable": self.forgeable, "set_aside": self.set_aside or None}
        elif self.false_accusations is not None:
            count, total = self.false_accusations
            data |= {"false_accusation_rate": count / total, "unrelated_pairs": total}
        elif self.unmeasured:
            data["unmeasured"] = True
        if self.layers is not None:
            data["layers"] = [finite(value) for value in self.layers]
        if self.parts:
            data["parts"] = {name: finite(value) for name, value in self.parts.items()}
        if self.disguise:
            data["disguise"] = list(self.disguise)
        if self.labels:
            data["labels"] = {
                side: [{"order": check.order, "log10_p": finite(check.log10_p)} for check in checks]
                for side, checks in self.labels.items()
            }
        if self.across is not None:
            data["across"] = [[finite(value) for value in row] for row in self.across]
        return data | {"note": self.note}


@dataclass(frozen=True, kw_only=True)
class Method:
    """How two fingerprints, or two whole checkpoints, are compared: what `Test` and `Score` have in common.

    Attributes:
        name: as on the command line and in the evidence.
        summary: what it compares, in one line.
        needs: traits without which it does not apply; of a tuple inside, any one will do. Deep methods need none.
        source: where the method was published.
        run: compares (reference, suspect): two fingerprints, or the `Weights` of two checkpoints if the method is deep;
            raises NotApplicable with the reason where it has nothing to say.
        deep: True if it needs both checkpoints, since a fingerprint holds too little for it.
        observed: True if it needs what only `kinprint observe` measures; left out where neither model was observed.
    """

    kind: ClassVar[Kind]
    name: str
    summary: str
    needs: tuple[str | tuple[str, ...], ...]
    source: str
    run: Callable[[Any, Any], Finding]
    deep: bool = False
    observed: bool = False

    @property
    def caveat(self) -> str:
        """What a reader must know of a method: the null hypothesis of a test, the known failure of a score."""
        raise NotImplementedError

    def __call__(self, reference: Fingerprint | Weights, suspect: Fingerprint | Weights) -> Evidence:
        """Evidence about the pair; where the method does not apply, evidence that says why."""
        try:
            for model in (reference, suspect):
                if isinstance(model, Fingerprint):
                    self._require_traits(model)
            return Evidence.of(self, self.run(reference, suspect))
        except NotApplicable as reason:
            unmeasured = isinstance(reason, NotMeasured)
            return Evidence(method=self.name, kind=self.kind, unmeasured=unmeasured, note=f"Does not apply: {reason}.")

    def to_json(self) -> dict[str, Any]:
        """As `kinprint methods --json` prints it: every attribute but those that compute or draw something."""
        shown = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in COMPUTING}
        return {"name": self.name, "kind": self.kind} | shown

    def concerns(self, *models: Fingerprint) -> bool:
        """Whether there is anything to say: of methods on observed models, only if one was observed."""
        needed = {trait for need in self.needs for trait in ((need,) if isinstance(need, str) else need)}
        return not self.observed or any(needed & model.traits.keys() for model in models)

    @property
    def needs_scores(self) -> bool:
        """Whether it needs traits that are measured only where scores are asked for."""
        return any(all(map(trait_table.for_scores, (need,) if isinstance(need, str) else need)) for need in self.needs)

    def _require_traits(self, model: Fingerprint) -> None:
        for need in self.needs:
            alternatives = (need,) if isinstance(need, str) else need
            if not any(trait in model.traits for trait in alternatives):
                if model.quick is None and not model.scores and all(map(trait_table.for_scores, alternatives)):
                    raise NotMeasured(f"what it needs of {model.name} is measured with --scores")
                who = model.name if model.quick is None else f"{model.name}, measured with --quick,"
                how = ", which `kinprint observe` measures" if self.observed else ""
                raise NotApplicable(f"{who} has no trait {' or '.join(alternatives)}{how}")


@dataclass(frozen=True)
class SingleLayers:
    """A test of one layer of the suspect with one of the reference, for any two, whatever the other layers share.

    Attributes:
        likeness: of a suspect layer, (reference layers,) how alike each looks, by which the pairs to test may be chosen: in
            standard deviations of unrelated ones, or in any unit where the test asks about what this has not looked at.
        log10_ps: of pairs (reference layer, suspect layer), each for itself: under the null hypothesis about the suspect's
            layer uniform, whatever the rest of the two models has in common.
        least: (suspect layers,) no log10 p of a layer can be below this; 0 for a layer without such units.
    """

    likeness: Callable[[int], Float64s]
    log10_ps: Callable[[Sequence[tuple[int, int]]], list[float]]
    least: Float64s


class FromExpert(NamedTuple):
    """What a test says of one expert: log10 p for itself, and the expert of the reference's layer that it looks most like."""

    log10_p: float
    source: int


@dataclass(frozen=True)
class SingleExperts:
    """A test of one expert of the suspect with all of a layer of the reference, whatever the other experts share.

    Attributes:
        units: suspect layer -> expert -> how many units of it are known.
        test: of a reference layer, a suspect layer and an expert of that: under the null hypothesis about that expert its
            p-value is uniform.
        bits: log10 of what each unit multiplies the number of ways by: no p-value is below 10 ** -(bits x units).
    """

    units: Mapping[int, Mapping[int, int]]
    test: Callable[[int, int, int], FromExpert]
    bits: float


@dataclass(frozen=True, kw_only=True)
class Test(Method):
    """A method that decides: under its null hypothesis its p-value is uniform.

    Attributes:
        null: the null hypothesis.
        share: of a test that reads a small part of a model: the share of the parameters in that part, for a fingerprint.
        part: what that part is called.
        of: the part of a model, one of `PARTS`, whose units it relabels or matches, so that it speaks of this part whatever is
            shared besides; empty for the residual channels, which all parts have in common.
        beyond: of a test of units with equal labels: the same question about what no order of the units can know, which
            strangers whose units are sorted alike cannot share; None where it cannot be asked.
        single_layers: the same question about single layers of two models, of a test of units that one layer alone has; raises
            NotApplicable with the reason where it cannot be asked.
        single_experts: the same question about single experts; raises NotApplicable as `single_layers`.
        descendants_keep: of a test of units with equal labels: what the units are called, in the plural, if every descendant
            of the same shape keeps their labels, so that the test's silence speaks against descent; empty if not.
    """

    __test__: ClassVar[bool] = False  # no test of pytest's
    kind: ClassVar[Kind] = "test"
    null: str
    share: Callable[[Fingerprint], float] | None = None
    part: str = ""
    of: str = ""
    beyond: Callable[[Fingerprint, Fingerprint], ExchangeabilityResult | None] | None = None
    single_layers: Callable[[Fingerprint, Fingerprint], SingleLayers] | None = None
    single_experts: Callable[[Fingerprint, Fingerprint], SingleExperts] | None = None
    descendants_keep: str = ""

    @property
    def caveat(self) -> str:
        return self.null


@dataclass(frozen=True)
class LayerMaps:
    """Cosines of every layer of a model with every layer of a model, to be drawn.

    Attributes:
        title: what is compared.
        caption: what a reader should know.
        between: (vectors, kind of cosine) -> (layers of the first model, layers of the second); NaN where it is not known.
    """

    title: str
    caption: str
    between: Callable[[Fingerprint, Fingerprint], Mapping[tuple[str, str], Float64s]]


@dataclass(frozen=True, kw_only=True)
class Score(Method):
    """A method that describes: unrelated models may reach any value of it, so it decides nothing.

    Attributes:
        known_failure: a case in which it misleads.
        threshold: the statistic from which its source calls models derived; larger statistics mean more alike.
        threshold_source: where that was said.
        curves: of a score of layers, to be drawn: name -> (layers,) of one model.
        maps: of a score of layers, to be drawn: every layer with every layer.
    """

    kind: ClassVar[Kind] = "score"
    known_failure: str
    threshold: float | None = None
    threshold_source: str = ""
    curves: Callable[[Fingerprint], Mapping[str, Float64s]] | None = None
    maps: LayerMaps | None = None

    @property
    def caveat(self) -> str:
        return self.known_failure
