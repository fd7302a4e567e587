"""What commands share that take an alpha, or end with an exit code of their own for some verdicts."""

from __future__ import annotations

from typing import get_args

import typer

from kinprint.comparison import Verdict

FAILED = 3
"""Exit code of --fail-on."""


def require_alpha(alpha: float) -> None:
    """Wrong use, unless it is a probability."""
    if not 0 < alpha < 1:
        raise typer.BadParameter("must lie between 0 and 1", param_hint="--alpha")


def require_verdict(fail_on: str | None) -> None:
    """Wrong use, unless it is a verdict or none was given."""
    if fail_on is not None and fail_on not in get_args(Verdict):
        raise typer.BadParameter(f"{fail_on!r} is no verdict", param_hint="--fail-on")


def stop_on(fail_on: str | None, verdict: Verdict) -> None:
    """End with FAILED if the verdict is the one that was given; `related` stands for identical weights too."""
    if fail_on is not None and verdict in (("related", "identical") if fail_on == "related" else (fail_on,)):
        raise typer.Exit(FAILED)
