"""Results in notebooks: a card of HTML where a cell ends with one, and tables for pandas.

What a result says of itself in rows is its own business; nothing here knows what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kinprint.errors import MissingExtraError, printable

MOST = 30
"""Rows of a card; `to_frame()` has all."""

_STYLE = "border:1px solid #8889;border-radius:8px;padding:.6em .9em;max-width:60em"

Rows = Sequence[Mapping[str, Any]]


class Shown:
    """A result that notebooks show and tables take."""

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
