"""Published figures: every one has an entry, and its mark says whether the code it depends on has changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MANIFEST = """
[needs.zoo]
commands = ["echo model > zoo"]

[needs.weights]
given = "weights that somebody has"

[figures.count]
pages = ["docs/page.md"]
commands = ["python benchmarks/count.py zoo"]
sources = ["methods"]
needs = ["zoo"]
whole = true
"""
COUNT = '''"""Counts."""
from helper import ROWS

print("some text")
print("| n |\\n|---|")
for row in range(ROWS):
    print(f"| {row} |")
'''
CHANGED = "; [changed since](benchmarking.md#figures-of-these-pages): "
PAGE = """# Page

`benchmarks/count.py`:

<!-- printed: count 1 -->
<!-- end -->

<!-- figures: count -->
<!-- end -->

More.
"""


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def act(benchmarks: None) -> Callable[..., int]:
    """benchmarks/figures.py, as it is called."""
    from figures import main

    return main


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one method, one benchmark and one page."""
    root = tmp_path / "repository"
    write(root / "benchmarks" / "figures.toml", MANIFEST)
    write(root / "benchmarks" / "count.py", COUNT)
    write(root / "benchmarks" / "helper.py", "ROWS = 2\n")
    write(root / "src" / "kinprint" / "methods" / "csu.py", "LIMIT = 1\n")
    write(root / "docs" / "page.md", PAGE)
    write(root / "README.md", "# Read me\n")
    git(root, "init", "--quiet")
    commit(root)
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def git(root: Path, *arguments: str) -> str:
    known = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *known, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "A state")
    return git(root, "rev-parse", "--short=7", "HEAD")


def page(root: Path) -> str:
    return (root / "docs" / "page.md").read_text(encoding="utf-8")


def made(act: Callable[..., int], root: Path, *more: str) -> int:
    return act(["run", "--folder", str(root.parent / "made"), *more], root=root)


def test_marks_of_the_published_figures_are_current(benchmarks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails after a change of the code, run `python benchmarks/figures.py mark`. It needs neither git nor a history."""
    from figure_manifest import Manifest
    from figure_pages import faults

    monkeypatch.setenv("PATH", "")
    assert list(faults(Manifest.read(ROOT))) == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ('def double(x):\n    """Another text."""\n    # a comment\n    return (x *\n            2)\n', True),
        ("def double(x):\n    return x * 2\n", True),
        ("def double(x):\n    return x * 3\n", False),
        ("def double(x, y=None):\n    return x * 2\n", False),
        ("def double(x):\n    return None\n", False),
    ],
)
def test_only_what_code_does_counts(benchmarks: None, other: str, same: bool) -> None:
    from source_digests import of_file

    code = 'def double(x):\n    """A text."""\n    return x * 2\n'
    assert (of_file(".py", code.encode()) == of_file(".py", other.encode())) is same


def test_a_script_counts_with_the_modules_of_its_folder(benchmarks: None) -> None:
    from source_digests import with_imports

    tree = {
        "benchmarks/a.py": b"import b, os",
        "benchmarks/b.py": b"from c import d",
        "benchmarks/c.py": b"",
        "benchmarks/e.py": b"",
    }
    assert with_imports(tree, "benchmarks/a.py") == {"benchmarks/a.py", "benchmarks/b.py", "benchmarks/c.py"}


def test_a_run_writes_table_and_mark(act: Callable[..., int], repository: Path) -> None:
    assert made(act, repository) == 0
    head = git(repository, "rev-parse", "--short=7", "HEAD")
    assert "<!-- printed: count 1 -->\n| n |\n|---|\n| 0 |\n| 1 |\n<!-- end -->" in page(repository)
    assert f", at {head}.\n<!-- end -->\n\nMore." in page(repository)
    assert act(["check"], root=repository) == 0
    log = (repository.parent / "made" / "count.log").read_text()
    assert log.startswith("$ python benchmarks/count.py zoo\nsome text\n")


@pytest.mark.parametrize("changed", ["src/kinprint/methods/csu.py", "benchmarks/helper.py"])
def test_a_change_of_the_code_makes_figures_stale(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    """First the test fails and says what to do; then the page says what has changed; a remark changes nothing."""
    made(act, repository)
    write(repository / changed, f"# A remark.\n{(repository / changed).read_text()}")
    assert act(["check"], root=repository) == 0
    write(repository / changed, "ROWS = LIMIT = 3\n")
    assert act(["check"], root=repository) == 1
    assert "page.md: its marks are not current; run: python benchmarks/figures.py mark" in capsys.readouterr().out
    act(["mark"], root=repository)
    said = "methods" if "methods" in changed else "helper.py"
    assert f"{CHANGED}{said}.\n<!-- end -->" in page(repository)
    assert act(["check"], root=repository) == 0
    capsys.readouterr()
    act(["why", "count"], root=repository)
    assert changed in capsys.readouterr().out


def test_a_change_of_what_is_needed_makes_figures_stale(act: Callable[..., int], repository: Path) -> None:
    made(act, repository)
    place = repository / "benchmarks" / "figures.toml"
    write(place, place.read_text().replace("echo model", "echo another"))
    act(["mark"], root=repository)
    assert "): the command.\n" in page(repository)


def test_figures_are_locked_at_the_commit_that_made_them(act: Callable[..., int], repository: Path) -> None:
    """Not at the state of the disk: code that changed in between is said to have changed."""
    before = git(repository, "rev-parse", "--short=7", "HEAD")
    write(repository / "src" / "kinprint" / "methods" / "csu.py", "LIMIT = 2\n")
    commit(repository)
    act(["lock", "count", "--commit", before, "--date", "2020-02-03"], root=repository)
    assert f"Figures of 3 February 2020, at {before}; [changed since]" in page(repository)


def test_figures_that_are_read_again_by_people_are_locked_by_them(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = repository / "benchmarks" / "figures.toml"
    write(place, place.read_text().replace("whole = true\n", ""))
    head = commit(repository)
    assert made(act, repository) == 0
    assert f"python benchmarks/figures.py lock count --commit {head}" in capsys.readouterr().out
    assert act(["check"], root=repository) == 1


def test_a_run_goes_on_where_one_ended(
    act: Callable[..., int], repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that ended well is not run again; one that failed is, is named, and stops no other set of figures."""
    begun, there = repository.parent / "begun", repository.parent / "there"
    monkeypatch.setenv("BEGUN", str(begun))
    monkeypatch.setenv("THERE", str(there))
    place = repository / "benchmarks" / "figures.toml"
    steps = """
[figures.steps]
pages = ["docs/page.md"]
commands = ['echo one >> "$BEGUN"', 'echo two >> "$BEGUN"; cat "$THERE"']
sources = ["methods"]
"""
    write(place, place.read_text().replace("[figures.count]", f"{steps}\n[figures.count]"))
    commit(repository)
    assert made(act, repository) == 1
    said = capsys.readouterr().out
    assert "1 of 2 sets of figures made\nnot made: steps: `echo two" in said
    assert "| 1 |" in page(repository)
    write(there, "here\n")
    assert made(act, repository, "steps") == 0
    assert begun.read_text().split() == ["one", "two", "two"]
    write(repository / "src" / "kinprint" / "methods" / "csu.py", "LIMIT = 2\n")
    commit(repository)
    assert made(act, repository, "steps") == 0
    assert begun.read_text().split() == ["one", "two", "two", "one", "two"]


def test_what_has_to_be_given_is_asked_for(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = repository / "benchmarks" / "figures.toml"
    write(place, place.read_text().replace('["zoo"]', '["zoo", "weights"]').replace("whole = true", ""))
    commit(repository)
    assert made(act, repository) == 1
    assert "needs weights in the folder of --given: weights that somebody has" in capsys.readouterr().out
    given = repository.parent / "given"
    write(given / "weights", "1 2 3")
    assert made(act, repository, "--given", str(given)) == 0


def test_sources_may_not_change_during_a_run(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then nobody knows what made the figures."""
    place = repository / "benchmarks" / "figures.toml"
    write(place, place.read_text().replace("count.py zoo", "count.py zoo; echo ROWS = 4 > benchmarks/helper.py"))
    commit(repository)
    act(["lock", "count", "--commit", "HEAD"], root=repository)
    before = page(repository)
    assert made(act, repository) == 1
    assert "sources changed while `python benchmarks/count.py zoo; echo" in capsys.readouterr().out
    assert page(repository) == before.replace(".\n<!-- end -->\n\nMore", f"{CHANGED}helper.py.\n<!-- end -->\n\nMore")


def test_figures_are_of_a_commit(act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(repository / "benchmarks" / "helper.py", "ROWS = 3\n")
    with pytest.raises(SystemExit):
        made(act, repository)
    assert "commit these first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("docs/other.md", "`benchmarks/count.py` says", "docs/other.md cites benchmarks/count.py: give it an entry"),
        ("docs/other.md", "<!-- figures: count -->\n<!-- end -->\n", "docs/other.md has a block of count"),
        ("docs/other.md", "kinprint benchmark --zoo zoo", "docs/other.md cites kinprint benchmark: give it an entry"),
        ("src/kinprint/methods_too/x.py", "", ""),
    ],
)
def test_figures_without_an_entry_are_found(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str], path: str, text: str, fault: str
) -> None:
    made(act, repository)
    capsys.readouterr()
    write(repository / path, text)
    assert act(["check"], root=repository) == bool(fault)
    assert fault in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('["methods"]', '["methodz"]', "count: no source is called methodz"),
        ('["zoo"]', '["zo"]', "count: no need is called zo"),
        ("docs/page.md", "docs/pag.md", "count: there is no docs/pag.md"),
        ("count.py", "coun.py", "count: there is no benchmarks/coun.py"),
        ('["methods"]', '["benchmarks/helper.py"]', "src/kinprint/methods/csu.py: no figures depend on it"),
    ],
)
def test_entries_that_name_what_is_not_there_are_found(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, fault: str
) -> None:
    place = repository / "benchmarks" / "figures.toml"
    write(place, place.read_text().replace(before, after))
    assert act(["check"], root=repository) == 1
    assert fault in capsys.readouterr().out


def test_figures_that_a_page_shows_are_of_a_commit(
    act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless they are planned: then no page shows them yet."""
    assert act(["check"], root=repository) == 1
    assert "count: of no commit yet; make its figures" in capsys.readouterr().out
    place = repository / "benchmarks" / "figures.toml"
    write(place, place.read_text() + "planned = true\n")
    assert act(["check"], root=repository) == 0


def test_the_manifest_is_listed(act: Callable[..., int], repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    act(["list"], root=repository)
    assert "| count | docs/page.md | none |" in capsys.readouterr().out
    made(act, repository)
    capsys.readouterr()
    act(["list", "count"], root=repository)
    assert "| nothing: fresh |" in capsys.readouterr().out
