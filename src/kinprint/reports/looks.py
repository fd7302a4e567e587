"""The looks of verdicts on a terminal, the same in every report. None is a colour of guilt or innocence: what was found is bold
blue, what was not is grey, and yellow is for what could not be tested or read."""

from __future__ import annotations

FOUND = "bold blue"
NOTHING = "bold bright_black"
FAULT = "bold yellow"

VERDICTS = {"identical": FOUND, "related": FOUND, "no-evidence": NOTHING, "untestable": FAULT}
