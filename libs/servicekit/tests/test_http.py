import asyncio

import httpx
import pytest

from servicekit.bind import Bind, bind_socket, bound_to
from servicekit.http import serve, serving
from servicekit.stop import Stop


class App:
    """Answers `/` at once, and `/slow` when it is let go."""

    def __init__(self):
        self.release = asyncio.Event()
        self.under_way = 0
        self.cancelled = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.under_way += 1
        try:
            if scope["path"] == "/slow":
                await self.release.wait()
            if scope["path"] == "/bug":
                raise ValueError("bug")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def app():
    return App()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_port_0(app, host):
    bound = bind_socket(Bind(host, 0))
    url = bound_to(bound).url()
    async with httpx.AsyncClient() as client:
        async with serving(app, bound):
            assert (await client.get(url)).text == "ok"
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_requests_under_way_are_finished(app, bound, eventually):
    stop = Stop(300)
    url = bound_to(bound).url()
    server = asyncio.create_task(serve(app, bound, stop))
    async with httpx.AsyncClient() as client:
        await client.get(url)  # leaves an idle connection: it must not hold the end up
        slow = asyncio.create_task(client.get(url + "/slow"))
        await eventually(lambda: app.under_way)
        stop.set()
        await asyncio.sleep(0)
        app.release.set()
        assert (await slow).text == "ok"
        async with asyncio.timeout(60):
            await server


async def test_what_does_not_finish_is_cancelled_after_its_time(app, bound, eventually):
    stop = Stop(300)
    url = bound_to(bound).url()
    server = asyncio.create_task(serve(app, bound, stop, graceful_s=0.05))
    async with httpx.AsyncClient() as client:
        slow = asyncio.create_task(client.get(url + "/slow"))
        await eventually(lambda: app.under_way)
        stop.set()
        async with asyncio.timeout(60):
            await server
        assert app.cancelled == 1
        with pytest.raises(httpx.HTTPError):
            (await slow).raise_for_status()


async def test_a_bug_is_a_500_and_a_log_line(app, served, caplog):
    async with served(app) as url, httpx.AsyncClient() as client:
        assert (await client.get(url + "/bug")).status_code == 500
        assert (await client.get(url)).status_code == 200
    assert [record.name for record in caplog.records if record.exc_info] == ["hypercorn.error"]


async def test_servers_share_a_port_and_one_may_end(app):
    first = bind_socket(Bind("127.0.0.1", 0), reuse_port=True)
    second = bind_socket(bound_to(first), reuse_port=True)
    url = bound_to(first).url()
    async with serving(app, first):
        async with serving(app, second):
            pass
        for _ in range(10):
            assert await _fresh_get(url) == httpx.codes.OK


async def _fresh_get(url):
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).status_code


async def test_leaving_by_an_error_stops_the_server(app, bound):
    url = bound_to(bound).url()
    with pytest.raises(ExceptionGroup):
        async with serving(app, bound, graceful_s=0.1):
            raise KeyError
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_http_2(app, served):
    async with served(app) as url, httpx.AsyncClient(http1=False, http2=True) as client:
        answers = await asyncio.gather(*(client.post(url, content=b"x" * 100_000) for _ in range(5)))
    assert {(answer.http_version, answer.text) for answer in answers} == {("HTTP/2", "ok")}
