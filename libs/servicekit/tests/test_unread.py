import asyncio

import httpx
import pytest

CHUNKS = b"".join(b"1\r\nx\r\n" for _ in range(200))
REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS


class Refuses:
    """Answers without reading; or breaks off after the first part of its answer."""

    def __init__(self, *, breaks_off):
        self.breaks_off = breaks_off

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await asyncio.sleep(0.05)  # until the queue is full: that is the story
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no", "more_body": self.breaks_off})
        if self.breaks_off:
            raise ConnectionError("broke off")


@pytest.mark.parametrize("breaks_off", [False, True])
async def test_an_unread_body_leaves_nothing_behind(served, eventually, breaks_off):
    before = asyncio.all_tasks()
    async with served(Refuses(breaks_off=breaks_off), graceful_s=0.1) as url:
        idle = asyncio.all_tasks()
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(REQUEST)
            answer = await reader.read(4096)
            assert answer.startswith(b"HTTP/1.1 413")
            writer.close()
        await eventually(lambda: len(asyncio.all_tasks()) <= len(idle) + 4)
    assert asyncio.all_tasks() == before


async def test_over_http_2_other_requests_of_the_connection_live_on(served):
    refuses = Refuses(breaks_off=False)
    async with served(refuses) as url, httpx.AsyncClient(http1=False, http2=True, timeout=60) as client:
        answers = await asyncio.gather(*(client.post(url, content=b"x" * 500_000) for _ in range(5)))
        assert {(answer.http_version, answer.status_code) for answer in answers} == {("HTTP/2", 413)}
        assert (await client.get(url)).text == "no"
