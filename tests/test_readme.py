"""The README shows what the tool prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_output_shown_is_the_output() -> None:
    """Every line shown under a command is a line that the command prints."""
    shown = re.search(r"```\n\$ kinprint (.*?)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown
    command = [sys.executable, "-c", "from kinprint.cli import main; main()", *shown[1].split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={"COLUMNS": "80"}, check=True)
    printed = {line.rstrip() for line in done.stdout.splitlines()}
    missing = [line for line in shown[2].splitlines() if line.rstrip() not in printed]
    assert missing == []


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    commands = [path.stem for path in (ROOT / "src/kinprint/cli").glob("[a-z]*.py")]
    assert [name for name in commands if f"kinprint {name}" not in text] == []
