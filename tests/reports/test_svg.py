"""SVG elements: well-formed whatever they are given, numbers as short as a screen needs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from kinprint.reports import svg

EVIL = """</text><script>alert('1')</script>" onload="alert(2)&"""


def test_an_element() -> None:
    """Attributes in their order, floats with one decimal, whole numbers and texts as they are, nothing for None."""
    assert (
        svg.element("circle", look="dot", cx=1.26, cy=3, r="50%", fill=None) == '<circle class="dot" cx="1.3" cy="3" r="50%"/>'
    )
    assert svg.rectangle(1.0, 2, 3, 4.05, fill_opacity="0.35") == (
        '<rect x="1.0" y="2" width="3" height="4.0" fill-opacity="0.35"/>'
    )
    assert svg.upright(14, 7, "up") == '<text x="14" y="7" text-anchor="middle" transform="rotate(-90 14 7)">up</text>'


def test_texts_of_strangers_stay_text() -> None:
    """In words, hovers, attributes, labels and titles."""
    body = [svg.text(1.0, 2.0, EVIL, look=EVIL, hover=EVIL), svg.element("rect", fill=EVIL), svg.upright(1, 2, EVIL)]
    for drawn in (svg.figure(EVIL, body, 10, 10), svg.picture(EVIL, body, 10, 10, "text{}")):
        root = ET.fromstring(drawn)
        assert {element.tag.split("}")[-1] for element in root.iter()} <= {"svg", "title", "style", "rect", "text"}
        assert [element.text for element in root.iter() if element.tag.endswith("title")].count(EVIL) >= 1
        assert not any("onload" in element.attrib for element in root.iter())


def test_long_words_are_shortened() -> None:
    """To a limit that counts the ellipsis."""
    assert svg.shortened("abcdef", 6) == "abcdef"
    assert svg.shortened("abcdefg", 6) == "abcde…"
