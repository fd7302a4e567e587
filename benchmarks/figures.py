"""Every published figure: which command makes it, at which commit it was made, and whether its code has changed since.

    python benchmarks/figures.py list [NAME ...]             # commit, date, what has changed since
    python benchmarks/figures.py why NAME                    # which files have (needs the history)
    python benchmarks/figures.py run [NAME ...] [--folder F] [--given G] [--stale]
    python benchmarks/figures.py lock NAME --commit COMMIT   # the pages now show figures that were made at COMMIT
    python benchmarks/figures.py mark                        # write the line below each set of figures anew
    python benchmarks/figures.py check                       # what a test asks; needs no history

`figures.toml` describes the sets of figures. `figures.lock.json` has the commit and the date of each, with digests of the
sources it depends on as they were then: comments, docstrings and formatting do not count (source_digests.py).

`run` takes hours for everything. A command that has ended well is not run again in the same folder, until sources change
that its figures depend on; its output is F/NAME.log. Commands run in folders of their own, which have links to the folders of
the repository and to what they need. Zoos are built once; what cannot be made (checkpoints, others' code) lies in G by name.

What commands print is put between `<!-- printed: NAME -->` and `<!-- end -->`, the Nth of the Markdown tables in it between
`<!-- printed: NAME N -->` and `<!-- end -->`. What else the pages say of these figures is for people to read again; then `lock`
says that they did.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from figure_manifest import Figures, Manifest, UnknownCommitError
from figure_pages import faults, fill, mark
from source_digests import Tree, digest_of_text, on_disk

ROOT = Path(__file__).parents[1]
LINKED = ("benchmarks", "docs", "examples", "fuzz", "src", "tests")
"""What commands find of the repository in the folder where they run."""
COMMITTED = ("src/*.py", "src/*.toml", "benchmarks/*.py", "benchmarks/figures.toml", "fuzz/*.py", "tests/*.py")
"""What has to be committed before figures can be of a commit."""


class NotMadeError(Exception):
    """One set of figures could not be made."""


@dataclass
class Run:
    """Runs commands in a folder, each once for one state of its sources.

    Attributes:
        commit: that has the sources as they are when the run begins.
        folder: what is made, printed and kept.
        given: a folder that has needs by their names.
    """

    manifest: Manifest
    commit: str
    folder: Path
    given: Path | None = None

    def figures(self, own: Figures) -> str:
        """Make one set of figures, and fill its pages.

        Returns:
            What was done, and what is left to do.

        Raises:
            NotMadeError: a command did not end well, or something is needed that was not given.
        """
        printed = self.commands(own)
        try:
            fill(self.manifest, own.name, printed)
        except ValueError as error:
            raise NotMadeError(str(error)) from error
        if own.whole:
            Manifest.read(self.manifest.root).lock(own.name, self.commit, date.today())  # others may have locked meanwhile
            return "written"
        read = f"read {', '.join(own.pages)} again beside {self.folder / own.name}.log"
        return f"{read}; then: python benchmarks/figures.py lock {own.name} --commit {self.commit}"

    def commands(self, own: Figures) -> str:
        """Run the commands that were not run yet.

        Returns:
            What all of them printed.
        """
        places = [self.place(self.manifest.needs[name]) for name in own.needs]
        state = self.state(own, self.manifest.now)
        (state / "folder").mkdir(parents=True, exist_ok=True)
        for place in (*places, *(self.manifest.root / name for name in LINKED)):
            link = state / "folder" / place.name
            if not link.is_symlink():
                link.symlink_to(place)
        outputs = [state / f"{number}.out" for number in range(1, len(own.commands) + 1)]
        for command, output in zip(own.commands, outputs, strict=True):
            if not output.exists():
                self.step(own, command, output)
        return "".join(output.read_text(encoding="utf-8") for output in outputs)

    def place(self, need: Figures) -> Path:
        """Where a need is; it is made if it can be."""
        if self.given is not None and (self.given / need.name).exists():
            return self.given / need.name
        if not need.commands:
            raise NotMadeError(f"needs {need.name} in the folder of --given: {need.given}")
        self.commands(need)
        return self.state(need, self.manifest.now) / "folder" / need.name

    def state(self, own: Figures, tree: Tree) -> Path:
        """A folder for one state of the sources: what a script kept of another is not taken for this."""
        digests = self.manifest.digests(own, tree)
        return self.folder / own.name / digest_of_text(json.dumps(digests, sort_keys=True))

    def step(self, own: Figures, command: str, output: Path) -> None:
        """Run one line of a shell; `output` is there once it has ended well, and has what it printed."""
        part, log = output.with_suffix(".part"), self.folder / f"{own.name}.log"
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = os.environ | {
            "PATH": path,
            "PYTHONPATH": str(self.manifest.root / "src"),
            "PYTHONUNBUFFERED": "1",
            "KINPRINT_CACHE": str(output.parent / "cache"),
        }
        where = output.parent / "folder"
        with open(log, "a", encoding="utf-8") as told, open(part, "w", encoding="utf-8") as kept:
            print(f"$ {command}", file=told, flush=True)
            with subprocess.Popen(
                command, shell=True, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=told, text=True
            ) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    kept.write(line)
                    print(line, end="", file=told, flush=True)
        if process.returncode:
            raise NotMadeError(f"`{command}` ended with {process.returncode}; see {log}")
        if self.state(own, on_disk(self.manifest.root)) != output.parent:
            raise NotMadeError(f"sources changed while `{command}` ran; commit them, and run it again")
        part.rename(output)


def git(root: Path, *arguments: str) -> str:
    """What git answers."""
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def run(runs: Run, names: Sequence[str]) -> int:
    """Make sets of figures one after another; one that fails does not stop the others."""
    failed = {}
    for name in names:
        own = runs.manifest.figures[name]
        print(f"{name}: {', '.join(own.pages)}, about {own.hours:g} h", flush=True)
        try:
            print(f"  {runs.figures(own)}", flush=True)
        except NotMadeError as error:
            failed[name] = error
            print(f"  FAILED: {error}", flush=True)
    mark(Manifest.read(runs.manifest.root))  # sources may have changed in these hours
    print(f"{len(names) - len(failed)} of {len(names)} sets of figures made")
    for name, reason in failed.items():
        print(f"not made: {name}: {reason}")
    return 1 if failed else 0


def show(manifest: Manifest, names: Sequence[str]) -> None:
    """A table of the figures."""
    print("| figures | pages | commit | date | hours | changed since |\n|---|---|---|---|---|---|")
    for name in names:
        own, locked = manifest.figures[name], manifest.locked.get(name)
        when = (locked.commit, locked.date.isoformat()) if locked else ("none", "–")
        state = ", ".join(manifest.changed(name)) or "nothing: fresh" if locked else "–"
        print(f"| {' | '.join([name, ', '.join(own.pages), *when, f'{own.hours:g}', state])} |")


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    listing, explaining, making, locking = (actions.add_parser(name) for name in ("list", "why", "run", "lock"))
    for action in ("mark", "check"):
        actions.add_parser(action)
    for several in (listing, making):
        several.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    for one in (explaining, locking):
        one.add_argument("names", nargs=1, metavar="NAME")
    making.add_argument("--folder", type=Path, default=Path("build") / "figures", help="where it can go on later")
    making.add_argument("--given", type=Path, help="a folder that has what commands need, by its names")
    making.add_argument("--stale", action="store_true", help="only those whose sources have changed")
    locking.add_argument("--commit", required=True)
    locking.add_argument("--date", type=date.fromisoformat, default=date.today(), help="of the measurement; today by default")
    options = parser.parse_args(arguments)

    manifest = Manifest.read(root)
    names = getattr(options, "names", None) or list(manifest.figures)
    if unknown := [name for name in names if name not in manifest.figures]:
        parser.error(f"no figures are called {', '.join(unknown)}; there are {', '.join(manifest.figures)}")
    try:
        return act(parser, options, manifest, names)
    except UnknownCommitError as error:
        parser.error(str(error))


def act(parser: argparse.ArgumentParser, options: argparse.Namespace, manifest: Manifest, names: list[str]) -> int:
    """Do what was asked for."""
    if options.action == "run":
        if changes := git(manifest.root, "status", "--porcelain", "--", *COMMITTED):
            parser.error(f"commit these first, for figures are of a commit:\n{changes}")
        if options.stale:
            names = [name for name in names if name not in manifest.locked or manifest.changed(name)]
        given = options.given.resolve() if options.given else None
        commit = git(manifest.root, "rev-parse", "--short=7", "HEAD")
        return run(Run(manifest, commit, options.folder.resolve(), given), names)
    if options.action == "list":
        show(manifest, names)
    elif options.action == "why":
        for source, paths in manifest.changed_files(names[0]):
            print("\n  ".join([source, *paths]))
    elif options.action == "lock":
        manifest.lock(names[0], git(manifest.root, "rev-parse", "--short=7", options.commit), options.date)
        mark(manifest)
    elif options.action == "mark":
        print("\n".join(f"marked: {page}" for page in mark(manifest)) or "all marks are current")
    else:
        found = list(faults(manifest))
        print("\n".join(found) or f"{len(manifest.figures)} sets of figures, all marks current")
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
