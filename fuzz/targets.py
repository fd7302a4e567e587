"""What is parsed from strangers: where a damaged file is put, and what reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kinprint import Fingerprint
from kinprint.architectures import recognise
from kinprint.auditing.chain import read_chain
from kinprint.auditing.statements import check_audit, read_audit
from kinprint.benchmark import from_list
from kinprint.blackbox.shuffling import checks
from kinprint.blackbox.transcripts import read_transcript
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.formats import formats
from kinprint.checkpoints.formats._format import Format
from kinprint.checkpoints.remote.sparse import RemoteFile, SparseCopy
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.commitments import Stamped, check_commitment, read_commitment
from kinprint.library.declarations.statements import check_statement, read_statement
from kinprint.library.declarations.time_stamps import read_stamp
from kinprint.library.sets import open_set
from kinprint.observation import read_texts
from kinprint.observation.kept_answers import KeptAnswers
from kinprint.zoo import Lineage

CORPUS = Path(__file__).parent / "corpus"
COMPANIONS = CORPUS / "companions"
TINY = Fingerprint("tiny", {"gains.final": [1.0]})


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        name: of its folder in the corpus.
        write: puts a content, made from the seed of that name, into a folder.
        read: opens all of it; KinprintError for what is wrong.
    """

    name: str
    write: Callable[[Path, bytes, str], None]
    read: Callable[[Path], None]

    @property
    def folder(self) -> Path:
        """Where its seeds lie."""
        return CORPUS / self.name

    def seeds(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}


def as_file(name: str, **companions: str) -> Callable[[Path, bytes, str], None]:
    """The content as a file of that name, companions of the corpus beside it."""

    def write(folder: Path, content: bytes, seed: str) -> None:
        for companion, source in companions.items():
            (folder / companion.replace("__", ".")).write_bytes((COMPANIONS / source).read_bytes())
        (folder / name).write_bytes(content)

    return write


def as_header(folder: Path, content: bytes, seed: str) -> None:
    """The content as the header of a safetensors file that holds the data of its scheme."""
    data = COMPANIONS / f"{seed}.data"
    tail = data.read_bytes() if data.exists() else bytes(44)
    (folder / "model.safetensors").write_bytes(len(content).to_bytes(8, "little") + content + tail)


def as_quantised_header(folder: Path, content: bytes, seed: str) -> None:
    as_header(folder, content, seed)
    (folder / "config.json").write_bytes((CORPUS / "quantised-config" / seed).read_bytes())


def as_quantised_config(folder: Path, content: bytes, seed: str) -> None:
    as_header(folder, (CORPUS / "quantised-header" / seed).read_bytes(), seed)
    (folder / "config.json").write_bytes(content)


def as_pickle(folder: Path, content: bytes, seed: str) -> None:
    from seeds import torch_zip

    (folder / "model.pt").write_bytes(torch_zip(content))


def as_adapter(folder: Path, content: bytes, seed: str) -> None:
    for name, source in (("base", "llama"), ("adapter", "adapter")):
        (folder / name).mkdir(exist_ok=True)
        stem = "model" if name == "base" else "adapter_model"
        (folder / name / f"{stem}.safetensors").write_bytes((COMPANIONS / f"{source}.safetensors").read_bytes())
    (folder / "base" / "config.json").write_bytes((CORPUS / "config" / "llama").read_bytes())
    (folder / "adapter" / "adapter_config.json").write_bytes(content)


def whole_checkpoint(folder: Path | str) -> None:
    """Open it, read every tensor, tokenizer and card, and see it through its architecture."""
    checkpoint = open_checkpoint(folder)
    for tensor in checkpoint.tensors.values():
        array = tensor.read()
        assert array.shape == tensor.shape
        assert array.dtype == tensor.dtype
        array.tobytes()
    len(checkpoint.tokenizer), len(checkpoint.card)
    assert all(note.isprintable() for note in checkpoint.notes)
    assert checkpoint.quantization.isprintable()
    for part in recognise(checkpoint).parts:
        assert part.read().shape == part.shape


def tensors_alone(folder: Path) -> None:
    for tensor in open_checkpoint(folder).tensors.values():
        tensor.read().tobytes()


def summed(folder: Path) -> None:
    whole_checkpoint(f"{folder / 'base'}+{folder / 'adapter'}")


def fingerprint(folder: Path) -> None:
    assert Fingerprint.load(folder / "a.kinprint").digest


def record(folder: Path) -> None:
    """A copy of 4096 bytes whose record is damaged: what it does not have it fetches."""
    copy = folder / "copy"
    if not copy.exists():
        copy.write_bytes(bytes(4096))
    remote = RemoteFile("there", 4096, "v", lambda start, stop: iter([(start, bytes(stop - start))]))  # type: ignore[arg-type, return-value]
    found = SparseCopy(copy, folder / "record", remote)
    missing = found.expect(0, 4096)
    assert 0 <= missing <= 4096


def statement(folder: Path) -> None:
    found = check_statement(read_statement(folder / "statement.json"), AtHand((), lambda: TINY))
    assert json.dumps(found.to_json(), allow_nan=False)


def commitment(folder: Path) -> None:
    read = read_commitment(folder / "commitment.json")
    found = check_commitment(Stamped(read, None), AtHand((), lambda: TINY), read)
    assert json.dumps(found.to_json(), allow_nan=False)


def audit(folder: Path) -> None:
    found = check_audit(read_audit(folder / "audit.json"), AtHand((), lambda: TINY))
    assert json.dumps(found.to_json(), allow_nan=False)


def time_stamp(folder: Path) -> None:
    found = read_stamp(folder / "stamp.tsr", b"stamped\n", COMPANIONS / "authority.pem")
    assert json.dumps(found.to_json(), allow_nan=False)


def of_format(form: Format) -> Target:
    """Whole files of a checkpoint format. Its seeds lie under its first suffix, without the dot."""
    suffix = form.suffixes[0]
    return Target(suffix.removeprefix("."), as_file(f"model{suffix}"), tensors_alone)


TARGETS = (
    *(of_format(form) for form in formats()),
    Target("safetensors-header", as_header, tensors_alone),
    Target("pytorch-pickle", as_pickle, tensors_alone),
    Target("index", as_file("model.safetensors.index.json", shard__safetensors="../safetensors/small"), tensors_alone),
    Target("config", as_file("config.json", model__safetensors="llama.safetensors"), whole_checkpoint),
    Target("params", as_file("params.json", model__safetensors="llama.safetensors"), whole_checkpoint),
    Target("litgpt-config", as_file("model_config.yaml", model__safetensors="llama.safetensors"), whole_checkpoint),
    Target("tokenizer", as_file("tokenizer.json", model__safetensors="llama.safetensors"), whole_checkpoint),
    Target("vocabulary", as_file("vocab.json", model__safetensors="llama.safetensors"), whole_checkpoint),
    Target("card", as_file("README.md", model__safetensors="llama.safetensors"), whole_checkpoint),
    Target("quantised-header", as_quantised_header, whole_checkpoint),
    Target("quantised-config", as_quantised_config, whole_checkpoint),
    Target("adapter-config", as_adapter, summed),
    Target("fingerprint", as_file("a.kinprint"), fingerprint),
    Target("record", as_file("record"), record),
    Target("pairs", as_file("pairs.json"), lambda folder: from_list(folder / "pairs.json") and None),
    Target("lineage", as_file("lineage.json"), lambda folder: list(Lineage.read(folder).pairs()) and None),
    Target("statement", as_file("statement.json"), statement),
    Target("commitment", as_file("commitment.json"), commitment),
    Target("audit", as_file("audit.json"), audit),
    Target("chain", as_file("chain.toml"), lambda folder: read_chain(folder / "chain.toml") and None),
    Target("set", as_file("kinprint-set.json"), lambda folder: open_set(str(folder)) and None),
    Target("time-stamp", as_file("stamp.tsr"), time_stamp),
    Target("transcript", as_file("run.jsonl"), lambda folder: checks(read_transcript(folder / "run.jsonl")) and None),
    Target("answers", as_file("answers.jsonl"), lambda folder: KeptAnswers(folder / "answers.jsonl", "m") and None),
    Target("texts", as_file("texts.jsonl"), lambda folder: read_texts(folder / "texts.jsonl") and None),
)
"""Every parser of what comes from strangers."""
