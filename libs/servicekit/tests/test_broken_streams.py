import asyncio

import httpx
import pytest


class BreaksOff:
    """Begins an answer and leaves it, by an exception or without a word; `/whole` has its end."""

    def __init__(self, *, raises: bool, size: int):
        self.raises = raises
        self.size = size

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * self.size, "more_body": True})
        if scope["path"] == "/whole":
            await asyncio.sleep(0.05)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self.raises:
            raise ConnectionError("broke off")


@pytest.mark.parametrize("size", [0, 3, 200_000])
@pytest.mark.parametrize("raises", [False, True])
async def test_a_broken_answer_is_reset_and_the_others_of_its_connection_live_on(served, raises, size):
    app = BreaksOff(raises=raises, size=size)
    async with served(app) as url, httpx.AsyncClient(http1=False, http2=True, timeout=10) as client:
        whole = asyncio.create_task(client.get(url + "/whole"))
        for _ in range(3):
            with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
                await client.get(url + "/broken")
        assert len((await whole).content) == size
        assert len((await client.get(url + "/whole")).content) == size


@pytest.mark.parametrize("size", [0, 3, 200_000])
async def test_over_http_1_the_connection_is_closed(served, size):
    async with served(BreaksOff(raises=False, size=size)) as url, httpx.AsyncClient(timeout=10) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(url + "/broken")
