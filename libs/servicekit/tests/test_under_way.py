"""Requests that are broken off because their server ends."""

import asyncio
import logging

import httpx
import pytest

from servicekit.bind import bound_to
from servicekit.http import serve
from servicekit.stop import Stop


class Endless:
    """Answers nothing, or begins an answer that has no end; one path has to be cancelled twice."""

    def __init__(self) -> None:
        self.under_way = self.cancelled = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.under_way += 1
        try:
            if scope["path"] == "/begun":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
            try:
                await asyncio.Event().wait()
            finally:
                if scope["path"] == "/slow":
                    await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@pytest.mark.parametrize("http2", [False, True])
async def test_whoever_waits_hears_of_it_and_the_server_ends_without_an_error(
    bound, eventually, caplog, http2
):
    app, stop, url = Endless(), Stop(300), bound_to(bound).url()
    server = asyncio.create_task(serve(app, bound, stop, graceful_s=0.05))
    first, second = [httpx.AsyncClient(http1=not http2, http2=http2) for _ in range(2)]
    async with first, second, asyncio.timeout(60):
        waiting = asyncio.create_task(status(first, url))
        begun = asyncio.create_task(second.get(url + "/begun"))
        await eventually(lambda: app.under_way == 2)
        stop.set()
        await server
        assert await waiting == (503, "1")
        with pytest.raises(httpx.RemoteProtocolError):
            await begun
    assert app.cancelled == 2
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


async def test_what_outlives_its_cancellation_does_not_fail_the_server(bound, eventually, caplog):
    app, stop, url = Endless(), Stop(300), bound_to(bound).url()
    server = asyncio.create_task(serve(app, bound, stop, graceful_s=0.05))
    async with httpx.AsyncClient(http1=False, http2=True) as client, asyncio.timeout(60):
        asked = asyncio.create_task(client.get(url + "/slow"))
        await eventually(lambda: app.under_way)
        stop.set()
        await server
        with pytest.raises(httpx.HTTPError):
            await asked
    assert app.cancelled == 1
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


async def status(client, url):
    """Of an answer whose body is not asked for: after GOAWAY httpx gives no body out that came before it."""
    async with client.stream("GET", url) as answer:
        return answer.status_code, answer.headers.get("retry-after")
