"""Stores to test against: memory, a folder, and a real GCS server that honours preconditions (fake-gcs-server).

The server is found as: a binary on PATH; `.tools/bin` (where `make tools` puts it); built once with Go; a container where
Docker runs. What is missing skips its tests with the reason, and fails them where `CI=true`.
"""

import contextlib
import fcntl
import functools
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from audiostore import open_store
from audiostore.store import Store

REPO = Path(__file__).parents[3]
TOOLS = REPO / ".tools" / "bin"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Builds the server before the first test's time limit runs."""
    if any({"gcs_server", "store"} & set(getattr(item, "fixturenames", ())) for item in items):
        gcs_binary()


@functools.cache
def gcs_binary() -> str | None:
    """fake-gcs-server on PATH, in .tools, or built into .tools; None where none of these can be."""
    found = shutil.which("fake-gcs-server") or shutil.which("fake-gcs-server", path=TOOLS)
    if found or not shutil.which("go"):
        return found
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS.parent / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs may want it at once
        if not shutil.which("fake-gcs-server", path=TOOLS):
            subprocess.run(
                ["go", "-C", str(REPO / "tools"), "install", "github.com/fsouza/fake-gcs-server"],
                env=os.environ | {"GOBIN": str(TOOLS)},
                check=False,  # without network there is no module: then the tests say what is missing
                timeout=900,
            )
    return shutil.which("fake-gcs-server", path=TOOLS)


def missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory) -> Iterator[str]:
    """The address of a running server."""
    binary = gcs_binary()
    if binary is None:
        yield from _container()
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("gcs") / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [binary, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory",
             "-public-host", f"127.0.0.1:{port}", "-external-url", url, "-log-level", "warn"],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_for(url, server, log)
        yield url
    finally:
        server.terminate()
        server.wait(10)


def docker_runs() -> bool:
    """Asked of the command: the library leaks its socket where no daemon answers."""
    found = shutil.which("docker")
    return (
        found is not None
        and subprocess.run([found, "info"], capture_output=True, check=False).returncode == 0
    )


def _container() -> Iterator[str]:
    if not docker_runs():
        missing("no fake-gcs-server on PATH or in .tools/bin, no Go to build it, and no Docker")
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - asks Docker when it is imported

    container = DockerContainer("fsouza/fake-gcs-server:1.56.1").with_exposed_ports(4443)
    container.with_command("-scheme http -backend memory").start()
    try:
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(4443)}"
        _wait_for(url)
        yield url
    finally:
        container.stop()


def _wait_for(url: str, server: subprocess.Popen | None = None, log: Path | None = None) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if server is not None and server.poll() is not None:
            break
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(f"{url}/_internal/healthcheck", timeout=2),
        ):
            return
        time.sleep(0.02)
    pytest.fail(f"fake-gcs-server does not answer at {url}: {log.read_text()[-500:] if log else ''}")


def make_bucket(url: str) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(
        f"{url}/storage/v1/b?project=test",
        json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        return name


@pytest.fixture
def gcs_bucket(gcs_server, monkeypatch) -> str:
    """A bucket of the test's own, at STORAGE_EMULATOR_HOST."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    return make_bucket(gcs_server)


@pytest.fixture
def store_url(request, tmp_path) -> str:
    kind = request.param
    if kind == "memory":
        return "memory:"
    if kind == "file":
        return f"file://{tmp_path}/store"
    bucket = request.getfixturevalue("gcs_bucket")
    return f"gs://{bucket}" if kind == "gs" else f"gs://{bucket}/some/prefix"


@pytest_asyncio.fixture
async def store(store_url) -> AsyncIterator[Store]:
    opened = open_store(store_url)
    yield opened
    await opened.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks for `store` runs over all backends."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store_url", ["memory", "file", "gs", "gs-prefix"], indirect=True)


class Proxy(ThreadingHTTPServer):
    """Stands between a client and a server, and spoils what it is told to.

    `faults`: (text, what), taken in order, each for the next request whose "METHOD target" holds the text. What: "lose" (the
    server works, the reply never comes), "refuse" (503, the server sees nothing), "taken" (412, likewise), "forbid" (403,
    likewise), "crc" (the reply names another checksum), "bytes" (the reply's body is another), "stall" (no reply until
    `release`).
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream)
        self.faults: deque[tuple[str, str]] = deque()
        self.requests: list[str] = []
        self.release = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self) -> None:
        self.release.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def next_fault(self, request: str) -> str:
        self.requests.append(request)
        return self.faults.popleft()[1] if self.faults and self.faults[0][0] in request else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.next_fault(f"{self.command} {self.path}")
        if status := {"refuse": 503, "taken": 412, "forbid": 403}.get(fault):
            self.answer(status, {}, b"{}")
            return
        if fault == "stall":
            self.server.release.wait(30)
            self.close_connection = True
            return
        status, headers, data = self.forward(body)
        if fault == "lose":
            self.close_connection = True
            return
        if fault == "crc":
            data = json.dumps(_with_other_crc(json.loads(data))).encode()
        if fault == "bytes":
            data = bytes(byte ^ 1 for byte in data)
        self.answer(status, headers, data)

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = self.server.upstream
        line = http.client.HTTPConnection(upstream.hostname, upstream.port, timeout=10)
        with contextlib.closing(line):
            line.request(self.command, self.path, body, dict(self.headers))
            reply = line.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    def answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_args) -> None:
        pass

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any  # noqa: N815 - http.server's names


def _with_other_crc(answer: dict) -> dict:
    if "resource" in answer:
        return answer | {"resource": _with_other_crc(answer["resource"])}
    return answer | {"crc32c": "AAAAAA=="}


@pytest.fixture
def proxy(gcs_server) -> Iterator[Proxy]:
    """A faulty line to the server."""
    line = Proxy(gcs_server)
    yield line
    line.close()


@pytest_asyncio.fixture
async def gcs_over_proxy(proxy, gcs_bucket, monkeypatch) -> AsyncIterator[Store]:
    """A store whose requests go over the faulty line."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    opened = open_store(f"gs://{gcs_bucket}")
    yield opened
    proxy.release.set()
    await opened.close()
