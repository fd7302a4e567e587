"""What is long is said before, and bytes are those that the user sees."""

from __future__ import annotations

import io
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from command_line import kinprint

from kinprint.architectures import Part, Weights, open_model
from kinprint.cli._estimates import RATE, compared, deep_expectation, expectation, told
from kinprint.cli._models import say_deep


@pytest.mark.parametrize(
    ("size", "words"),
    [(1e9, None), (14e9, "14.0 GB to read, about 35 s"), (140e9, "140.0 GB to read, about 6 minutes"), (3e12, "about 2 h")],
)
def test_only_what_is_long_is_said(size: float, words: str | None) -> None:
    said = expectation(int(size))
    assert said is words is None or (said or "").endswith(words or "?")


def test_it_is_said_once_and_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    packed = tmp_path / "model.gguf"
    packed.write_bytes(b"x" * 1000)
    seen: list[tuple[int, int]] = []
    said: list[str] = []
    tell = told(str(packed), lambda *bytes_: seen.append(bytes_), said.append)
    total = int(100 * RATE)
    for done in (0, total // 2, total):
        tell(done, total)
    assert seen == [(0, 1000), (500, 1000), (1000, 1000)]
    assert len(said) == 1
    told(str(tmp_path), lambda *bytes_: seen.append(bytes_), said.append)(3, 7)
    assert seen[-1] == (3, 7)
    assert len(said) == 1


def sized(layers: int, width: int, neurons: int, experts: int = 1) -> Weights:
    """A model of these sizes whose weights cannot be read: nothing but sizes may be asked for."""

    def unread() -> NoReturn:
        raise AssertionError("a weight was read")

    shapes = {"gate": (neurons, width), "up": (neurons, width), "down": (width, neurons), "q": (width, width)}
    parts = {
        (layer, role, expert if experts > 1 else None): Part(
            role, layer, expert if experts > 1 else None, (), shape, np.dtype(np.float32), "", unread
        )
        for layer in range(layers)
        for expert in range(experts)
        for role, shape in shapes.items()
    }
    return Weights("model", "model", {"num_hidden_layers": layers, "hidden_size": width}, parts, {})


LLAMA = (32, 4096, 11008)
SMOL = (30, 576, 1536)


@pytest.mark.parametrize(
    ("reference", "suspect", "words"),
    [
        (SMOL, SMOL, None),
        (LLAMA, LLAMA, "--deep compares 12 layers, 3.2 billion weights of both, about 43 s"),
        ((32, 4096, 14336), (32, 4096, 14336), "about 52 s"),
        ((80, 8192, 28672), (32, 4096, 14336), "12 layers, 47.2 billion weights of both, about 7 minutes"),
        ((32, 4096, 14336), (80, 8192, 28672), "12 layers, 14.1 billion weights of both, about 2 minutes"),
        ((48, 2048, 768, 128), (48, 2048, 768, 128), "12 layers, 14.5 billion weights of both, about 2 minutes"),
    ],
)
def test_deep_is_estimated_from_the_sizes_of_both_models(
    reference: tuple[int, ...], suspect: tuple[int, ...], words: str | None
) -> None:
    """Of models of unequal depth up to 64 layers of the reference are read."""
    said = deep_expectation(sized(*reference), sized(*suspect))
    assert said is words is None or (said or "").endswith(words or "?")


def test_scores_of_whole_checkpoints_are_in_the_estimate() -> None:
    """They look at all layers, and make maps of the whole stream."""
    said = deep_expectation(sized(*LLAMA), sized(*LLAMA), scores=True)
    assert said == "--deep compares 12 layers, 3.2 billion weights of both, scores all of them, about 7 minutes"
    assert (deep_expectation(sized(*SMOL), sized(*SMOL), scores=True) or "").endswith("about 52 s")
    assert deep_expectation(sized(4, 128, 256), sized(4, 128, 256), scores=True) is None


def test_the_layers_of_the_estimate_are_those_that_are_read(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kinprint.matching import search

    read = dict[str, int]()
    measured = search.neurons

    def noted(weights: Weights, layers: tuple[int, ...]) -> object:
        read[weights.name] = len(layers)
        return measured(weights, layers)

    monkeypatch.setattr(search, "neurons", noted)
    pair = open_model(models / "base").weights, open_model(models / "twin").weights
    search.correspondence(*pair)
    layers, weights = compared(*pair)
    assert layers == read["twin"]
    ffn = [part for (_, role, _), part in pair[0].parts.items() if role in ("gate", "up", "down")]
    assert weights == 2 * sum(part.shape[0] * part.shape[1] for part in ffn)


@pytest.mark.parametrize("scores", [False, True])
def test_deep_is_told_before_anything_is_read(models: Path, monkeypatch: pytest.MonkeyPatch, scores: bool) -> None:
    """To who looks on; a log of a pipeline holds no guesses."""
    monkeypatch.setattr("kinprint.cli._estimates.LONG", 1e-6)

    def told_to(terminal: bool) -> str:
        said = io.StringIO()
        monkeypatch.setattr(said, "isatty", lambda: terminal)
        with redirect_stderr(said):
            say_deep(open_model(models / "base").weights, open_model(models / "twin").weights, scores=scores)
        return said.getvalue()

    assert told_to(False) == ""
    assert told_to(True).startswith("kinprint: base and twin: --deep compares ")
    assert ("scores all of them" in told_to(True)) is scores


@pytest.mark.parametrize("command", ["compare", "replay", "verify"])
def test_every_command_with_deep_says_it(command: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("kinprint.cli._models.deep_expectation", lambda a, b, scores=False: said.append(f"{a.name} {b.name}"))
    base, twin = str(models / "base"), str(models / "twin")
    if command == "verify":
        alone = tmp_path / "twin"
        shutil.copytree(models / "twin", alone)
        (alone / "README.md").write_text("---\nbase_model: base\n---\n")
        kinprint("verify", alone, "--models", models, "--offline")
    elif command == "replay":
        done = kinprint("compare", base, twin, "--deep", "--json", "--no-cache")
        (tmp_path / "made.json").write_text(done.stdout)
        said.clear()
        assert kinprint("replay", tmp_path / "made.json", base, twin).returncode == 0
    else:
        assert kinprint("compare", base, twin, "--deep").returncode == 0
    assert said == ["base twin"]
