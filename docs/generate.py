"""Write what the documentation takes from the code: `python docs/generate.py`, or `make docs`.

Three kinds of text: blocks between `<!-- generated: NAME -->` and `<!-- end -->` inside written pages; whole pages (a page a
method, the commands); and notebooks as pages, with the outputs they hold. tests/docs checks that all of them are current.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import typer.cli
import typer.main

from kinprint.architectures import named, table
from kinprint.checkpoints.formats import formats
from kinprint.checkpoints.quantizations import quantizations
from kinprint.cli import app
from kinprint.comparison.false_accusations import measured
from kinprint.fingerprints import trait_table
from kinprint.methods import Method, Score, known
from kinprint.reports.glossary import glossary_markdown

DOCS = Path(__file__).parent
NOTEBOOKS = ("disputes", "notebook")
BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOTICE = "<!-- Written by docs/generate.py: do not edit. -->\n\n"
SHARES = (0.5, 0.05, 0.01)
"""Of a score, which shares of the strangers are told."""


def format_table() -> str:
    """Every file format, the preferred first."""
    rows = ["| format | endings |", "|---|---|"]
    return "\n".join(rows + [f"| {found.name} | {_code(found.suffixes)} |" for found in formats()])


def quantization_list() -> str:
    """Every scheme of quantisation, in the words of its module."""
    return "\n".join(f"- {_summary(found.decode)}" for found in quantizations())


def method_page(method: Method) -> str:
    """Everything that a method says about itself, and what was measured of it."""
    test = method.kind == "test"
    kind = "A test: it decides." if test else "A score: it describes, and never changes a verdict."
    lines = [
        f"# {method.name}",
        "",
        f"{method.summary[0].upper()}{method.summary[1:]}.",
        "",
        "| | |",
        "|---|---|",
        f"| kind | {kind} |",
        f"| {'null hypothesis' if test else 'known failure'} | {method.caveat} |",
        f"| needs | {_needs(method)} |",
        f"| source | {method.source} |",
    ]
    if isinstance(method, Score) and method.threshold is not None:
        lines.append(f"| threshold of its source | {method.threshold:g}: {method.threshold_source} |")
    lines += ["", "## What strangers reach" if not test else "## False accusations", "", *_measured(method)]
    section = f"[what it does and what fools it](../methods.md#{method.name})"
    more = section if _has_section(method.name) else "[how it works](../how-it-works.md)"
    return "\n".join([*lines, "", f"More: {more}.", ""])


def _measured(method: Method) -> list[str]:
    benchmark = "[the benchmark](../benchmark.md)"
    if method.kind == "test":
        return [
            "Under the null hypothesis a test reaches p with probability p at most. How its p-values spread over unrelated "
            f"pairs, and how many it accused, is in {benchmark}."
        ]
    found = measured().get(method.name)
    if found is None:
        return ["Not measured: reports say so beside the score."]
    values = found.statistics
    rows = [f"| {values[int((1 - share) * (len(values) - 1))]:.3f} | {share:.0%} |" for share in SHARES]
    rows.append(f"| {values[-1]:.3f} | the largest |")
    if isinstance(method, Score) and method.threshold is not None:
        count, total = found.reached(method.threshold)
        rows.append(f"| {method.threshold:g}, its source's threshold | at most {count} of {total} |")
    small = f"Of {found.pairs} undisguised unrelated pairs of small models ({benchmark}); large ones may differ."
    return [small, "", "| statistic | unrelated pairs that reach it |", "|---|---|", *rows]


def _needs(method: Method) -> str:
    if method.deep:
        return "both checkpoints (`--deep`)"
    each = [_code(need) if isinstance(need, str) else _any_of(need) for need in method.needs]
    how = ", of models that were observed (`kinprint observe`)" if method.observed else ""
    return "; ".join(each) + how + (", measured with `--scores`" if method.needs_scores else "")


def _any_of(names: tuple[str, ...]) -> str:
    groups = {name.split(".")[0] for name in names}
    return "one of " + (_code(names) if len(names) < 7 else _code(f"{group}.*" for group in sorted(groups)))


def _code(names: str | tuple[str, ...] | Iterator[str]) -> str:
    return ", ".join(f"`{name}`" for name in ((names,) if isinstance(names, str) else names))


def _summary(function: Callable[..., object]) -> str:
    text = function.__globals__["__doc__"]
    return str(text).split("\n\n")[0].replace("\n", " ")


def _has_section(name: str) -> bool:
    return re.search(rf"^##+ {re.escape(name)}$", (DOCS / "methods.md").read_text(encoding="utf-8"), re.MULTILINE) is not None


def commands() -> str:
    """The help of every command. Examples get a block of their own, so that they can be copied."""
    command = typer.main.get_command(app)
    text = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="kinprint", title="Commands")
    text = re.sub(
        r"^Example: (kinprint (?:.+\n)+)", r"Example:\n\n<!-- not run: help -->\n```sh\n\1```\n", text, flags=re.MULTILINE
    )
    text = re.sub(r"^```console\n\$ (.*)\n```$", r"```text\n\1\n```", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def notebook(name: str) -> dict[Path, str]:
    """A notebook as a page, and its pictures, with the outputs that it holds; nothing is run."""
    import nbconvert
    import nbformat

    read = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    text, resources = nbconvert.MarkdownExporter().from_notebook_node(read, {"output_files_dir": name})
    text = text.replace("```python\n", "<!-- not run: notebook -->\n```python\n").replace("![svg]", "![Curves over depth]")
    page = NOTICE + re.sub(r" +$", "", text, flags=re.MULTILINE).strip() + "\n"
    pictures = {DOCS / picture: data.decode() for picture, data in resources["outputs"].items()}
    return {DOCS / f"{name}.md": page, **pictures}


def free_changes_table() -> str:
    """Which family allows which disguise, as the tests expect it."""
    return str(_beside("tests", "free_changes").markdown_table())


def null_table() -> str:
    """Every test with its null hypothesis."""
    return str(_beside("docs", "error_rates").null_table())


def rate_table() -> str:
    """The rates of error that the pages count."""
    return str(_beside("docs", "error_rates").rate_table())


def asking_null_table() -> str:
    """The same of suspects that only answer."""
    return str(_beside("docs", "error_rates").asking_null_table())


def asking_rate_table() -> str:
    """The same of suspects that only answer."""
    return str(_beside("docs", "error_rates").asking_rate_table())


def _beside(folder: str, name: str) -> ModuleType:
    """A module of a folder of the repository that is no package."""
    path = str(DOCS.parent / folder)
    if path not in sys.path:
        sys.path.insert(0, path)
    return importlib.import_module(name)


BLOCKS: dict[str, Callable[[], str]] = {
    "error-rates": rate_table,
    "asking-nulls": asking_null_table,
    "asking-rates": asking_rate_table,
    "families": table.markdown_table,
    "names": named.markdown_table,
    "nulls": null_table,
    "free-changes": free_changes_table,
    "traits": trait_table.markdown_table,
    "formats": format_table,
    "quantizations": quantization_list,
}


def filled(text: str) -> str:
    """A page with its generated blocks as they should be."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]().rstrip()}\n{found[3]}", text)


def generated() -> dict[Path, str]:
    """Every file that has generated text, and the text of the whole file."""
    pages = {path: filled(text) for path in sorted(DOCS.glob("*.md")) if "<!-- generated:" in (text := path.read_text("utf-8"))}
    pages |= {DOCS / "methods" / f"{method.name}.md": NOTICE + method_page(method) for method in known()}
    pages[DOCS / "commands.md"] = NOTICE + commands()
    pages[DOCS / "glossary.md"] = NOTICE + glossary_markdown()
    for name in NOTEBOOKS:
        pages |= notebook(name)
    return pages


def main() -> None:
    for path, text in generated().items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
