"""Results in notebooks: a card of HTML where a cell ends with one, tables for pandas, bars by matplotlib.

What a result says of itself in rows is its own business; nothing here knows what it is about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, ClassVar

from kinprint.errors import MissingExtraError, printable
from kinprint.terms import ALPHA

MOST = 30
"""Rows of a card; `to_frame()` has all."""

_STYLE = "border:1px solid #8889;border-radius:8px;padding:.6em .9em;max-width:60em"

Rows = Sequence[Mapping[str, Any]]


AXES = {"log10_p": "\N{MINUS SIGN}log10 p"}
"""Column -> what its axis is called, where not by its name."""


class Shown:
    """A result that notebooks show and tables take.

    Attributes:
        measure: the column that is drawn. p-values are drawn by their negative logarithm, and by it alone where they are small.
    """

    measure: ClassVar[str] = "log10_p"

    def headline(self) -> str:
        """A few words."""
        raise NotImplementedError

    def summary(self) -> str:
        """The result in plain words."""
        raise NotImplementedError

    def rows(self) -> Rows:
        """One row for each thing that was looked at: column -> value."""
        raise NotImplementedError

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("to_frame", "makes a table of pandas", "pip install pandas") from error
        return pandas.DataFrame([dict(row) for row in self.rows()])

    def plot(self, ax: Any = None, most: int = MOST) -> Any:
        """A bar for each row that has a value, the first on top, by matplotlib.

        Args:
            ax: the axes of matplotlib to draw on; new ones by default.
            most: rows that are drawn.

        Returns:
            the axes.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise MissingExtraError("plot", "draws with matplotlib", "pip install matplotlib") from error
        drawn = [row for row in self.rows() if row.get(self.measure) is not None][:most]
        chances = self.measure == "log10_p"
        values = [max(0.0, -row[self.measure]) if chances else row[self.measure] for row in drawn]
        if ax is None:
            _, ax = pyplot.subplots(figsize=(7, 1 + 0.28 * max(len(drawn), 1)), layout="constrained")
        errors = [row.get("standard_error") or 0.0 for row in drawn]
        ax.barh(range(len(drawn)), values, xerr=errors if any(errors) else None)
        ax.set_yticks(range(len(drawn)), [printable(_label(row), 60) for row in drawn], parse_math=False)
        ax.invert_yaxis()
        ax.set_xlabel(AXES.get(self.measure, self.measure))
        ax.set_title(printable(self.headline(), 100), parse_math=False)
        if chances:
            ax.set_xscale("symlog", linthresh=10)
            ax.axvline(-math.log10(getattr(self, "alpha", ALPHA)), linestyle="--", color="grey")
        return ax

    def _repr_html_(self) -> str:
        """What Jupyter shows. Names of strangers stay text."""
        rows = self.rows()
        head = f"<strong>{_text(self.headline())}</strong><p>{_text(self.summary())}</p>"
        more = f"<p>and {len(rows) - MOST} more: to_frame()</p>" if len(rows) > MOST else ""
        return f'<div style="{_STYLE}">{head}{_table(rows[:MOST])}{more}</div>'


def _table(rows: Rows) -> str:
    if not rows:
        return ""
    names = "".join(f'<th style="text-align:left">{_text(name)}</th>' for name in rows[0])
    lines = "".join(f"<tr>{''.join(f'<td>{_text(_short(value))}</td>' for value in row.values())}</tr>" for row in rows)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def _short(value: Any) -> Any:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else value


def _text(value: Any) -> str:
    return escape(printable(value, 1000))


def _label(row: Mapping[str, Any]) -> str:
    """What a row is of: its text columns in front, as "base and twin"."""
    names: list[str] = []
    for value in row.values():
        if not isinstance(value, str) or len(names) == 2:
            break
        names.append(value)
    pair = {"other", "neighbour"} & set(row)
    return " and ".join(names) if pair else names[0] if names else ""
