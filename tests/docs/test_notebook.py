"""The notebooks say what their pages show. Their cells run here, without a kernel, which takes most of a minute to start."""

from __future__ import annotations

import ast
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "disputes.ipynb"
NOTEBOOKS = (NOTEBOOK, ROOT / "docs" / "notebook.ipynb")


def run(source: str, names: dict[str, Any]) -> tuple[str, str]:
    """Run a cell: what it prints, and what its last expression is as Markdown or text; pictures are left out."""
    body = ast.parse(source)
    last = ast.Expression(body.body.pop().value) if isinstance(body.body[-1], ast.Expr) else None  # type: ignore[attr-defined]
    with redirect_stdout(StringIO()) as printed:
        exec(compile(body, "cell", "exec"), names)
        value = None if last is None else eval(compile(last, "cell", "eval"), names)
    if value is None or hasattr(value, "_repr_svg_"):
        return printed.getvalue(), ""
    return printed.getvalue(), value._repr_markdown_() if hasattr(value, "_repr_markdown_") else repr(value)


def stored(outputs: list[Any]) -> tuple[str, str]:
    """The same as the page shows it."""
    shown = [output["data"] for output in outputs if "data" in output and "image/svg+xml" not in output["data"]]
    texts = [data.get("text/markdown") or data.get("text/plain", "") for data in shown]
    return "".join(output.get("text", "") for output in outputs), "".join(texts)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_shows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure of the page is what its cell gives today."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(path.parent)
    names: dict[str, Any] = {}
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert any(any(stored(cell.outputs)) for cell in cells)
    for cell in cells:
        assert run(cell.source, names) == stored(cell.outputs)


def test_every_figure_has_a_source() -> None:
    import json

    published = json.loads(NOTEBOOK.with_suffix(".json").read_text())
    parts = (published["pangu_qwen"], published["pangu_qwen"]["control"], *list(published["solar_glm"].values())[1:])
    assert all(part["source"] for part in parts)
