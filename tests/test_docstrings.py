"""The name of a test is its claim; its docstring says what a name cannot: of a test of p-values, the null hypothesis."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.rglob("test_*.py"))


def untold(source: str) -> list[str]:
    """Tests of uniformity that do not say under which hypothesis."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    tests = [function for function in functions if function.name.startswith("test_")]
    uniform = [test for test in tests if any(isinstance(part, ast.Name) and part.id == "kstest" for part in ast.walk(test))]
    return [test.name for test in uniform if not (ast.get_docstring(test) or "").startswith(("H0", "Null hypothesis"))]


def test_tests_of_p_values_state_their_null_hypothesis() -> None:
    assert {path.name: names for path in FILES if (names := untold(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize("docstring", ["", '"""P-values are uniform."""'])
def test_one_that_does_not_is_noticed(docstring: str) -> None:
    assert untold(f"def test_it() -> None:\n    {docstring}\n    assert kstest([], 'uniform').pvalue") == ["test_it"]
