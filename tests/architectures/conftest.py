"""What tests of tables share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from running import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A run of each family, made once."""
    made: dict[str, Run] = {}

    def of(name: str) -> Run:
        if name not in made:
            made[name] = Run(name, tmp_path_factory.mktemp(name))
        return made[name]

    return of
