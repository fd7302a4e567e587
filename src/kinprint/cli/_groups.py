"""Commands of commands. A command is imported when it is asked for: what a user types loads one of them, not all.

Help is written without rich, whose parts for help alone take longer to load than numpy.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from itertools import groupby
from typing import Any

import typer
import typer.core
import typer.main

from kinprint.cli._settings import set_for, variable

PLAIN = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}
"""What all parts of the command line are made with."""

SETTINGS = {"max_content_width": 100, "help_option_names": ["--help", "-h"]}
"""Columns that help takes of a wide terminal, and what asks for help."""

LONGEST = 300
"""Characters of a command's first sentence where commands are listed."""


class Commands(Mapping[str, Any]):
    """Name -> command as click has it, made when it is asked for.

    Args:
        names: all of them, in the order of the help.
        make: gives the command of a name.
    """

    def __init__(self, names: Callable[[], list[str]], make: Callable[[str], Any]) -> None:
        self._names, self._make = names, make

    def __getitem__(self, name: str) -> Any:
        if name not in self._names():
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())


class Taken:
    """A value that is missing, or has the type of its option already, is taken as it is. typer would ask pydantic, and to load
    that takes longer than everything else that help or a wrong path needs."""

    def __init__(self, option: Any) -> None:
        self._asked = option.get_runtime_param

    def __call__(self) -> Taken:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        wanted = param.type_descriptor.annotation
        missing = value is None and param.nargs == 1 and not param.multiple
        if missing or type(value) is wanted:
            return value
        if wanted == list[str] and isinstance(value, list | tuple):  # of what was typed
            return list(value)
        return self._asked().coerce(value, param=param, ctx=ctx)


def _taken(options: list[Any]) -> list[Any]:
    """The options of a command, with `Taken` where this typer asks pydantic, and arguments named as the usage names them."""
    for option in options:
        if option.param_type_name == "argument" and option.metavar is None:
            option.metavar = option.name.upper()
        if hasattr(option, "get_runtime_param") and not isinstance(option.get_runtime_param, Taken):
            option.get_runtime_param = Taken(option)
    return options


class Single(typer.core.TyperCommand):
    """A command that does something. An option that nobody types is as the user's settings say (`kinprint.cli._settings`)."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _taken(super().get_params(ctx))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        words = (*_words(parent), info_name or "")
        options: dict[str, Any] = {name: option for option in self.params for name in _long_names(option)}
        for name, option in options.items():
            if option.envvar is None and f"--{name}" == option.opts[0]:
                option.envvar, option.show_envvar = variable(words, name), False
        asks = {"--help", "-h"} & set(args)
        given = {} if asks or parent is None else set_for(words, {name: option.name for name, option in options.items()})
        return super().make_context(info_name, args, parent, default_map=given, **extra)


def _long_names(option: Any) -> list[str]:
    """The long names of an option that does something, without their dashes: "json"."""
    if option.param_type_name != "option" or not option.expose_value:
        return []
    return [name.removeprefix("--") for name in option.opts if name.startswith("--")]


def _words(context: Any) -> tuple[str, ...]:
    """What was typed before a command, but for `kinprint`."""
    return () if context is None or context.parent is None else (*_words(context.parent), context.info_name)


class Group(typer.core.TyperGroup):
    """A command of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _taken(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)  # typer's own makes them all

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section for each of the panels that the commands name."""
        for panel, members in groupby(self.commands.items(), lambda item: getattr(item[1], "rich_help_panel", None)):
            with formatter.section(panel or "Commands"):
                formatter.write_dl([(name, command.get_short_help_str(LONGEST)) for name, command in members])


def group(commands: Commands, name: str, help: str) -> typer.Typer:
    """A command of commands that are looked up."""

    class Found(Group):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands: Any = commands  # nobody adds to it

    return typer.Typer(name=name, help=help, cls=Found, no_args_is_help=True, context_settings=SETTINGS, **PLAIN)  # type: ignore[arg-type]


def single(name: str, function: Callable[..., None], panel: str | None = None) -> Any:
    """The command of a function whose arguments are its options; its docstring is its help."""
    alone = typer.Typer(**PLAIN)  # type: ignore[arg-type]
    alone.command(name, cls=Single, rich_help_panel=panel, context_settings=SETTINGS)(function)
    return typer.main.get_command(alone)


def files(package: str) -> Commands:
    """The commands of a package, one a file: its `command` is a function, or its `app` a command of commands."""

    def names() -> list[str]:
        modules = (module.name for module in pkgutil.iter_modules(sys.modules[package].__path__))
        return sorted(name.replace("_", "-") for name in modules if not name.startswith("_"))

    def made(name: str) -> Any:
        module = import_module(f"{package}.{name.replace('-', '_')}")
        return typer.main.get_group(module.app) if hasattr(module, "app") else single(name, module.command)

    return Commands(names, made)
