"""What is a model in a tree of folders: the one answer for the command line, the watch, the server and mirrors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinprint import discovery
from kinprint.checkpoints import formats as package
from kinprint.checkpoints.formats._format import Format
from kinprint.errors import CheckpointError
from kinprint.library.declarations.verify import models_in_mirror
from kinprint.library.inputs import models_in
from kinprint.library.model_folders import kind_of, models_below
from kinprint.library.watch import _entries, _state
from kinprint.server.folders import Folders

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Call it with the paths of empty files: the folder that holds them."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / name).touch()
        return tmp_path / "root"

    return make


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("model.safetensors", "model"),
        ("model.safetensors.index.json x.safetensors", "model"),
        ("model-00001-of-00002.safetensors", "model"),
        ("config.json a.safetensors b.safetensors", "model"),
        ("adapter_config.json adapter_model.safetensors", "model"),
        ("a.gguf", "perhaps"),
        ("a-00001-of-00001.gguf", "perhaps"),
        ("a.gguf b.gguf", "files"),
        ("config.json tokenizer.json", "nothing"),
        ("notes.txt one.kinprint", "nothing"),
        ("", "nothing"),
    ],
)
def test_what_a_folder_is(names: str, kind: str) -> None:
    """Told by names alone; a configuration without weights is a model where incomplete ones count."""
    present = set(names.split())
    assert kind_of(present) == kind
    assert kind_of(present, announced=True) == ("model" if "config.json" in present else kind)


@pytest.mark.parametrize(
    ("files", "models"),
    [
        ("model.safetensors below/model.safetensors", "."),
        ("a.gguf b.gguf c/pytorch_model.bin c/d/a.bin", "a.gguf b.gguf c"),
        ("a.gguf", "."),
        ("a.gguf c/d/model.bin", "a.gguf c/d"),
        ("one.kinprint c/two.kinprint c/model.bin", "one.kinprint c c/two.kinprint"),
        (".hidden/model.bin .model.bin notes.txt c/notes.txt", ""),
        ("c/config.json d/a.gguf", "d"),
    ],
)
def test_what_lies_below(tree: Tree, files: str, models: str) -> None:
    """A model hides what lies below it; a file that may be all of a model does not."""
    root = tree(*files.split())
    assert [str(path.relative_to(root)) for path in models_below(root)] == models.split()


def test_links_and_depth(tree: Tree, tmp_path: Path) -> None:
    """Each folder once, also where links make circles; without following them what they point to is not there."""
    root = tree("a/model.bin", "b/c/d/model.bin")
    (root / "b" / "loop").symlink_to(root)
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "model.bin").touch()
    (root / "linked").symlink_to(tmp_path / "aside")
    assert [path.name for path in models_below(root)] == ["a", "d", "linked"]
    assert [path.name for path in models_below(root, follow=False)] == ["a", "d"]
    assert [path.name for path in models_below(root, deepest=2)] == ["a", "linked"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs rights")
def test_folders_that_cannot_be_listed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error, or passed over where that is asked for; the folder itself is always an error."""
    root, ordinary = tree("a/model.bin", "shut/model.bin"), os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return ordinary(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert list(models_below(root, patient=True)) == [root / "a"]
    for folder, patient in ((root, False), (root / "shut", True)):
        with pytest.raises(CheckpointError, match="permission denied"):
            list(models_below(folder, patient=patient))


@pytest.fixture
def new_format(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A format that nothing names."""
    made = [Format("new", (".new",), lambda source: {}, stem="weights")]
    monkeypatch.setattr(discovery, "installed", lambda group: made if group == "formats" else [])
    package.formats.cache_clear()
    yield
    package.formats.cache_clear()


@pytest.mark.usefixtures("new_format")
def test_a_new_format_is_seen_by_everybody(tree: Tree) -> None:
    """The command line, the watch, the server and mirrors find its models without a line in any of them."""
    root = tree("x/weights.new", "y/a.new", "y/b.new")
    found = [root / "x", root / "y" / "a.new", root / "y" / "b.new"]
    assert models_in([str(root)]) == [str(path) for path in found]
    assert [model.path for model in Folders([root]).list()] == found
    assert list(models_in_mirror(root)) == ["x", "y/a.new", "y/b.new"]
    assert _entries(root / "y") == found[1:]
    assert _state(root / "x") is not None
