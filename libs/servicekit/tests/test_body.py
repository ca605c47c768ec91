import asyncio
import json

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from servicekit.body import MAX_BODY_BYTES, read_body, read_json
from servicekit.problem import EXCEPTION_HANDLERS


class Order(msgspec.Struct):
    sources: list[str]


async def count(request):
    return JSONResponse(len(await read_body(request, timeout_s=0.2)))


async def order(request):
    return JSONResponse((await read_json(request, Order)).sources)


@pytest.fixture
async def url(served):
    routes = [Route("/count", count, methods=["POST"]), Route("/order", order, methods=["POST"])]
    async with served(Starlette(routes=routes, exception_handlers=dict(EXCEPTION_HANDLERS))) as url:
        yield url


@pytest.fixture
async def client(url):
    async with httpx.AsyncClient(base_url=url) as client:
        yield client


async def parts(number):
    for _ in range(number):
        yield b"x" * 1024


async def test_a_body_up_to_its_limit(client):
    assert (await client.post("/count", content=b"x" * MAX_BODY_BYTES)).json() == MAX_BODY_BYTES
    assert (await client.post("/count", content=parts(64))).json() == MAX_BODY_BYTES
    assert (await client.post("/count")).json() == 0


async def test_longer_bodies(client):
    for content in (b"x" * (MAX_BODY_BYTES + 1), parts(65)):
        answer = await client.post("/count", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_big")


async def test_a_body_that_does_not_come_to_its_end(url):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc")
    assert (await reader.read(4096)).startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()


async def test_json(client):
    assert (await client.post("/order", json={"sources": ["a"]})).json() == ["a"]
    for content in (
        b"",
        b"{",
        json.dumps({"sources": [5]}).encode(),
        b"[" * 50_000,
        b"\xff",
        b'{"sources":["\xff"]}',
    ):
        answer = await client.post("/order", content=content)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_json")
