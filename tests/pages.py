"""The examples of the documentation: found in a page, run in one folder, compared with what the page shows.

```sh        every line that begins with `kinprint` is run; what other programs do is left to the reader
```console   every `$ kinprint ...` is run (`$ echo $?` is its exit code); what stands below is printed, in this order,
             perhaps with more lines in between
```python    is run; a ```text block right behind it is what it prints

`<!-- not run: REASON -->` above a block says why it cannot be run, with one of REASONS.
"""

from __future__ import annotations

import io
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from kinprint.cli import main

REASONS = {
    "network": "it fetches models from a hub or a server",
    "your models": "it names models that the reader has",
    "minutes": "it takes longer than a test should: training, a zoo, large models",
    "installation": "it installs packages",
    "server": "it runs until somebody stops it",
    "fragment": "it is part of a file that the page describes",
    "notebook": "it is a cell of a notebook, which has a test of its own",
    "help": "it repeats the examples of the commands' help, which have a test of their own",
}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (.*?) -->\n$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: "sh", "console", "python".
        body: what stands in it.
        shown: of Python, what it is said to print; None if nothing is said.
        not_run: the reason, or "".
        line: of the page, from 1.
    """

    language: str
    body: str
    shown: str | None
    not_run: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page that are examples."""
    found = list(FENCE.finditer(text))
    for index, fence in enumerate(found):
        if fence["language"] not in ("sh", "console", "python"):
            continue
        behind = found[index + 1] if index + 1 < len(found) else None
        follows = behind is not None and behind["language"] == "text" and not text[fence.end() : behind.start()].strip()
        reason = NOT_RUN.search(text[: fence.start()])
        indent = fence["indent"]
        body, shown = (re.sub(f"^{indent}", "", part["body"], flags=re.MULTILINE) if part else "" for part in (fence, behind))
        line = text[: fence.start()].count("\n") + 1
        yield Block(fence["language"], body, shown if follows else None, reason[1] if reason else "", line)


@dataclass
class Session:
    """Runs blocks one after another, as a reader would: one folder, one Python."""

    names: dict[str, Any] = field(default_factory=dict)
    code: int = 0
    commands: int = 0

    def run(self, block: Block) -> None:
        """Run one block; AssertionError if it fails or prints something else than the page shows."""
        match block.language:
            case "python":
                self._python(block)
            case "sh":
                for line in joined(block.body):
                    if line.startswith("kinprint "):
                        self.kinprint(line)
                        assert self.code == 0, line
            case "console":
                self._console(block)

    def kinprint(self, line: str) -> str:
        """Run a command of ours in this process; everything it printed. Its exit code is in `code`."""
        self.commands += 1
        words = shlex.split(line, comments=True)
        printed = io.StringIO()
        with mock.patch.object(sys, "argv", words), redirect_stdout(printed), redirect_stderr(printed):
            try:
                main()
                self.code = 0
            except SystemExit as stopped:
                self.code = int(stopped.code or 0)
        return printed.getvalue()

    def _console(self, block: Block) -> None:
        runs = re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]
        for index, run in enumerate(runs):
            line, _, shown = run.partition("\n")
            while line.endswith("\\"):
                more, _, shown = shown.partition("\n")
                line = line.removesuffix("\\") + more
            if line == "echo $?":
                assert shown.strip() == str(self.code), (line, self.code)
                continue
            assert line.startswith("kinprint "), f"not a command of kinprint: {line}"
            printed = self.kinprint(line)
            asked = index + 1 < len(runs) and runs[index + 1].startswith("echo $?")
            assert self.code == 0 or asked, (line, printed)
            missing = absent(shown.splitlines(), printed.splitlines())
            assert not missing, f"{line}\ndoes not print {missing}, but\n{printed}"

    def _python(self, block: Block) -> None:
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(block.body, f"line {block.line}", "exec"), self.names)
        if block.shown is not None:
            missing = absent(block.shown.splitlines(), printed.getvalue().splitlines())
            assert not missing, f"not printed: {missing}, but\n{printed.getvalue()}"


def absent(shown: Iterable[str], printed: Iterable[str]) -> list[str]:
    """The first shown line that is not printed behind the one before it, if there is one. `...` stands for anything: lines
    where it stands alone, else a piece of a line (a digest depends on how a processor rounds)."""
    left = iter([line.rstrip() for line in printed])
    for line in shown:
        wanted = re.compile(".*".join(re.escape(piece) for piece in line.rstrip().split("...")))
        if line.strip() not in ("", "...") and not any(wanted.fullmatch(text) for text in left):
            return [line]
    return []


def joined(body: str) -> list[str]:
    """The lines of a block, those that end in a backslash with the next."""
    return body.replace("\\\n", "").splitlines()
