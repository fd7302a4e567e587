"""Habits of labels do what their names say; those that should keep the function do, by the real library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shares import every

from kinprint import transforms
from kinprint.transforms import Model
from kinprint.zoo import habits
from kinprint.zoo.families import SHAPES
from kinprint.zoo.habits import _habit, order

HABITS = habits.known()
SMALL = replace(SHAPES["tiny"], hidden=48, layers=2, heads=6, groups=3, neurons=72, vocabulary=40, length=8)
CASES = [(name, family) for name, habit in HABITS.items() for family in habit.families]


def with_habit(name: str, family: str, seed: int = 1) -> tuple[Model, Model]:
    """A small stranger, and itself with a habit."""
    shape = replace(SMALL, heads=8, groups=4) if name == "channels-padded" else SMALL  # heads divide the channels, old and new
    before = habits.stranger(family, seed, shape)
    return before, HABITS[name](before, seed)


def logits(model: Model, folder: Path) -> np.ndarray:
    """(tokens, vocabulary) what transformers computes; it must miss and ignore no tensor."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    transforms.write(model, folder)
    loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, local_files_only=True
    )
    assert not [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
    with torch.no_grad():
        return loaded(input_ids=torch.tensor([[5, 9, 33, 2, 20, 7, 7, 1]])).logits[0].double().numpy()


@pytest.mark.parametrize(("name", "family"), [case for case in CASES if HABITS[case[0]].keeps])
def test_the_function_stays(name: str, family: str, tmp_path: Path) -> None:
    """Logits with and without the habit agree to 1e-4 of the largest one."""
    before, after = (logits(model, tmp_path / str(i)) for i, model in enumerate(with_habit(name, family)))
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize(("name", "family"), every(3, CASES))
def test_every_habit_can_be_fingerprinted(name: str, family: str) -> None:
    """A fingerprint in memory, with the neurons that the configuration speaks of; another seed is another model."""
    prints = [habits.measured(with_habit(name, family, seed)[1], "model") for seed in (2, 4)]
    assert prints[0].facts["intermediate_size"] == prints[1].facts["intermediate_size"]
    assert not np.array_equal(prints[0].traits["neurons.norms"], prints[1].traits["neurons.norms"])


def test_in_memory_is_as_on_disk(tmp_path: Path) -> None:
    """The fingerprint of a model is the same, written or not."""
    from kinprint import fingerprint

    _, model = with_habit("neurons-sorted", "gpt2")
    transforms.write(model, tmp_path / "model")
    assert fingerprint(tmp_path / "model", cache=False).digest == habits.measured(model, "model").digest


def sizes(model: Model) -> list[np.ndarray]:
    return [_habit.neuron_sizes(model, layer) for layer in range(model.layers)]


def descend(values: np.ndarray) -> bool:
    return bool((np.diff(values) <= 1e-5 * values.max()).all())


def is_sorted(model: Model) -> bool:
    return all(map(descend, sizes(model)))


def boundary(count: int) -> Callable[[Model], bool]:
    """The first `count` neurons are the heaviest, and not sorted among themselves."""
    return lambda model: all(s[:count].min() >= s[count:].max() and not descend(s[:count]) for s in sizes(model))


def on_labels(step: int) -> Callable[[Model], bool]:
    """The neurons whose labels `step` divides are the heaviest."""

    def holds(model: Model) -> bool:
        chosen = np.arange(72) % step == 0
        return all(s[chosen].min() >= s[~chosen].max() for s in sizes(model))

    return holds


def zero_at(labels: np.ndarray, count: int) -> Callable[[Model], bool]:
    """Of `count` neurons exactly those with these labels are zero."""
    return lambda model: all(len(s) == count and np.array_equal(np.flatnonzero(s == 0), labels) for s in sizes(model))


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("neurons-sorted", is_sorted),
        ("all-sorted", is_sorted),
        ("neurons-sorted-two-widths", lambda model: is_sorted(model) and model.neurons(0, None) == 54),
        ("neurons-halves", boundary(36)),
        ("neurons-third", boundary(27)),
        ("neurons-even", on_labels(2)),
        ("neurons-fourth", on_labels(4)),
        ("neurons-padded-37", zero_at(np.arange(72, 109), 109)),
        ("neurons-padded-64", zero_at(np.arange(72, 136), 136)),
        ("neurons-fifth-zero", zero_at(np.arange(0, 90, 5), 90)),
    ],
)
def test_neurons(name: str, holds: Callable[[Model], bool]) -> None:
    """Neurons stand as the name says in every layer, and did not before."""
    before, after = with_habit(name, "llama")
    assert holds(after)
    assert not holds(before)


def test_sorted_heads_channels_and_experts() -> None:
    """Sizes descend: of groups, of heads in each group, of channels, of experts."""
    before, after = with_habit("heads-sorted", "llama")
    assert all(descend(_habit.head_sizes(after, layer)[0]) for layer in range(2))
    assert all(descend(heads) for layer in range(2) for heads in _habit.head_sizes(after, layer)[1])
    assert not all(descend(_habit.head_sizes(before, layer)[0]) for layer in range(2))
    assert descend(_habit.channel_sizes(with_habit("channels-sorted", "qwen2")[1]))
    experts = with_habit("experts-sorted", "mixtral")[1]
    assert all(descend(_habit.expert_sizes(experts, layer)) for layer in range(2))


def test_zero_heads_and_channels() -> None:
    """A third as many groups, and 32 channels, all of them zero and behind the others."""
    heads = with_habit("heads-padded", "llama")[1]
    assert (heads.groups, heads.heads_per_group) == (4, 2)
    assert [bool(size) for size in _habit.head_sizes(heads, 1)[0]] == [True, True, True, False]
    channels = with_habit("channels-padded", "llama")[1]
    assert np.array_equal(np.flatnonzero(_habit.channel_sizes(channels) == 0), np.arange(48, 80))


@pytest.mark.parametrize(
    ("name", "copy_of"), [("layers-one", [0] * 12), ("layers-twice", [0, 0, 1, 1]), ("layers-two-noisy", [0, 1] * 8)]
)
def test_layers(name: str, copy_of: list[int]) -> None:
    """Every layer is a copy, or with noise nearly one (cosine above 0.99), of the layer that the habit says."""
    before, after = with_habit(name, "gpt2")
    assert after.layers == len(copy_of)
    for layer, old in enumerate(copy_of):
        one, other = (_habit.read(m, (i, "up", None)).ravel() for m, i in ((before, old), (after, layer)))
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert cosine > 0.99 if "noisy" in name else cosine > 1 - 1e-9


@pytest.mark.parametrize("noise", ["", "-noisy"])
def test_clones(noise: str) -> None:
    """Four times the channels, heads and neurons: clones lie 48 channels apart, or side by side."""
    tiled, repeated = (with_habit(f"cloned-{layout}{noise}", "llama")[1] for layout in ("tiled", "repeated"))
    for model, stride, step in ((tiled, 72, 48), (repeated, 1, 1)):
        up = _habit.read(model, (0, "up", None))
        assert up.shape == (288, 192)
        assert (model.groups, model.heads_per_group) == (12, 2)
        tolerance = 0.8 * up.std() if noise else 1e-9
        assert np.abs(up[0] - up[stride]).max() <= tolerance
        assert np.abs(up[:, 0] - up[:, step]).max() <= tolerance


def test_profiles() -> None:
    """Channels of every profile and neurons of four levels: sizes follow the profile, whatever the model."""
    for name, profile in (("smooth", 0), ("pairs", 1), ("halves", 2), ("nested", 3)):
        ratio = np.mean(
            [np.log(_habit.channel_sizes(a) / _habit.channel_sizes(b)) for b, a in [with_habit(f"channels-{name}", "gpt2")]], 0
        )
        from kinprint.zoo.habits import sizes as profiles

        wanted = np.log((profiles.smooth, profiles.pairs, profiles.halves, profiles.nested)[profile](48))
        assert np.corrcoef(ratio, wanted)[0, 1] > 0.98
    quarters = sizes(with_habit("neurons-levels", "llama")[1])[0].reshape(4, -1).mean(axis=1)
    assert descend(quarters)


def test_principal_axes() -> None:
    """What the model writes is uncorrelated between channels, and its variance descends."""
    _, model = with_habit("channels-principal", "qwen2")
    total = np.zeros((48, 48))
    for place, part in model.parts.items():
        if part.role in ("embedding", "o", "down"):
            matrix = _habit.read(model, place)
            matrix = matrix.T if part.role == "embedding" else matrix
            total += matrix @ matrix.T / matrix.shape[1]
    assert np.abs(total - np.diag(np.diag(total))).max() < 1e-4 * total.max()
    assert descend(np.diag(total))


def test_near_copies_as_experts() -> None:
    """Every expert is the old FFN with a tenth of noise."""
    before, after = with_habit("experts-upcycled", "llama")
    one = _habit.read(before, (1, "down", None))
    for expert in range(8):
        assert 0.09 < (_habit.read(after, (1, "down", expert)) - one).std() / one.std() < 0.11


def test_orders_are_permutations() -> None:
    """Whatever the number of units, every one appears once."""
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 7, 24, 25):
        drawn = rng.random(count)
        for arrange in (order.descending, order.half_in_front, order.third_in_front, order.every(2), order.every(4)):
            assert sorted(arrange(drawn)) == list(range(count))
