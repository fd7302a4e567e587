"""SVG as text: the elements that the pictures of all reports are made of.

Pictures are written here, without a plotting library and without scripts: they must show the same in a page without network,
in a README, on paper and in ten years. Every text and every value of an attribute is escaped. A float is written with one
decimal, which is finer than any screen; whoever needs another form gives a whole number or a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from markupsafe import Markup

Number = float | int
Point = tuple[float, float]

SHEET = ".sheet{fill:#fff} text{fill:#222;font:13px system-ui,sans-serif} .title{font-weight:600;font-size:15px}"
DARK = "@media (prefers-color-scheme:dark){.sheet{fill:#16181c} text{fill:#e4e4e4}}"
"""Style of a picture that stands alone: paper, words and heading, in the reader's light or dark scheme."""


def element(name: str, content: str = "", /, *, hover: str = "", **attributes: str | Number | None) -> str:
    """One element.

    Args:
        name: "rect", "circle", ...
        content: escaped already; without it the element is closed in itself.
        hover: what a pointer that rests on it is told.
        attributes: in the order given, without those that are None; `look` is the class, and `_` stands for `-`.
    """
    written = "".join(
        f' {"class" if key == "look" else key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = (f"<title>{escape(hover)}</title>" if hover else "") + content
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def text(x: Number, y: Number, words: str, *, look: str | None = None, anchor: str | None = None, hover: str = "") -> str:
    """Words that start, end or are centred (`anchor`) at a point."""
    return element("text", escape(words), hover=hover, look=look, x=x, y=y, text_anchor=anchor)


def upright(x: Number, y: Number, words: str) -> str:
    """Words that run upwards, their middle at a point."""
    turn = f"rotate(-90 {_value(x)} {_value(y)})"
    return element("text", escape(words), x=x, y=y, text_anchor="middle", transform=turn)


def rectangle(
    x: Number, y: Number, width: Number, height: Number, *, look: str | None = None, hover: str = "", **more: str | Number
) -> str:
    """A rectangle; `more` are attributes as of `element`."""
    return element("rect", hover=hover, look=look, x=x, y=y, width=width, height=height, **more)


def polyline(points: Iterable[Point], *, look: str, style: str | None = None) -> str:
    """A line through points."""
    return element("polyline", look=look, style=style, points=" ".join(f"{_value(x)},{_value(y)}" for x, y in points))


def figure(label: str, body: Sequence[str], width: float, height: float) -> Markup:
    """A picture of a page, which has the style for it; `label` is for those who do not see it."""
    head = f'<svg class="figure" {_box(width, height)} role="img" aria-label="{escape(label)}">'
    return Markup("\n".join([head, *body, "</svg>"]))


def picture(title: str, body: Sequence[str], width: float, height: float, style: str) -> str:
    """A picture that stands alone, with its style, on paper of its own."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {_box(width, height)} width="{width:.0f}" role="img">'
    names = f"<title>{escape(title)}</title><style>{style}</style>"
    return "\n".join([head, names, element("rect", look="sheet", width="100%", height="100%"), *body, "</svg>"]) + "\n"


def shortened(words: str, limit: int) -> str:
    """At most `limit` letters; an ellipsis says that some are missing."""
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _box(width: float, height: float) -> str:
    return f'viewBox="0 0 {width:.0f} {height:.0f}"'


def _value(value: str | Number) -> str:
    return f"{value:.1f}" if isinstance(value, float) else escape(str(value))
