"""`tapedeck token`."""

import os
import time
from typing import Annotated

import typer

from tapedeck import ready_file, tokens
from tapedeck.commands.terminal import JsonOption, print_json
from tapedeck.system import DEFAULT_USER


def token(
    *,
    uid: Annotated[str | None, typer.Argument(help="Whom the token speaks for.")] = None,
    user: Annotated[str, typer.Option("--user", help="The same.")] = DEFAULT_USER,
    hours: Annotated[float, typer.Option(min=0.01, help="How long it is valid.")] = 24,
    json: JsonOption = False,
) -> None:
    """Mint a user token for a system in dev mode, from its ready file."""
    ready = ready_file.read(ready_file.chosen_path())
    now_s = int(time.time())
    user = uid or user
    minted = tokens.mint(
        ready.jwt_secret,
        user,
        now_s=now_s,
        lifetime_s=int(hours * 3600),
        claim=tokens.uid_claim(os.environ),
    )
    if json:
        print_json({"user": user, "token": minted, "expires_at": now_s + int(hours * 3600)})
    else:
        typer.echo(minted)
