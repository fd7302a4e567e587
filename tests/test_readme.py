"""The README names every command; that its examples print what they show is in tests/docs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    commands = [path.stem for path in (ROOT / "src/kinprint/cli").glob("[a-z]*.py")]
    assert [name for name in commands if f"kinprint {name}" not in text] == []
