"""What asks before something is deleted for good."""

import sys
from typing import Annotated

import typer

from tapedeck.commands.terminal import visible
from tapedeck.errors import UsageError

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def confirm(question: str, *, yes: bool, hint: str = "add --yes") -> None:
    """Ask, unless `yes`; ends the command with 1 where the answer is no.

    Raises UsageError where nobody is there to be asked (`hint`: what to do then), KeyboardInterrupt for Ctrl-C.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody has confirmed that", hint=hint)
    try:
        typer.confirm(visible(question), abort=True, err=True)
    except typer.Abort as abort:
        # Ctrl-C is made an Abort as well, which would exit as a no does.
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from abort
        raise
