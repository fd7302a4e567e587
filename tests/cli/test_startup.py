"""Help, the version and errors come at once: each in a process of its own, which loads nothing that works on models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

from kinprint.cli._groups import files

HEAVY = {
    "fastapi", "huggingface_hub", "jinja2", "lancedb", "ml_dtypes", "numba", "numpy", "pandas", "pyarrow", "pydantic", "ray",
    "rich", "safetensors", "scipy", "skbio", "torch", "transformers", "uvicorn", "yaml",
}  # fmt: skip
"""Packages that take longer to load than a user wants to wait for an answer that needs none of them."""

MODULES = 260
"""At most so many modules are loaded: Python and typer have about 200, and kinprint has one for each command."""

LOADED = """
import sys
sys.argv = ["kinprint", *sys.argv[1:]]
from kinprint.cli import main
try:
    main()
finally:
    print(" ".join(sys.modules), file=sys.stderr)
"""

GROUPS = {"black-box": "palimpsest", "cache": "list", "library": "list", "zoo": "build"}
"""Commands of commands, and one of each."""


def run(*arguments: str) -> tuple[int, str, list[str], list[str]]:
    """Exit code, what is printed on stdout, the lines of errors, and the modules that were loaded."""
    command = [sys.executable, "-c", LOADED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    *errors, loaded = done.stderr.splitlines()
    return done.returncode, done.stdout, errors, loaded.split()


def heavy(loaded: list[str]) -> set[str]:
    return HEAVY & {name.partition(".")[0] for name in loaded}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        *([name, "--help"] for name in files("kinprint.cli") if name != "transform"),
        *([name, member, "--help"] for name, member in GROUPS.items()),
    ],
    ids=" ".join,
)
def test_help_and_version(arguments: list[str]) -> None:
    """`kinprint transform` is left out: its options are those of functions that work on arrays."""
    code, said, errors, loaded = run(*arguments)
    assert (code, errors) == (0, [])
    assert "kinprint" in said
    assert heavy(loaded) == set()
    assert len(loaded) <= MODULES


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["compare", "nosuch", "other"], 1, "kinprint: nosuch: no such file or folder; check the path"),
        (["compare", ".", "models/of/nobody"], 1, "kinprint: models/of/nobody: no such file or folder; check the path"),
        (["fingerprint", "nosuch.kinprint"], 1, "kinprint: nosuch.kinprint: no such file or folder; check the path"),
        (["identify", "nosuch", "--library", "lib"], 1, "kinprint: nosuch: no such file or folder; check the path"),
        (["library", "add", "nosuch", "--library", "lib"], 1, "kinprint: nosuch: no such file or folder; check the path"),
        (["compar", "a", "b"], 2, "Error: No such command 'compar'"),
        (["compare", "a"], 2, "Error: Missing argument"),
        (["compare", "a", "b", "--deep", "--quick"], 2, "Error: Invalid value for --deep"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_mistyped(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    found, said, errors, loaded = run(*arguments)
    assert (found, said) == (code, "")
    assert errors[-1].startswith(message)
    assert heavy(loaded) == set()
    assert len(loaded) <= MODULES


def test_a_value_of_another_type_is_refused() -> None:
    """Only what has its type already is taken as it is."""
    code, _, errors, _ = run("compare", "a", "b", "--alpha", "seven")
    assert code == 2
    assert "--alpha" in errors[-1]


def test_the_package_loads_what_is_used() -> None:
    """A comparison of fingerprints needs no statistics of scipy, nothing that reads other formats, and no page."""
    code = """
import sys, kinprint, numpy
a = kinprint.Fingerprint("a", {"gains.final": numpy.ones(64)}, {"hidden_size": 64})
kinprint.compare(a, a)
print(" ".join(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    loaded = set(done.stdout.split())
    absent = {"scipy.stats", "gguf", "huggingface_hub", "jinja2", "lancedb", "pandas", "rich", "torch", "typer"}
    assert absent & loaded == set()
