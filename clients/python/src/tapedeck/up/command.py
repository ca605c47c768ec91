"""`tapedeck up` as a function: a stack on a terminal."""

import asyncio
import os
import sys

import msgspec
from rich.console import Console

from tapedeck.ready_file import Ready
from tapedeck.up.plan import UpOptions
from tapedeck.up.stack import Body, run_stack


def up(options: UpOptions, console: Console, body: Body | None = None, *, json: bool = False) -> int:
    """Run the stack until a signal; the exit code. `body` is what is done with it (none: it serves).

    With `json` it is said on stdout where everything is, in one document as soon as all of it answers; all else goes to `console`.

    Raises UpError and its kinds.
    """

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    async def serve(ready: Ready, asked: asyncio.Event) -> int:
        if json:
            sys.stdout.write(msgspec.json.encode(_places(ready, options)).decode() + "\n")
            sys.stdout.flush()  # whoever reads it waits for it, and the stack goes on
        else:
            show(ready, options, console)
        await asked.wait()
        return 0

    return asyncio.run(run_stack(options, os.environ, say, body if body is not None else serve))


def _places(ready: Ready, options: UpOptions) -> dict[str, object]:
    """Where everything is, for programs; secrets stay in the ready file."""
    return {
        "listen": ready.listen,
        "storage_api": ready.storage_api,
        "console": ready.console,
        "redis": ready.redis if ready.pids.redis else None,  # one that was given may have a password in it
        "store": ready.store,
        "logs": str(options.data_dir / "logs"),
        "ready_file": str(options.ready_path),
        "pids": ready.pids,
    }


def show(ready: Ready, options: UpOptions, console: Console) -> None:
    """Say where everything is; secrets stay in the ready file."""
    rows = {
        "listen": ready.listen,
        "storage API": ready.storage_api,
        "console": ready.console,
        "Redis": ready.redis if ready.pids.redis else "the one that was given",
        "store": ready.store,
        "logs": str(options.data_dir / "logs"),
        "ready file": str(options.ready_path),
    }
    console.print("Tapedeck is running. Ctrl-C stops it.", markup=False)
    for name, value in rows.items():
        console.print(f"  {name:<12} {value}", highlight=False, markup=False, soft_wrap=True)
