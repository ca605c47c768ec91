"""What asks before something is deleted for good."""

import sys
from typing import Annotated

import typer

from tapedeck.commands.terminal import visible
from tapedeck.errors import UsageError

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`; ends the command with 1 where the answer is no. Raises UsageError where nobody is there to be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody has confirmed that", hint="add --yes")
    typer.confirm(visible(question), abort=True, err=True)
