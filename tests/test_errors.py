"""The errors of the package: one module draws them all as a tree."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
import re
from collections.abc import Iterator

import pytest

import kinprint
from kinprint import errors


def drawn() -> dict[str, str]:
    """Error -> the one above it in the docstring's drawing, read by indentation."""
    above: list[tuple[int, str]] = []
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        if branch := re.match(r"    ([ │├└─]*)(\w+)(?:  |$)", line):
            depth = len(branch[1])
            above = [(level, name) for level, name in above if level < depth]
            found[branch[2]] = above[-1][1] if above else ""
            above.append((depth, branch[2]))
    return found


def test_the_tree_is_that_of_the_classes() -> None:
    """Every class of the module stands in the drawing under its base, and nothing else does."""
    classes = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, BaseException)}
    bases = {name: cls.__bases__[0].__name__ for name, cls in classes.items()}
    assert drawn() == {"Exception": "", "ValueError": "Exception", **bases}


def modules() -> Iterator[str]:
    for module in pkgutil.walk_packages(kinprint.__path__, "kinprint."):
        yield module.name


def test_errors_elsewhere_are_private() -> None:
    """A class of exceptions outside of the module has a name with an underscore: it never leaves its file."""
    strays = [
        f"{name}.{cls.__name__}"
        for name in modules()
        for cls in vars(importlib.import_module(name)).values()
        if inspect.isclass(cls) and issubclass(cls, BaseException) and cls.__module__ == name != errors.__name__
        if not cls.__name__.startswith("_")
    ]
    assert strays == []


@pytest.mark.parametrize("error", errors.KinprintError.__subclasses__(), ids=lambda error: error.__name__)
def test_an_error_survives_the_way_from_a_worker(error: type[errors.KinprintError]) -> None:
    """Its subject, problem and remedy too, in one line."""
    first = error("model\n", "cannot be read", "check the path")
    again = pickle.loads(pickle.dumps(first))
    assert (type(again), str(again)) == (error, "model\\n: cannot be read; check the path")
