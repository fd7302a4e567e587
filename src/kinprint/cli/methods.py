"""kinprint methods"""

from __future__ import annotations

from kinprint.cli._options import JsonOption
from kinprint.cli._output import emit


def command(as_json: JsonOption = False) -> None:
    """List every method: kind, what it compares and needs, its null hypothesis or known failure, its source.

    Example: kinprint methods
    """
    from kinprint.methods import known
    from kinprint.reports import methods_text

    emit(as_json, lambda: [method.to_json() for method in known()], lambda: methods_text(known()))
