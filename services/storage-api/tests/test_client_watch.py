"""Work is done only as long as its client is there."""

import asyncio

import pytest
from starlette.requests import Request

from storage_api.client_watch import while_there


def request_of(*messages: str) -> Request:
    waiting = list(messages)

    async def receive():
        if waiting:
            return {"type": waiting.pop(0), "body": b"", "more_body": False}
        return await asyncio.Event().wait()

    return Request({"type": "http"}, receive)


async def test_what_the_work_returns_or_raises():
    async def works(divisor: int) -> int:
        await asyncio.sleep(0)
        return 1 // divisor

    assert await while_there(request_of("http.request"), works(1)) == 1
    with pytest.raises(ZeroDivisionError):
        await while_there(request_of("http.request"), works(0))


async def test_it_is_stopped_when_the_client_goes():
    stopped = asyncio.Event()

    async def works() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return 1

    assert await while_there(request_of("http.request", "http.disconnect"), works()) is None
    assert stopped.is_set()


async def test_a_client_that_goes_as_the_work_ends_has_gone():
    """Nobody would be told of it again."""

    async def works() -> int:
        return 1

    assert await while_there(request_of("http.disconnect"), works()) is None
