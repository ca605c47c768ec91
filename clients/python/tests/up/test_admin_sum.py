"""What several processes say, as one."""

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from servicekit.stop import Stop
from tapedeck.up.admin_sum import AdminSum


class Worker:
    """A child's admin port."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.status = 200
        self.url = ""

    def answer(self, path: str) -> tuple[int, str]:
        if path == "/metrics":
            return 200, f"# HELP x_total x\n# TYPE x_total counter\nx_total {self.value}\n"
        return self.status, "[+]redis ok\nready\n" if path.endswith("?verbose") else "ready\n"


@contextmanager
def served(worker: Worker):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = worker.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    worker.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield worker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def workers():
    with served(Worker(1.5)) as first, served(Worker(2)) as second:
        yield first, second


@pytest.fixture
async def ask(workers, unused_tcp_port):
    whole = AdminSum("127.0.0.1", unused_tcp_port, tuple(worker.url for worker in workers))
    stop = Stop(1)
    serving = asyncio.create_task(whole.serve(stop))
    async with httpx.AsyncClient(base_url=whole.url, trust_env=False) as http:
        await asyncio.sleep(0)  # it listens from its first step on
        yield http.request
    stop.set()
    await serving


async def test_counters_are_summed(ask):
    answer = await ask("GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    assert answer.text.splitlines()[-1] == "x_total 3.5"


async def test_it_is_ready_when_all_are(ask, workers):
    answer = await ask("GET", "/readyz")
    assert (answer.status_code, answer.text) == (200, "ready\n")
    answer = await ask("GET", "/readyz?verbose")
    assert answer.text.count("[+]redis ok") == 2
    workers[1].status = 503
    answer = await ask("GET", "/readyz")
    assert (answer.status_code, answer.text) == (503, "not ready\n")


async def test_other_requests(ask):
    assert (await ask("GET", "/livez")).text == "ok\n"
    assert (await ask("GET", "/")).status_code == 404
    assert (await ask("POST", "/metrics")).status_code == 405
    assert (await ask("HEAD", "/metrics")).status_code == 200


async def test_there_is_no_sum_of_some(unused_tcp_port, unused_tcp_port_factory, workers):
    nobody = f"http://127.0.0.1:{unused_tcp_port_factory()}"
    whole = AdminSum("127.0.0.1", unused_tcp_port, (workers[0].url, nobody))
    stop = Stop(1)
    serving = asyncio.create_task(whole.serve(stop))
    async with httpx.AsyncClient(base_url=whole.url, trust_env=False) as http:
        await asyncio.sleep(0)
        metrics, ready = await http.get("/metrics"), await http.get("/readyz?verbose")
        assert (metrics.status_code, metrics.text) == (503, "1 of 2 processes do not answer\n")
        assert ready.status_code == 503
        assert f"{nobody}:\nno answer" in ready.text
    stop.set()
    await serving
