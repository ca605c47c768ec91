"""The `tapedeck` command: `python -m tapedeck`."""

import sys
from typing import NoReturn

import typer

from tapedeck.commands import terminal
from tapedeck.commands.cut import cut
from tapedeck.commands.get import get
from tapedeck.commands.ls import ls
from tapedeck.commands.merge import merge
from tapedeck.commands.rm import rm
from tapedeck.commands.send import send
from tapedeck.commands.settings import settings
from tapedeck.commands.token import token
from tapedeck.commands.up import up
from tapedeck.commands.usage import usage
from tapedeck.errors import TapedeckError
from tapedeck.operators import buffers, dead, keys
from tapedeck.operators.doctor import doctor
from tapedeck.operators.where import where

app = typer.Typer(
    help="Tapedeck records conversations: run it, record into it, read what was recorded.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (up, send, ls, get, rm, cut, merge, usage, settings, token, where, doctor):
    app.command()(command)
for group, name in ((buffers.app, "buffers"), (dead.app, "dead"), (keys.app, "keys")):
    app.add_typer(group, name=name)


def main() -> NoReturn:
    """Run the command line; exits with the codes of `commands.terminal`."""
    try:
        app()
    except TapedeckError as error:
        sys.exit(terminal.report(error))
    except KeyboardInterrupt:
        sys.exit(terminal.INTERRUPTED)
    sys.exit(0)


if __name__ == "__main__":
    main()
