"""A client that sends further requests before it has its answer, which is broken off."""

import asyncio
from urllib.parse import urlsplit

import pytest

REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def breaks_off(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def answers(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"whole", "more_body": False})


@pytest.mark.parametrize("later", [b"", b"GET / HTTP/1.1\r\n", b"\0" * 100_000])
async def test_a_broken_answer_leaves_nothing_behind(served, eventually, later):
    before = asyncio.all_tasks()
    async with served(breaks_off, graceful_s=0.1) as url:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
            writer.write(REQUEST * 1000 + later)
            answer = await reader.read()
            assert answer.count(b"HTTP/1.1 200") == 1
            assert answer.endswith(b"half")
            writer.close()
        # The server has a few of its own.
        await eventually(lambda: len(asyncio.all_tasks() - before) < 20)
    assert asyncio.all_tasks() == before


async def test_whole_answers_come_one_after_another(served):
    async with served(answers) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(REQUEST * 20 + REQUEST.replace(b"h\r\n", b"h\r\nConnection: close\r\n"))
        assert (await reader.read()).count(b"\r\n\r\nwhole") == 21
        writer.close()


async def breaks_off_without_a_length(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def answers_without_a_length(scope, receive, send):
    await breaks_off_without_a_length(scope, receive, send)
    if scope["type"] == "http":
        await send({"type": "http.response.body", "body": b", and whole", "more_body": False})


async def test_to_http_1_0_a_broken_answer_is_none_that_ended(served, eventually):
    """There the end of the connection is the end of the body: it must not come in order."""
    before = asyncio.all_tasks()
    async with served(breaks_off_without_a_length, graceful_s=0.1) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        await eventually(lambda: len(asyncio.all_tasks() - before) < 20)
    assert asyncio.all_tasks() == before


async def test_to_http_1_0_a_whole_answer_ends_in_order(served):
    async with served(answers_without_a_length) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
        writer.write(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
        assert (await reader.read()).endswith(b"half, and whole")
        writer.close()
