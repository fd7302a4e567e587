"""Which dimensions of a head positions rotate: those that a configuration gives, or a share of each head.

The share may differ among kinds of layers (`layer_types`), each of which then has rotary parameters of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kinprint.architectures import facts as configuration
from kinprint.architectures.table import Table
from kinprint.errors import ArchitectureError

PARAMETERS = "rope_parameters"

WHOLE = "proportional"
"""The type of rotary positions that pair all dimensions of a head whatever their share; some pairs stand still."""


def rotary(table: Table, config: Mapping[str, Any], facts: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The facts `rotary_dim` and `rotary_pairs`; nothing for models that rotate none.

    If layers differ, `rotary_dim` is what most of them have and stands by layer under `by_layer` too; where the configuration
    does not say which layer is of which kind, it is left out.

    Args:
        facts: of the model, with its positions; if they give `rotary_dim`, it counts.

    Raises:
        ArchitectureError: a share that is none.
    """
    where = facts["positions"]
    likely = configuration.lookup(table.positions, config) if where == "unknown" else where
    if likely != "rope" or "head_dim" not in facts:
        return {}
    pairs = {"rotary_pairs": configuration.lookup(table.rotary_pairs, config)}
    if "rotary_dim" in facts:
        return {"rotary_dim": facts["rotary_dim"], **pairs}
    shares = {kind: _share(table, said, source) for kind, said in _kinds(config).items()}
    kinds, layers = config.get("layer_types"), range(facts["num_hidden_layers"])
    if len(set(shares.values())) == 1:
        share_of = [next(iter(shares.values()))] * len(layers)
    elif isinstance(kinds, list) and len(kinds) == len(layers):
        share_of = [shares.get(kind, 0.0) for kind in kinds]
    else:
        return pairs
    each = [
        _turned(share, configuration.of_layer(facts, layer)["head_dim"]) for layer, share in zip(layers, share_of, strict=True)
    ]
    found: dict[str, Any] = {"rotary_dim": configuration.most_common(each) if any(each) else 0, **pairs}
    if len(set(each)) > 1:
        found[configuration.BY_LAYER] = {**facts.get(configuration.BY_LAYER, {}), "rotary_dim": each}
    return found


def _kinds(config: Mapping[str, Any]) -> dict[Any, Mapping[str, Any]]:
    """Kind of layers -> the configuration as it is for them; one kind, None, where all are alike."""
    parameters, layers = config.get(PARAMETERS), config.get("layer_types")
    own = (
        {kind: said for kind, said in parameters.items() if isinstance(said, Mapping)}
        if isinstance(parameters, Mapping)
        else {}
    )
    if isinstance(layers, list):
        own = {kind: said for kind, said in own.items() if kind in layers}
    return {kind: {**config, PARAMETERS: said} for kind, said in own.items()} or {None: config}


def _share(table: Table, config: Mapping[str, Any], source: str) -> float:
    """Of the dimensions of a head, 0 to 1."""
    said = config.get(PARAMETERS)
    if isinstance(said, Mapping) and said.get("rope_type") == WHOLE:
        return 1.0
    share = configuration.lookup(table.rotary_share, config)
    if not isinstance(share, (int, float)):
        return 0.0
    if not 0 <= share <= 1:
        raise ArchitectureError(source, f"the configuration rotates {share!r} of each head", "it must be a share, 0 to 1")
    return float(share)


def _turned(share: float, width: int) -> int:
    """How many dimensions of a head of so many turn."""
    turned = round(share * width)
    return turned + turned % 2  # dimensions turn in pairs: transformers rotates 4 where the share says 3
