"""Evidence as text and back, the same to the last bit: floats as Python writes them, NaN and infinities among them.

What a comparison adds for its alpha and from the benchmark (`detectable`, `false_accusations`) is not part of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import numpy as np

from kinprint.methods import Evidence, Kind
from kinprint.statistics.label_checks import LabelCheck

Parse = Callable[[Any], Any]


def write(evidence: Iterable[Evidence]) -> str:
    """JSON, but for NaN and infinities."""
    return json.dumps([{name: getattr(item, name) for name in FIELDS} for item in evidence], default=_plain)


def read(text: str) -> list[Evidence]:
    """The evidence that `write` was given.

    Raises:
        ValueError: the text is not what `write` writes.
    """
    try:
        return [_evidence(item) for item in _listed(json.loads(text))]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no evidence: {error}") from error


def _plain(value: Any) -> Any:
    """A numpy number as Python's, and a label check as its two values."""
    if isinstance(value, LabelCheck):
        return [value.order, value.log10_p]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no part of evidence")


def _evidence(item: Any) -> Evidence:
    if not isinstance(item, dict) or item.keys() != FIELDS.keys():
        raise ValueError("other fields than evidence has")
    return Evidence(**{name: parse(item[name]) for name, parse in FIELDS.items()})


def _of(*types: type) -> Parse:
    """A value of exactly one of some types."""

    def parse(value: Any) -> Any:
        if type(value) not in types:
            raise ValueError(f"{value!r} is not of {types}")
        return value

    return parse


def _kind(value: Any) -> Any:
    if value not in get_args(Kind):
        raise ValueError(f"{value!r} is no kind of method")
    return value


def _optional(parse: Parse) -> Parse:
    return lambda value: None if value is None else parse(value)


def _tuple(parse: Parse) -> Parse:
    return lambda value: tuple(parse(item) for item in _listed(value))


def _table(parse: Parse) -> Parse:
    return lambda value: {_text(key): parse(item) for key, item in _of(dict)(value).items()}


def _check(value: Any) -> LabelCheck:
    order, log10_p = _listed(value)
    return LabelCheck(_text(order), _optional(_number)(log10_p))


_listed, _text, _flag, _count, _number = _of(list), _of(str), _of(bool), _of(int), _of(float, int)

FIELDS: Mapping[str, Parse] = {
    "method": _text,
    "kind": _kind,
    "statistic": _optional(_number),
    "log10_p": _optional(_number),
    "bound": _flag,
    "layer_map": _optional(_tuple(_count)),
    "layers": _optional(_tuple(_number)),
    "parts": _table(_number),
    "resolution": _optional(_number),
    "disguise": _tuple(_text),
    "forgeable": _flag,
    "labels": _table(_tuple(_check)),
    "set_aside": _text,
    "unmeasured": _flag,
    "note": _text,
    "across": _optional(_tuple(_tuple(_number))),
}
"""How each field is read."""
