"""What stands in the pages about figures: marks that say of which commit they are, tables that commands printed, citations."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from figure_manifest import Manifest
from source_digests import matching

MARK = re.compile(r"<!-- figures: ([a-z0-9-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
PRINTED = re.compile(r"(<!-- printed: ([a-z0-9-]+)(?: (\d+))? -->\n).*?(<!-- end -->)", re.DOTALL)
CITED = re.compile(r"benchmarks/\w+\.py|kinprint benchmark(?= --zoo)")
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
EXPLAINED = "docs/benchmarking.md"
SECTION = "figures-of-these-pages"
NAMED = 4
"""How many changed sources a mark names."""


def sentence(manifest: Manifest, name: str, page: str) -> str:
    """What the mark of a set of figures says on a page."""
    own = manifest.locked[name]
    said = f"Figures of {own.date.day} {own.date:%B %Y}, at {own.commit}"
    names = [
        source.removeprefix("src/kinprint/").removeprefix("benchmarks/").removesuffix("/*") for source in manifest.changed(name)
    ]
    if len(names) > NAMED + 1:
        names[NAMED:] = [f"{len(names) - NAMED} more"]
    link = f"{posixpath.relpath(EXPLAINED, posixpath.dirname(page))}#{SECTION}"
    return f"{said}; [changed since]({link}): {', '.join(names)}." if names else f"{said}."


def marked(manifest: Manifest, page: str, text: str) -> str:
    """A page with its marks as they should be; one that is missing comes behind the title."""
    for name, own in manifest.figures.items():
        if page in own.pages and name in manifest.locked and f"<!-- figures: {name} -->" not in text:
            title, _, rest = text.partition("\n")
            text = f"{title}\n\n<!-- figures: {name} -->\n<!-- end -->\n{rest}"

    def current(found: re.Match[str]) -> str:
        name = found[1]
        return (
            f"<!-- figures: {name} -->\n{sentence(manifest, name, page)}\n<!-- end -->" if name in manifest.locked else found[0]
        )

    return MARK.sub(current, text)


def mark(manifest: Manifest) -> list[str]:
    """Write the marks, and name the pages that changed."""
    written = []
    for place, text, wanted in _marked_pages(manifest):
        if text != wanted:
            place.write_text(wanted, encoding="utf-8")
            written.append(place.relative_to(manifest.root).as_posix())
    return written


def fill(manifest: Manifest, name: str, printed: str) -> None:
    """Put what the commands of a set of figures printed into its pages.

    Raises:
        ValueError: a page shows a table that was not printed.
    """
    tables = {"": printed} | {str(number): table for number, table in enumerate(TABLE.findall(printed), 1)}
    for place in (manifest.root / page for page in manifest.figures[name].pages):
        text = place.read_text(encoding="utf-8")
        shown = {number for _, of, number, _ in PRINTED.findall(text) if of == name}
        if missing := sorted(shown - tables.keys()):
            raise ValueError(f"{place.name} shows table {', '.join(missing)} of {name}, which printed {len(tables) - 1}")
        filled = PRINTED.sub(lambda at: f"{at[1]}{tables[at[3] or '']}{at[4]}" if at[2] == name else at[0], text)
        place.write_text(filled, encoding="utf-8")


def faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong, with its remedy. Needs no history."""
    missing = list(_missing(manifest))
    yield from missing
    if not missing:
        yield from _not_current(manifest)
        yield from _not_covered(manifest)


def _missing(manifest: Manifest) -> Iterator[str]:
    """What entries name and the repository does not have."""
    for own in (*manifest.figures.values(), *manifest.needs.values()):
        for path in own.pages + own.writes:
            if not (manifest.root / path).exists():
                yield f"{own.name}: there is no {path}"
        for need in own.needs:
            if need not in manifest.needs:
                yield f"{own.name}: no need is called {need}"
        for script in own.scripts:
            if script not in manifest.now:
                yield f"{own.name}: there is no {script}"
        for source in manifest.expanded(own.sources):
            if not matching(manifest.now, manifest.patterns(source)):
                yield f"{own.name}: no source is called {source}"


def _not_current(manifest: Manifest) -> Iterator[str]:
    for name, own in manifest.figures.items():
        if name not in manifest.locked and not own.planned:
            yield f"{name}: of no commit yet; make its figures, then: python benchmarks/figures.py lock {name} --commit COMMIT"
    for place, text, wanted in _marked_pages(manifest):
        if text != wanted:
            yield f"{place.name}: its marks are not current; run: python benchmarks/figures.py mark"


def _not_covered(manifest: Manifest) -> Iterator[str]:
    """Citations without an entry, blocks of no entry, methods that no figures depend on."""
    for place in (manifest.root / "README.md", *sorted((manifest.root / "docs").glob("*.md"))):
        page, text = place.relative_to(manifest.root).as_posix(), place.read_text(encoding="utf-8")
        shown = [own for own in manifest.figures.values() if page in own.pages]
        known = {
            cited for own in shown for each in manifest.with_needs(own) for cited in CITED.findall("\n".join(each.commands))
        }
        for cited in sorted({*CITED.findall(text)} - known - {*manifest.mentions.get(page, [])}):
            yield f"{page} cites {cited}: give it an entry in benchmarks/figures.toml, or a line in [mentions]"
        blocks = {name for name, _ in MARK.findall(text)} | {name for _, name, _, _ in PRINTED.findall(text)}
        for name in sorted(blocks - {own.name for own in shown}):
            yield f"{page} has a block of {name}, but benchmarks/figures.toml does not say so"
    sources = manifest.expanded([source for own in manifest.figures.values() for source in own.sources])
    depended = matching(manifest.now, [pattern for source in sources for pattern in manifest.patterns(source)])
    methods = matching(manifest.now, ["src/kinprint/methods/[!_]*.py", "src/kinprint/methods/_[!_]*.py"])
    for path in sorted({*methods} - {*depended}):
        yield f"{path}: no figures depend on it; add it to a group of benchmarks/figures.toml"


def _marked_pages(manifest: Manifest) -> Iterator[tuple[Path, str, str]]:
    """Every page with marks: its place, its text, and what that should be."""
    for page in sorted({page for own in manifest.figures.values() for page in own.pages}):
        place = manifest.root / page
        text = place.read_text(encoding="utf-8")
        yield place, text, marked(manifest, page, text)
