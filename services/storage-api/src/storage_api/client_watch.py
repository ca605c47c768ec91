"""Whether the client is still there: work for one that has gone is stopped at once.

Owns reading a request to its end for that. Must not be asked for requests whose body somebody else reads.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.types import Receive

T = TypeVar("T")

CLIENT_GONE: Final = 499
"""What is counted where nobody waits for the answer any more; nothing is sent."""


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work returns or raises; it is stopped, and None returned, where the client goes away."""
    task = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(gone(request.receive))
    try:
        await asyncio.wait((task, watching), return_when=asyncio.FIRST_COMPLETED)
        # That a client has gone is told once: whoever would watch for it after this would wait for ever.
        return None if watching.done() else task.result()
    finally:
        for one in (task, watching):
            one.cancel()
        await asyncio.gather(task, watching, return_exceptions=True)


async def gone(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
