"""kinprint completion SHELL"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.cli._options import unknown

SHELLS = ("bash", "zsh", "fish", "powershell")


def _shell(name: str) -> str:
    if name not in SHELLS:
        raise unknown(name, "shell", SHELLS)
    return name


def command(
    shell: Annotated[str, typer.Argument(callback=_shell, help=f"Which one: {', '.join(SHELLS)}.")],
) -> None:
    """Print what makes SHELL complete the words of kinprint: commands, options, files.

    Example: kinprint completion bash

    prints a script. `source <(kinprint completion bash)` in ~/.bashrc loads it; fish reads it from
    ~/.config/fish/completions/kinprint.fish, zsh from a file _kinprint in a folder of $fpath.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    typer.echo(get_completion_script(prog_name="kinprint", complete_var="_KINPRINT_COMPLETE", shell=shell))
