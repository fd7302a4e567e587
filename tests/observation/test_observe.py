"""Observed traits and their methods against straightforward computations on raw states, logits and probabilities."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from scipy.spatial.distance import pdist, squareform

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from kinprint import Fingerprint, compare  # noqa: E402
from kinprint.errors import ObservationError  # noqa: E402
from kinprint.methods import activation_norms, logits, quere, reef  # noqa: E402
from kinprint.observation import Probe, Request, observe, shipped  # noqa: E402
from kinprint.observation.answers import followup_prompt, question_prompt  # noqa: E402

MODELS = Path(__file__).parents[2] / "examples" / "models"
PROBE = Probe(shipped().texts[:40:2], shipped().questions[:2], shipped().followups[:3])
REQUEST = Request(PROBE, longest=48, batch=3)


@pytest.fixture(scope="module")
def observed() -> dict[str, Fingerprint]:
    return {name: observe(str(MODELS / name), REQUEST) for name in ("base", "finetune", "twin")}


@pytest.fixture(scope="module")
def raw() -> dict[str, dict[str, Any]]:
    """What each model does, a text at a time, without padding."""
    found = {}
    for name in ("base", "finetune", "twin"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(MODELS / name)
        model = transformers.AutoModelForCausalLM.from_pretrained(MODELS / name, dtype=torch.float32).eval()
        states, norms, last = [], [], []
        for text in PROBE.texts:
            ids = torch.tensor([tokenizer.encode(text)[:48]])
            with torch.no_grad():
                output = model(ids, output_hidden_states=True)
            layers = torch.stack(output.hidden_states[1:])[:, 0]
            states.append(layers[:, -1].numpy())
            norms.append(layers.norm(dim=-1).numpy())
            last.append(output.logits[0, -1].numpy())
        found[name] = {
            "states": np.stack(states, 1).astype(np.float64),
            "norms": np.concatenate(norms, 1).astype(np.float64),
            "logits": np.stack(last).astype(np.float64),
            "model": model,
            "tokenizer": tokenizer,
        }
    return found


def cka(k: Any, other: Any) -> float:
    centre = np.eye(len(k)) - 1 / len(k)
    a, b = centre @ k @ centre, centre @ other @ centre
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def gaussian(states: Any) -> Any:
    distances = squareform(pdist(states, "sqeuclidean"))
    return np.exp(-distances / (2 * np.median(distances[~np.eye(len(states), dtype=bool)])))


@pytest.mark.parametrize("other", ["finetune", "twin"])
def test_reef_is_cka_of_raw_states(observed: dict[str, Fingerprint], raw: dict[str, Any], other: str) -> None:
    """Linear and RBF CKA of the states themselves, layer by layer: to 1e-5."""
    evidence = reef.METHOD(observed["base"], observed[other])
    a, b = raw["base"]["states"], raw[other]["states"]
    linear = [cka(x @ x.T, y @ y.T) for x, y in zip(a, b, strict=True)]
    radial = [cka(gaussian(x), gaussian(y)) for x, y in zip(a, b, strict=True)]
    assert evidence.statistic == pytest.approx(np.mean(linear), abs=1e-5)
    assert evidence.parts["rbf"] == pytest.approx(np.mean(radial), abs=1e-5)
    assert evidence.across is not None
    assert evidence.across[0][-1] == pytest.approx(cka(a[-1] @ a[-1].T, b[0] @ b[0].T), abs=1e-5)
    assert json.dumps(evidence.to_json())


@pytest.mark.parametrize("other", ["finetune", "twin"])
def test_logits_is_a_least_squares_fit(observed: dict[str, Fingerprint], raw: dict[str, Any], other: str) -> None:
    """The share of each logit vector that a least-squares combination of the head's columns explains: to 1e-5."""
    evidence = logits.METHOD(observed["base"], observed[other])
    vocabulary = raw["base"]["tokenizer"].get_vocab()
    from kinprint.observation.hidden import chosen_tokens, tested_tokens

    head = raw["base"]["model"].get_output_embeddings().weight.detach().numpy().astype(np.float64)
    ids, _ = chosen_tokens(vocabulary, len(head))
    ids = ids[: tested_tokens(len(ids), head.shape[1])]
    vectors = raw[other]["logits"][:, ids].T
    fit = head[ids] @ np.linalg.lstsq(head[ids], vectors, rcond=None)[0]
    shares = (fit**2).sum(0) / (vectors**2).sum(0)
    assert evidence.statistic == pytest.approx(shares.mean(), abs=1e-5)
    assert logits.METHOD(observed["base"], observed["base"]).statistic == pytest.approx(1, abs=1e-5)


def test_activation_norms_are_those_of_the_states(observed: dict[str, Fingerprint], raw: dict[str, Any]) -> None:
    """Mean and standard deviation over every token, padding left out: to 1e-5 of their size."""
    for name, model in observed.items():
        norms = raw[name]["norms"]
        expected = np.stack([norms.mean(1), norms.std(1)], axis=1)
        np.testing.assert_allclose(model.traits["activations.norms"], expected, rtol=1e-5)
    evidence = activation_norms.METHOD(observed["base"], observed["twin"])
    curves = [np.log(raw[name]["norms"].mean(1)) for name in ("base", "twin")]
    assert evidence.statistic == pytest.approx(np.corrcoef(*curves)[0, 1], abs=1e-5)


def test_quere_is_the_probability_of_yes(observed: dict[str, Fingerprint], raw: dict[str, Any]) -> None:
    """Greedy answers and next-token probabilities worked out one prompt at a time: to 1e-5."""
    for name in ("base", "twin"):
        model, tokenizer = raw[name]["model"], raw[name]["tokenizer"]
        firsts = [
            {tokenizer.encode(form)[0] for form in (word, word.capitalize(), f" {word}", f" {word.capitalize()}")}
            for word in ("yes", "no")
        ]
        expected = np.empty((2, 3))
        for row, question in enumerate(PROBE.questions):
            ids = tokenizer.encode(question_prompt(question))
            for _ in range(24):
                with torch.no_grad():
                    ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
            answer = tokenizer.decode(ids[len(tokenizer.encode(question_prompt(question))) :])
            for column, followup in enumerate(PROBE.followups):
                prompt = torch.tensor([tokenizer.encode(followup_prompt(question, answer, followup))])
                with torch.no_grad():
                    chances = model(prompt).logits[0, -1].double().softmax(0)
                yes, no = (chances[sorted(a - b)].sum() for a, b in (firsts, firsts[::-1]))
                expected[row, column] = yes / (yes + no)
        np.testing.assert_allclose(observed[name].traits["answers.yes"], expected, atol=1e-5)
    assert quere.METHOD(observed["base"], observed["base"]).statistic == pytest.approx(1)


def test_scores_never_decide(observed: dict[str, Fingerprint]) -> None:
    """With behaviour alone nothing can be tested; with weights the verdict is that of the weights."""
    assert compare(observed["base"], observed["finetune"]).verdict == "related"
    names = {item.method for item in compare(observed["base"], observed["twin"]).scores if item.applies}
    assert {"reef", "logits", "quere", "activation-norms"} <= names
    bare = [
        Fingerprint(name, {k: v for k, v in observed[name].traits.items() if k in ("hidden.grams", "answers.yes")}, facts)
        for name in ("base", "finetune")
        for facts in ({k: observed[name].facts[k] for k in ("probe_texts", "probe_questions", "observed_tokens")},)
    ]
    assert compare(*bare).verdict == "untestable"


def test_models_that_were_not_observed_hear_nothing_of_it() -> None:
    names = {item.method for item in compare(MODELS / "base", MODELS / "twin").evidence}
    assert not {"reef", "logits", "quere", "activation-norms"} & names


def test_observed_and_not_observed(observed: dict[str, Fingerprint]) -> None:
    evidence = {item.method: item for item in compare(observed["base"], MODELS / "twin").evidence}
    assert "kinprint observe" in evidence["reef"].note


def test_other_texts_are_not_compared(observed: dict[str, Fingerprint]) -> None:
    other = observe(str(MODELS / "base"), Request(Probe(PROBE.texts[:5], (), ()), longest=48))
    assert "different texts" in reef.METHOD(observed["base"], other).note
    assert "answers.yes" not in other.traits


def test_traits_do_not_depend_on_the_batch() -> None:
    one, many = (observe(str(MODELS / "base"), Request(PROBE, longest=48, batch=batch)) for batch in (1, 20))
    np.testing.assert_allclose(one.traits["hidden.grams"], many.traits["hidden.grams"], rtol=1e-4, atol=1e-3)


def test_a_model_larger_than_memory(observed: dict[str, Fingerprint]) -> None:
    """Most layers stay on disk while it runs; what it does is the same."""
    pytest.importorskip("accelerate")
    request = replace(REQUEST, device="auto", dtype="float32", memory="1500KB")
    found = observe(str(MODELS / "base"), request)
    for trait in ("hidden.grams", "logits.probe", "answers.yes"):
        np.testing.assert_allclose(found.traits[trait], observed["base"].traits[trait], rtol=1e-4, atol=1e-3)


def changed(folder: Path, **config: Any) -> Path:
    """A copy of a shipped model with another configuration."""
    shutil.copytree(MODELS / "base", folder)
    content = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(content))
    return folder


def test_short_context_window(tmp_path: Path) -> None:
    """Texts are cut, prompts lose their beginning, and the fingerprint says so."""
    folder = changed(tmp_path / "short", max_position_embeddings=40)
    found = observe(str(folder), Request(PROBE, longest=256))
    assert any("did not fit the context window" in note for note in found.provenance["observation"]["notes"])
    assert np.isfinite(found.traits["answers.yes"]).all()


def test_a_model_that_gives_nan(tmp_path: Path) -> None:
    """NaN in one weight: it is observed, the note says so, and the methods decline instead of failing."""
    folder = changed(tmp_path / "broken")
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layers.1.mlp.down_proj.weight"))
    tensors[name] = tensors[name].copy()
    tensors[name][0, 0] = np.nan
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    found, sound = observe(str(folder), REQUEST), observe(str(MODELS / "base"), REQUEST)
    assert any("not finite" in note for note in found.provenance["observation"]["notes"])
    for method in (reef, logits, quere, activation_norms):
        assert not method.METHOD(sound, found).applies


def test_another_vocabulary(observed: dict[str, Fingerprint], tmp_path: Path) -> None:
    """A model with other token strings: its logits cannot be laid beside the reference's, the rest can."""
    folder = changed(tmp_path / "renamed")
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    merged = {
        part
        for merge in content["model"].get("merges", [])
        for part in (merge if isinstance(merge, list) else merge.split(" "))
    }
    spare = next(token for token in reversed(list(vocabulary)) if token not in merged and len(token) > 1)
    content["model"]["merges"] = [
        m for m in content["model"]["merges"] if "".join(m if isinstance(m, list) else m.split(" ")) != spare
    ]
    vocabulary["\u0141\u0141"] = vocabulary.pop(spare)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    other = observe(str(folder), REQUEST)
    assert "different vocabularies" in logits.METHOD(observed["base"], other).note
    assert reef.METHOD(observed["base"], other).applies


def test_code_of_a_model_is_not_run(tmp_path: Path) -> None:
    folder = changed(
        tmp_path / "custom", model_type="custom", auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.M"}
    )
    (folder / "evil.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
    with pytest.raises(ObservationError, match="not run"):
        observe(str(folder), REQUEST)
    assert not list(folder.glob("**/ran"))


def test_no_tokenizer(tmp_path: Path) -> None:
    folder = changed(tmp_path / "mute")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ObservationError, match="cannot load"):
        observe(str(folder), REQUEST)
