"""Building a zoo: complete members or none, the same weights from the same recipe, an interrupted build goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner
from waiting import PATIENCE, until

from kinprint import open_checkpoint
from kinprint.cli import app
from kinprint.errors import MissingExtraError, ZooError
from kinprint.zoo import Lineage, families
from kinprint.zoo.build import build
from kinprint.zoo.recipes import Recipe, Train, Transform, habitual, recipes

pytest.importorskip("torch")
pytest.importorskip("transformers")

SHORT = replace(families.SHAPES["tiny"], hidden=48, layers=2, neurons=64, steps=3, batch=2, length=16)


def some(*names: str) -> tuple[Recipe, ...]:
    return tuple(recipe for recipe in recipes("tiny") if recipe.member.name in names)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of training of a very small shape; workers learn it through the environment of the test."""
    monkeypatch.setitem(families.SHAPES, "tiny", SHORT)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in this process rather than in workers, which would not see the short shape."""

    class Pool:
        _processes = None

        def __init__(self, *_: object, **__: object) -> None: ...

        def submit(self, function, *arguments):  # type: ignore[no-untyped-def]
            from concurrent.futures import Future

            future: Future[str] = Future()
            future.set_result(function(*arguments))
            return future

        def shutdown(self, **_: object) -> None: ...

    import queue

    monkeypatch.setattr("kinprint.zoo.build.ProcessPoolExecutor", Pool)
    monkeypatch.setattr("kinprint.zoo.build._messages", queue.Queue())


@pytest.mark.usefixtures("here")
def test_same_recipe_same_weights(tmp_path: Path) -> None:
    """Two builds give the same bits: fresh weights, training, low-rank additions."""
    for zoo in ("one", "two"):
        build(tmp_path / zoo, "tiny", only=some("llama-base", "llama-lora"))
    for name in ("llama-base", "llama-lora"):
        one, two = ((tmp_path / zoo / name / "model.safetensors").read_bytes() for zoo in ("one", "two"))
        assert one == two


@pytest.mark.usefixtures("here")
def test_members_are_models_with_cards(tmp_path: Path) -> None:
    """Every folder opens; its card declares its parents, its tokenizer is there, the lineage lists it."""
    names = ("llama-base", "llama-finetune", "llama-sibling", "llama-merged-ties", "llama-swapped", "llama-student")
    lineage = build(tmp_path, "tiny", only=some(*names))
    assert Lineage.read(tmp_path) == lineage
    assert tuple(lineage.members) == tuple(name for name in lineage.members if name in names)
    cards = {name: open_checkpoint(tmp_path / name) for name in names}
    assert cards["llama-base"].card.get("base_model") is None
    assert cards["llama-student"].card.get("base_model") is None
    assert cards["llama-finetune"].card["base_model"] == "llama-base"
    assert cards["llama-merged-ties"].card["base_model"] == ["llama-finetune", "llama-sibling"]
    assert cards["llama-swapped"].tokenizer != cards["llama-base"].tokenizer
    assert all(len(model.tokenizer) == SHORT.vocabulary for model in cards.values())


@pytest.mark.usefixtures("here")
def test_training_on_lora_changes_queries_and_values_only(tmp_path: Path) -> None:
    """Low-rank additions: the difference to the base has rank at most 8 in q and v and is zero elsewhere."""
    import numpy as np

    build(tmp_path, "tiny", only=some("llama-base", "llama-lora"))
    before, after = (open_checkpoint(tmp_path / name).tensors for name in ("llama-base", "llama-lora"))
    for name, tensor in before.items():
        difference = after[name].read().astype(np.float64) - tensor.read().astype(np.float64)
        assert bool(difference.any()) == ("q_proj" in name or "v_proj" in name), name


@pytest.mark.usefixtures("here")
def test_members_with_habits(tmp_path: Path) -> None:
    """A copy with twice the layers, and its noisy child, are made and named in the lineage; the base keeps its folder."""
    names = ("llama-base", "llama-base-repeated", "llama-base-repeated-noisy")
    lineage = build(tmp_path, "tiny", only=tuple(recipe for recipe in habitual("tiny") if recipe.member.name in names))
    assert tuple(lineage.members) == names
    assert Lineage.read(tmp_path).members["llama-base-repeated"].habit == "layers-twice"
    layers = [open_checkpoint(tmp_path / name).config["num_hidden_layers"] for name in names]
    assert layers == [SHORT.layers, 2 * SHORT.layers, 2 * SHORT.layers]


@pytest.mark.usefixtures("here")
def test_finished_members_are_kept_and_changed_ones_made_again(tmp_path: Path) -> None:
    """A second build touches nothing; a recipe that changed is built again, with its descendants."""
    chosen = some("llama-base", "llama-finetune", "gpt2-base")
    build(tmp_path, "tiny", only=chosen)
    stamps = {name: (tmp_path / name).stat().st_mtime_ns for name in ("llama-base", "llama-finetune", "gpt2-base")}
    states: list[int] = []
    build(tmp_path, "tiny", only=chosen, watch=lambda state: states.append(state.done))
    assert stamps == {name: (tmp_path / name).stat().st_mtime_ns for name in stamps}
    changed = tuple(replace(r, steps=(*r.steps, Train(length=0.4))) if r.member.name == "llama-base" else r for r in chosen)
    build(tmp_path, "tiny", only=changed)
    new = {name for name in stamps if stamps[name] != (tmp_path / name).stat().st_mtime_ns}
    assert new == {"llama-base", "llama-finetune"}


@pytest.mark.usefixtures("here")
def test_a_failure_costs_only_what_depends_on_it(tmp_path: Path) -> None:
    """One clear error; members that do not descend from the failure are there and listed."""
    chosen = tuple(
        replace(r, steps=(Transform("prune", {"amount": 7.0}),)) if r.member.name == "llama-finetune" else r
        for r in some("llama-base", "llama-finetune", "llama-grandchild", "gpt2-base")
    )
    with pytest.raises(ZooError, match=r"llama-finetune.*cannot prune"):
        build(tmp_path, "tiny", only=chosen)
    assert set(Lineage.read(tmp_path).members) == {"llama-base", "gpt2-base"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    """Killed at several moments of a real build, then run to the end: every member whole, nothing half-written left."""
    program = f"""
from dataclasses import replace
from kinprint.zoo.build import build
from kinprint.zoo.recipes import recipes

if __name__ == "__main__":
    chosen = [recipe for recipe in recipes("tiny") if recipe.member.name in ("llama-base", "gpt2-base")]
    untrained = tuple(replace(recipe, steps=recipe.steps[:1]) for recipe in chosen)
    build({str(tmp_path / "zoo")!r}, "tiny", only=untrained, jobs=1)
"""
    script = tmp_path / "script.py"
    script.write_text(program)
    for sign in (".*", "*-base"):  # a member has been begun, one is done
        process = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.DEVNULL)
        until(lambda sign=sign, process=process: [*(tmp_path / "zoo").glob(sign)] or process.poll() is not None, every=0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for folder in (tmp_path / "zoo").glob("*-base"):
            assert all(tensor.read().size for tensor in open_checkpoint(folder).tensors.values())
    subprocess.run([sys.executable, str(script)], check=True, timeout=PATIENCE)
    assert set(Lineage.read(tmp_path / "zoo").members) == {"llama-base", "gpt2-base"}
    assert not [path for path in (tmp_path / "zoo").iterdir() if path.name.startswith(".")]


def test_what_makes_no_sense_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown sizes and devices, a GPU that is not there, a folder that cannot be, an extra that is missing: one error each."""
    with pytest.raises(ZooError, match="tiny, small, medium"):
        build(tmp_path, "huge")
    with pytest.raises(ZooError, match="cpu, cuda"):
        build(tmp_path / "zoo", "tiny", device="tpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ZooError, match="no GPU"):
        build(tmp_path / "zoo", "tiny", device="cuda")
    assert not (tmp_path / "zoo").exists()  # refused before anything was written
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="cannot be written"):
        build(tmp_path / "file", "tiny")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"kinprint\[behaviour\]"):
        build(tmp_path / "zoo", "tiny")


def test_list_shows_what_a_size_would_hold(tmp_path: Path) -> None:
    """Without a folder the recipes; with one its lineage; as JSON one object."""
    result = CliRunner().invoke(app, ["zoo", "list", "--json"])
    assert {size: len(members) for size, members in json.loads(result.output).items()}.keys() == {"tiny", "small", "medium"}
    Lineage("tiny", {recipe.member.name: recipe.member for recipe in some("llama-base", "llama-finetune")}).write(tmp_path)
    result = CliRunner().invoke(app, ["zoo", "list", str(tmp_path)])
    assert "llama-finetune" in result.output
    assert CliRunner().invoke(app, ["zoo", "list", str(tmp_path / "none")]).exception is not None


def test_list_counts_parameters(models: Path, tmp_path: Path) -> None:
    """A member that is there shows its parameters as stored, one that is not says so; names are never cut."""
    names = ("llama-base", "llama-pruned-magnitude")
    Lineage("tiny", {recipe.member.name: recipe.member for recipe in some(*names)}).write(tmp_path)
    (tmp_path / "llama-base").symlink_to(models / "base")
    expected = sum(tensor.read().size for tensor in open_checkpoint(models / "base").tensors.values())
    listed = json.loads(CliRunner().invoke(app, ["zoo", "list", str(tmp_path), "--json"]).output)["tiny"]
    assert [member["parameters"] for member in listed] == [expected, None]
    shown = CliRunner().invoke(app, ["zoo", "list", str(tmp_path)]).output
    assert f"{expected:,}" in shown
    assert "missing" in shown
    assert "…" not in shown
