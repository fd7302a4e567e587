"""The notebooks run, and say what their pages show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "disputes.ipynb"
NOTEBOOKS = (NOTEBOOK, ROOT / "docs" / "notebook.ipynb")


def said(notebook: Any) -> list[str]:
    """What every code cell printed or showed, pictures aside."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.get("data", {}) for output in outputs]
    texts = [data.get("text/markdown") or data.get("text/plain", "") for data in shown if "image/svg+xml" not in data]
    return texts + [output.get("text", "") for output in outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_it_shows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure of the page is what its cell gives today."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    stored, fresh = (nbformat.read(path, as_version=4) for _ in range(2))
    client = nbclient.NotebookClient(
        fresh, timeout=PATIENCE, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    assert said(fresh) == said(stored)


def test_every_figure_has_a_source() -> None:
    import json

    published = json.loads(NOTEBOOK.with_suffix(".json").read_text())
    parts = (published["pangu_qwen"], published["pangu_qwen"]["control"], *list(published["solar_glm"].values())[1:])
    assert all(part["source"] for part in parts)
