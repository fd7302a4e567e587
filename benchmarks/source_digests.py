"""Digests of source files that change with what the code does, not with how it looks.

Comments, docstrings and formatting of Python count for nothing, nor do comments of TOML. A tree of sources is a mapping of
paths to bytes, from the disk or from a commit, so that both are digested by the same code.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import subprocess
import tarfile
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

FOLDERS = ("src", "benchmarks", "fuzz", "tests")
SUFFIXES = (".py", ".toml")
LENGTH = 12

Tree = Mapping[str, bytes]


def on_disk(root: Path) -> Tree:
    """The sources below `root`, by their paths from there."""
    found = (path for folder in FOLDERS for path in (root / folder).rglob("*") if path.suffix in SUFFIXES)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def at_commit(root: Path, commit: str) -> Tree:
    """The sources as a commit has them.

    Raises:
        subprocess.CalledProcessError: there is no such commit here, perhaps because the history was not fetched.
    """
    names = subprocess.run(
        ["git", "ls-tree", "--name-only", commit], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    folders = [folder for folder in FOLDERS if folder in names.split()]
    packed = subprocess.run(["git", "archive", commit, *folders], cwd=root, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [member for member in archive if member.isfile() and Path(member.name).suffix in SUFFIXES]
        return {member.name: file.read() for member in members if (file := archive.extractfile(member)) is not None}


def matching(tree: Tree, patterns: Iterable[str]) -> list[str]:
    """The paths that a pattern matches, sorted; `*` stands for any characters, `/` among them."""
    wanted = list(patterns)
    return sorted(path for path in tree if any(fnmatchcase(path, pattern) for pattern in wanted))


def digest(tree: Tree, paths: Iterable[str]) -> str:
    """One digest of several files."""
    return digest_of_text("\n".join(f"{path} {of_file(Path(path).suffix, tree[path])}" for path in sorted(paths)))


def digest_of_text(text: str) -> str:
    """The leading hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


@cache
def of_file(suffix: str, content: bytes) -> str:
    """The digest of one file, of what counts in it."""
    text = content.decode("utf-8")
    if suffix == ".py":
        return digest_of_text(_written(ast.parse(text)))
    return digest_of_text(json.dumps(tomllib.loads(text), sort_keys=True, default=str))


def with_imports(tree: Tree, script: str) -> set[str]:
    """A script, and the modules of its own folder that it imports, directly or not."""
    folder, waiting, found = script.rpartition("/")[0], [script], set()
    while waiting:
        path = waiting.pop()
        if path in tree and path not in found:
            found.add(path)
            waiting += [f"{folder}/{name}.py" for name in _imported(ast.parse(tree[path]))]
    return found


def _imported(module: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def _written(value: object) -> str:
    """A syntax tree as text. Empty fields are left out: which there are depends on the version of Python."""
    if isinstance(value, ast.Constant):
        return repr(value.value)
    if isinstance(value, ast.AST):
        fields = ((name, part) for name, part in ast.iter_fields(value) if part is not None and part != [])
        return f"{type(value).__name__}({','.join(f'{name}={_written(part)}' for name, part in fields)})"
    if isinstance(value, list):
        return f"[{','.join(_written(part) for part in value if not _says_nothing(part))}]"
    return repr(value)


def _says_nothing(statement: object) -> bool:
    """A docstring, of whatever it is."""
    return (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    )
