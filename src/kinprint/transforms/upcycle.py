"""upcycle: a mixture of experts from a dense model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kinprint.architectures import Part, Place, Table, known, roles
from kinprint.architectures.anatomy import Name
from kinprint.errors import TransformError
from kinprint.families import published_name
from kinprint.transforms._model import Model, changed, drawn, generator
from kinprint.transforms._transform import Transform

FFN = ("gate", "up", "down")
ROUTER_SPREAD = 0.02
"""Standard deviation of new router rows, as such layers are initialised."""


def upcycle(model: Model, *, experts: int = 4, top: int = 2, noise: float = 0.0, seed: int | None = None) -> Model:
    """Turn every FFN into experts that are copies of it, with a new random router (sparse upcycling, arXiv 2212.05055).

    Before training the copies agree, so the new model computes what the dense one does. A shared expert, where the mixture has
    one, begins without output.

    Args:
        experts: in every layer.
        top: experts a token uses.
        noise: standard deviation of noise added to the copies, as a share of the standard deviation of each matrix.
        seed: of the router and the noise.
    """
    seed = drawn(seed)
    table = next((table for table in known() if model.table.family in table.upcycled.get("families", ())), None)
    if table is None:
        possible = sorted({family for table in known() for family in table.upcycled.get("families", ())})
        raise TransformError(
            model.source,
            f"no mixture family is known for {model.table.title}",
            f"possible for {', '.join(map(published_name, possible))}",
        )
    if not 0 < top <= experts:
        raise TransformError(model.source, f"{top} of {experts} experts cannot be chosen")
    biases = {part.role for part in model.parts.values() if part.role.startswith("biases.")}
    if not biases <= set(table.upcycled.get("biases", ())):
        raise TransformError(model.source, f"{table.title} has no such biases ({', '.join(sorted(biases))})")
    if any("gate" not in _roles(model, layer) for layer in range(model.layers)):
        raise TransformError(model.source, f"{table.title} has no ungated FFNs")
    parts: dict[Place, Part] = {}
    for (layer, role, _), part in model.parts.items():
        if role not in FFN:
            parts[layer, role, None] = part
            continue
        for expert in range(experts):
            parts[layer, role, expert] = replace(_noisy(part, noise, seed, expert), expert=expert)
    for layer in range(model.layers):
        parts[layer, "router", None] = _router(model.parts[layer, "up", None], layer, experts, seed)
    settings = table.upcycled
    size = model.facts["intermediate_size"]
    shared: dict[str, int] = {settings["shared"]: size} if "shared" in settings else {}
    for layer in range(model.layers) if shared else ():
        parts |= _shared_expert(model, layer, seed)
    config = {**model.config, **settings["config"], settings["experts"]: experts, settings["top"]: top} | shared
    new = replace(model, table=table, config=config, parts=parts, names=_names(model, table))
    return new.resized(intermediate_size=size)


def _roles(model: Model, layer: int) -> set[str]:
    return {place[1] for place in model.parts if place[0] == layer}


def _noisy(part: Part, noise: float, seed: int, expert: int) -> Part:
    if not noise:
        return part
    rng = (seed, "copy", part.layer, part.role, expert)
    return changed(part, lambda array: array + generator(*rng).normal(0, noise * array.std(), array.shape).astype(array.dtype))


def _router(up: Part, layer: int, experts: int, seed: int) -> Part:
    shape = (experts, up.shape[1])

    def drawn() -> np.ndarray:
        return generator(seed, "router", layer).normal(0, ROUTER_SPREAD, shape).astype(np.float32)

    return replace(up, role="router", shape=shape, axes=roles.axes("router"), read=drawn)


def _shared_expert(model: Model, layer: int, seed: int) -> dict[Place, Part]:
    """An expert that every token uses: what it reads is drawn, what it writes is nothing, until it is trained."""
    found: dict[Place, Part] = {}
    for role in FFN:
        like = model.parts[layer, role, None]

        def drawn(shape: tuple[int, ...] = like.shape, role: str = role) -> np.ndarray:
            spread = 0.0 if role == "down" else ROUTER_SPREAD
            return (spread * generator(seed, "shared", layer, role).normal(size=shape)).astype(np.float32)

        name = f"shared_{role}"
        found[layer, name, None] = replace(like, role=name, axes=roles.axes(name), read=drawn)
    router = _router(model.parts[layer, "up", None], layer, 1, seed)
    found[layer, "shared_router", None] = replace(router, role="shared_router", axes=roles.axes("shared_router"))
    return found


def _names(model: Model, table: Table) -> tuple[Name, ...]:
    """The names of the dense file, with those of the mixture for router and experts (one tensor an expert)."""
    prefix = next(name.pattern for name in model.names if name.entry.roles == ("q",)).partition("layers.")[0]
    kept = [name for name in model.names if not set(name.entry.roles) & set(FFN)]
    new: dict[str, Name] = {}
    for key, entry in table.tensors.items():
        role = entry.roles[0]
        if role == "router" or role.startswith("shared_") or (role in FFN and "{expert}" in key):
            new.setdefault(role, Name(prefix + key, entry, ()))
    return (*kept, *new.values())


TRANSFORM = Transform(
    "upcycle", "derivation", upcycle, "kinprint transform upcycle examples/models/base -o experts --experts 4 --top 2"
)
