"""Pages from templates. Whatever a model, a card or a file says reaches a page escaped and without control characters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from kinprint.errors import printable
from kinprint.families import published_name
from kinprint.reports.glossary import TERMS
from kinprint.words import p_value

if TYPE_CHECKING:
    from kinprint.library.identify import Identification

FOLDER = Path(__file__).with_name("templates")
STYLE, SCRIPT = ((FOLDER / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))


@cache
def environment(*folders: Path) -> jinja2.Environment:
    """The templates of these folders and of this package: everything is escaped, an unknown name is an error."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    templates.filters["p"] = _p
    templates.filters["published_name"] = published_name
    templates.filters["owners"] = _owners
    templates.globals["style"] = Markup(STYLE)
    templates.globals["script"] = Markup(SCRIPT)
    templates.globals["glossary"] = TERMS
    return templates


def page(template: str, **content: Any) -> str:
    """The page of a template."""
    return environment().get_template(template).render(content)


def _p(log10_p: float | None) -> str:
    """An upper bound of a p-value, by its logarithm."""
    return "> 0.1" if log10_p is not None and log10_p > -1 else p_value(log10_p)


def _owners(identification: Identification) -> Markup | None:
    """What draws it imports all that compares, which most pages of a server do without."""
    from kinprint.reports.owners import owners_picture

    return owners_picture(identification)


def _shown(value: Any) -> Any:
    """Texts of strangers on one line of characters that can be seen; markup of our own as it is."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return printable(value, 10_000)
    return value
