"""`python -m tapedeck.demo`: start everything, prove that it works, and keep serving until Ctrl-C.

With --exit (or TAPEDECK_DEMO_EXIT set) it ends after the proof. Exit code 0 only if every line of the proof held.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tapedeck import tokens
from tapedeck.commands import terminal
from tapedeck.demo.story import Place, demonstrate
from tapedeck.errors import PortTakenError, TapedeckError
from tapedeck.ready_file import Ready
from tapedeck.up.command import show, up
from tapedeck.up.plan import UpOptions
from tapedeck.up.ports import LOOPBACK, hold

UID = "demo"


def demo(
    *,
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept.")] = Path("data"),
    leave: Annotated[
        bool, typer.Option("--exit", envvar="TAPEDECK_DEMO_EXIT", help="End after the proof.")
    ] = False,
) -> None:
    """Start Tapedeck, send the bundled speech through it, and prove that it comes back."""
    console = Console(soft_wrap=True)
    options = UpOptions(data_dir, listen_port=_free(8080), storage_port=_free(8081))

    async def body(ready: Ready, asked: asyncio.Event) -> int:
        show(ready, options, console)
        token = tokens.mint(ready.jwt_secret, UID, now_s=int(time.time()), claim=tokens.uid_claim(os.environ))
        place = Place(ready.listen, ready.storage_api, UID, token)
        proof = asyncio.create_task(demonstrate(place, console))
        stopped = asyncio.create_task(asked.wait())
        await asyncio.wait([proof, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not proof.done():
            proof.cancel()
            await asyncio.wait([proof])
            return terminal.INTERRUPTED
        stopped.cancel()
        held = proof.result()
        console.print(
            "\nEverything held." if held else "\nNot everything held.", style="green" if held else "red"
        )
        if leave or not held:
            return 0 if held else terminal.FAILED
        console.print(
            f"\nThe console: {ready.console}\nA token for the user {UID}:\n{token}", highlight=False
        )
        console.print("\nServing until Ctrl-C.")
        await asked.wait()
        return 0

    console.print("Starting Tapedeck …")
    raise typer.Exit(up(options, console, body))


def _free(port: int) -> int:
    """The usual port, or 0 (any) if somebody has it: a newcomer's first try shall not fail by that."""
    try:
        hold(LOOPBACK, port).release()
    except PortTakenError:
        return 0
    return port


if __name__ == "__main__":
    try:
        typer.run(demo)
    except TapedeckError as error:
        sys.exit(terminal.report(error))
