"""`tapedeck up` as a function: a stack on a terminal."""

import asyncio
import os

from rich.console import Console

from tapedeck.ready_file import Ready
from tapedeck.up.plan import UpOptions
from tapedeck.up.stack import Body, run_stack


def up(options: UpOptions, console: Console, body: Body | None = None) -> int:
    """Run the stack until a signal; the exit code. `body` is what is done with it (none: it serves).

    Raises UpError and its kinds.
    """

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    async def serve(ready: Ready, asked: asyncio.Event) -> int:
        show(ready, options, console)
        await asked.wait()
        return 0

    return asyncio.run(run_stack(options, os.environ, say, body if body is not None else serve))


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
