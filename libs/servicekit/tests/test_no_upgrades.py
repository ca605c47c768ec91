"""Requests that want to go on in HTTP/2, and those that begin in it."""

import asyncio
from urllib.parse import urlsplit

import httpx
import pytest


async def tells(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["http_version"].encode(), "more_body": False})


@pytest.mark.parametrize(
    "settings", [b"", b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n", b"HTTP2-Settings: AAAA\r\n"]
)
@pytest.mark.parametrize("word", [b"h2c", b"H2C", b"h2c, websocket"])
async def test_an_upgrade_is_ignored(served, settings, word, caplog):
    async with served(tells) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: " + word
        writer.write(head + b"\r\n" + settings + b"\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"\r\n1.1\r\n" in answer
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_who_begins_with_http_2_gets_it(served):
    async with served(tells) as url, httpx.AsyncClient(http1=False, http2=True) as client:
        assert (await client.get(url)).text == "2"
