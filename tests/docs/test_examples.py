"""Every example of the documentation and of the commands' help works, and prints what is shown."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from click import UsageError
from pages import REASONS, Session, absent, blocks, joined

from kinprint.cli import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

NEEDS = {
    "kinprint audit": "your models",
    "kinprint benchmark": "minutes",
    "kinprint black-box palimpsest": "your models",
    "kinprint library build": "network",
    "kinprint observe": "minutes",
    "kinprint replay": "your models",
    "kinprint serve": "server",
    "kinprint zoo build": "minutes",
    "kinprint zoo list": "minutes",
    "kinprint zoo transcript": "minutes",
}
"""Commands whose example is not run here, and why: one of `pages.REASONS`."""

LIBRARY = "kinprint library add examples/models --library lib"
BEFORE = {
    "kinprint library export": [LIBRARY],
    "kinprint library list": [LIBRARY],
    "kinprint library merge": [
        LIBRARY,
        "kinprint transform noise examples/models/base -o noisy --amount 0.05",
        "kinprint transform cast examples/models/base -o half --dtype f16",
        "kinprint library add noisy half --library theirs",
    ],
    "kinprint library remove": [LIBRARY],
}
"""What has to be done before an example."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_examples_of_a_page(page: Path, session: Session) -> None:
    """One after another, in one folder. What is not run says why."""
    for block in blocks(page.read_text(encoding="utf-8")):
        assert block.not_run in ("", *REASONS), f"{name(page)}:{block.line}: no such reason: {block.not_run}"
        if not block.not_run:
            try:
                session.run(block)
            except Exception as error:
                raise AssertionError(f"{name(page)}:{block.line}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_not_run_could_be_typed(page: Path) -> None:
    """Commands, options and the number of arguments are those that there are."""
    for block in blocks(page.read_text(encoding="utf-8")):
        for line in joined(block.body) if block.not_run not in ("", "help") and block.language != "python" else ():
            if line.removeprefix("$ ").startswith("kinprint "):
                wrong = misused(shlex.split(line.removeprefix("$ "), comments=True)[1:])
                assert not wrong, f"{name(page)}:{block.line}: {line}: {wrong}"


def misused(words: list[str]) -> str:
    """Why words behind `kinprint` are no command of ours; "" if they are one."""
    command, context = typer.main.get_command(app), None
    try:
        while words and (found := getattr(command, "commands", {}).get(words[0])) is not None:
            command, words = found, words[1:]
        context = command.context_class(command)
        _, left, _ = command.make_parser(context).parse_args(list(words))
    except UsageError as error:
        return error.message
    return f"not understood: {left}" if left else ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_example_hides(page: Path) -> None:
    """A command stands in a fenced block with a language, where it is found."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^(?: {4}|```\n)\$? ?kinprint .*", text, re.MULTILINE) == []


def helps() -> Iterator[tuple[str, str]]:
    """Every command with its help."""
    waiting = [("kinprint", typer.main.get_command(app))]
    while waiting:
        called, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{called} {word}", found) for word, found in below.items()]
        if not below:
            yield called, command.help or ""


HELPS = dict(helps())


def examples(command: str) -> list[str]:
    """The command lines of the example in a help."""
    found = re.search(r"^Example: ((?:.+\n?)+)", HELPS[command], re.MULTILINE)
    assert found, f"{command} --help has no line `Example: kinprint ...`"
    return [line.strip() for line in found[1].replace("\n", " ").split("&&")]


@pytest.mark.parametrize("command", sorted(HELPS))
def test_every_help_has_an_example(command: str) -> None:
    """One that uses the command."""
    assert any(line.startswith(f"{command} ") or line == command for line in examples(command))


@pytest.mark.parametrize("command", sorted(set(HELPS) - set(NEEDS)))
def test_the_example_of_a_help(command: str, session: Session) -> None:
    """It runs, unless NEEDS says what it needs. `prints: ...` is printed."""
    printed = ""
    for line in (*BEFORE.get(command, ()), *examples(command)):
        printed = session.kinprint(line)
        assert session.code == 0, printed
    shown = re.findall(r"^prints: (.*)$", HELPS[command], re.MULTILINE)
    assert absent(shown, printed.splitlines()) == []


def test_what_is_not_run_is_a_command() -> None:
    """NEEDS and BEFORE name no command that is gone."""
    assert set(NEEDS) | set(BEFORE) <= set(HELPS)
    assert set(NEEDS.values()) <= set(REASONS)


def test_how_many_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Most do; the count is printed (`pytest tests/docs -s -k how_many`)."""
    found = [block for page in PAGES for block in blocks(page.read_text(encoding="utf-8"))]
    counts = {reason: sum(block.not_run == reason for block in found) for reason in ("", *REASONS)}
    with capsys.disabled():
        if os.environ.get("PYTEST_XDIST_WORKER") is None:
            print(f"\nexamples run: {counts.pop('')}; not run: {counts}")
    assert sum(not block.not_run for block in found) >= 15


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("```console\n$ kinprint --version\nkinprint 99\n```\n", "does not print"),
        ("```console\n$ kinprint compare none none\n```\n", "none"),
        ("```console\n$ ls\n```\n", "not a command"),
        ("```sh\nkinprint compare none none\n```\n", "none"),
        ("```python\nprint(1)\n```\n```text\n2\n```\n", "not printed"),
        ("```console\n$ kinprint compare none none\n$ echo $?\n0\n```\n", "echo"),
    ],
)
def test_a_wrong_example_is_found(page: str, message: str, session: Session) -> None:
    (block,) = blocks(page)
    with pytest.raises(AssertionError, match=message):
        session.run(block)


def test_a_right_example_passes(session: Session) -> None:
    console = "```console\n$ kinprint --version\n...\n$ kinprint compare none none\n$ echo $?\n1\n```\n"
    page = f"{console}```python\nprint(1)\n```\n```text\n1\n```\n"
    for block in blocks(page):
        session.run(block)
