"""The notebooks run, and say what their pages show."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "disputes.ipynb"


def said(notebook: Any) -> list[str]:
    """What every code cell printed or showed, pictures aside."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.get("data", {}) for output in outputs]
    texts = [data.get("text/markdown") or data.get("text/plain", "") for data in shown if "image/svg+xml" not in data]
    return texts + [output.get("text", "") for output in outputs]


def test_the_disputes_say_what_they_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure of the page is what its cell gives today, in a kernel of its own."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    stored, fresh = (nbformat.read(NOTEBOOK, as_version=4) for _ in range(2))
    client = nbclient.NotebookClient(
        fresh, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    )
    client.execute()
    assert said(fresh) == said(stored)


def test_the_notebook_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells print texts alone, so they need no kernel, which takes most of a minute to start and to compile."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(ROOT / "docs")
    names: dict[str, object] = {}
    for cell in nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            with redirect_stdout(StringIO()) as printed:
                exec(cell.source, names)
            assert printed.getvalue() == "".join(output.get("text", "") for output in cell.outputs)


def test_every_figure_has_a_source() -> None:
    import json

    published = json.loads(NOTEBOOK.with_suffix(".json").read_text())
    parts = (published["pangu_qwen"], published["pangu_qwen"]["control"], *list(published["solar_glm"].values())[1:])
    assert all(part["source"] for part in parts)
