"""The latents that queries, keys and values pass through (MLA), in another basis."""

from __future__ import annotations

from kinprint.architectures import Part, Place
from kinprint.transforms._model import Model, changed, constant, generator, orthogonal, widened

LATENTS = ("q_latent", "kv_latent")


def latents_turned(model: Model, seed: int) -> Model:
    """The model with every normed latent turned, so that the function stays; the same model if it has none.

    The gain of a latent's RMSNorm goes into the matrices that read it. The norm without its gain commutes with any orthogonal
    matrix: the matrix in front of the norm is multiplied by it, those behind by its inverse.
    """
    if model.facts["norm"] != "rms":
        return model

    def turned(place: Place, part: Part) -> Part:
        layer, role, _ = place
        for latent in LATENTS:
            gain = model.get(layer, f"gains.{latent}")
            if gain is None or latent not in part.axes:
                continue
            if role == gain.role:
                return constant(part, role, part.shape, 1.0)
            return _turned(part, part.axes.index(latent), gain, (seed, "latent", latent, layer))
        return part

    return model.each(turned)


def _turned(part: Part, axis: int, gain: Part, what: tuple[int, str, str, int | None]) -> Part:
    """A matrix or bias that writes the latent (axis 0), or a matrix that reads it (axis 1) and takes the gain in."""
    width = part.shape[axis]
    if axis == 0:
        return changed(part, lambda array: orthogonal(generator(*what), width).astype(array.dtype) @ array)
    return changed(
        part, lambda array: (array * widened(gain.read())) @ orthogonal(generator(*what), width).T.astype(array.dtype)
    )
