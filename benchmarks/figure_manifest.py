"""What figures.toml and figures.lock.json say: every published set of figures, and the state of the code that it is of."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from source_digests import Tree, at_commit, digest, digest_of_text, matching, on_disk, with_imports

SCRIPT = re.compile(r"\b(?:benchmarks|fuzz)/\w+\.py")
COMMAND = "the command"
"""What digests call the commands themselves."""


class UnknownCommitError(Exception):
    """Git does not know the commit here."""


@dataclass(frozen=True)
class Figures:
    """One set of published figures, or something that commands need: a need has no pages.

    Attributes:
        name: of the set; of a need, the file or folder that the commands of others call so.
        commands: lines of a shell, in order, as the pages cite them. A need without commands has to be given.
        sources: what the figures depend on besides the scripts: packages of kinprint, names of groups or sets, patterns.
        pages: of the documentation that show it, from the root; each has its mark.
        writes: other files of the repository that the commands write.
        needs: names of needs.
        hours: on two cores, roughly.
        whole: the commands write all that the pages show of them, so nobody has to read the pages again.
        planned: no page shows them yet, so they are of no commit until they are made for the first time.
        given: of a need without commands, what it is.
    """

    name: str
    commands: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    hours: float = 0.1
    whole: bool = False
    planned: bool = False
    given: str = ""

    @property
    def scripts(self) -> list[str]:
        return [script for command in self.commands for script in SCRIPT.findall(command)]


@dataclass(frozen=True)
class Locked:
    """Of which state of the code published figures are; `digests` are those of `Manifest.digests`."""

    commit: str
    date: date
    digests: Mapping[str, str]


@dataclass
class Manifest:
    """All figures of a repository, and what they depend on.

    Attributes:
        root: of the repository.
        mentions: of a page, the scripts that it explains without showing their figures.
        groups: patterns of files under one name, which stands in marks.
        sets: several sources under one name, for entries.
    """

    root: Path
    figures: dict[str, Figures]
    needs: dict[str, Figures]
    mentions: dict[str, list[str]]
    groups: dict[str, list[str]]
    sets: dict[str, list[str]]
    locked: dict[str, Locked] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Manifest:
        content = tomllib.loads((root / "benchmarks" / "figures.toml").read_text(encoding="utf-8"))
        place = lock_file(root)
        lock = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        return cls(
            root,
            _entries(content["figures"]),
            _entries(content.get("needs", {})),
            content.get("mentions", {}),
            content.get("groups", {}),
            content.get("sets", {}),
            {name: Locked(own["commit"], date.fromisoformat(own["date"]), own["digests"]) for name, own in lock.items()},
        )

    @cached_property
    def now(self) -> Tree:
        """The sources on the disk."""
        return on_disk(self.root)

    def with_needs(self, own: Figures) -> Iterator[Figures]:
        """A set of figures and all that it needs, directly or not."""
        yield own
        for name in own.needs:
            yield from self.with_needs(self.needs[name])

    def expanded(self, sources: Sequence[str]) -> list[str]:
        """Sources without names of sets."""
        leaves = (self.expanded(self.sets[name]) if name in self.sets else [name] for name in sources)
        return list(dict.fromkeys(leaf for found in leaves for leaf in found))

    def patterns(self, source: str) -> list[str]:
        """Of a group or of a package of kinprint; what has a slash is a pattern."""
        if source in self.groups:
            return self.groups[source]
        return [source] if "/" in source else [f"src/kinprint/{source}/*", f"src/kinprint/{source}.py"]

    def digests(self, own: Figures, tree: Tree) -> dict[str, str]:
        """A digest for each source, each script and the commands, needs included."""
        every = list(self.with_needs(own))
        sources = self.expanded([name for each in every for name in each.sources])
        scripts = {path for each in every for script in each.scripts for path in with_imports(tree, script)}
        commands = "\n".join(command for each in every for command in each.commands)
        return (
            {name: digest(tree, matching(tree, self.patterns(name))) for name in sources}
            | {path: digest(tree, [path]) for path in sorted(scripts)}
            | {COMMAND: digest_of_text(commands)}
        )

    def changed(self, name: str) -> list[str]:
        """The sources that differ from those of the published figures."""
        then, now = self.locked[name].digests, self.digests(self.figures[name], self.now)
        return [source for source in now | dict(then) if then.get(source) != now.get(source)]

    def changed_files(self, name: str) -> Iterator[tuple[str, list[str]]]:
        """Each changed source, and those of its files that differ.

        Raises:
            UnknownCommitError: the history does not reach back to the figures.
        """
        then = self.tree_at(self.locked[name].commit)
        for source in self.changed(name):
            patterns = self.patterns(source)
            paths = sorted({*matching(then, patterns), *matching(self.now, patterns)})
            yield source, [path for path in paths if _of(then, path) != _of(self.now, path)]

    def tree_at(self, commit: str) -> Tree:
        """The sources of a commit.

        Raises:
            UnknownCommitError: it is not here.
        """
        try:
            return at_commit(self.root, commit)
        except subprocess.CalledProcessError as error:
            raise UnknownCommitError(
                f"git does not know {commit} here; a shallow clone has few commits: git fetch --unshallow"
            ) from error

    def lock(self, name: str, commit: str, day: date) -> None:
        """Say that the pages show figures of a commit; the digests are of the sources that it has.

        Raises:
            UnknownCommitError: it is not here.
        """
        self.locked[name] = Locked(commit, day, self.digests(self.figures[name], self.tree_at(commit)))
        lock = {
            name: {"commit": own.commit, "date": own.date.isoformat(), "digests": dict(own.digests)}
            for name, own in sorted(self.locked.items())
            if name in self.figures
        }
        lock_file(self.root).write_text(json.dumps(lock, indent=1) + "\n", encoding="utf-8")


def lock_file(root: Path) -> Path:
    return root / "benchmarks" / "figures.lock.json"


def _of(tree: Tree, path: str) -> str:
    return digest(tree, [path]) if path in tree else ""


def _entries(content: dict[str, dict[str, Any]]) -> dict[str, Figures]:
    """Entries of figures.toml by their names."""
    return {name: Figures(name, **{key: _frozen(value) for key, value in own.items()}) for name, own in content.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
