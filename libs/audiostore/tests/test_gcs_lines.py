"""Answers that never end, and answers that are left open: no thread and no connection is lost to them."""

import asyncio
import contextlib
import json
import socket
import threading

import pytest

from audiostore import gcs_client, gcs_store, open_store
from audiostore.attempts import Patience
from audiostore.errors import TransientStoreError

AT_ONCE = 2
INFO = json.dumps({"name": "chunks/x", "size": "5", "crc32c": "AAAAAA=="}).encode()


class Bucket:
    """Answers each question about an object: while it dribbles, with a byte now and then and never to the end."""

    def __init__(self) -> None:
        self.dribbles = True
        self.headers = b""
        self.given_up = threading.Semaphore(0)
        self._ended = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            line, _ = self._socket.accept()
            self._lines.append(line)
            self._threads.append(threading.Thread(target=self._serve, args=(line,)))
            self._threads[-1].start()

    def _serve(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as reads:
            while True:
                asked = b""
                while not asked.endswith(b"\r\n\r\n"):
                    try:
                        more = reads.readline()
                    except OSError:
                        return
                    if not more:
                        return
                    asked += more
                try:
                    self._answer(line)
                except OSError:
                    self.given_up.release()
                    return

    def _answer(self, line: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + self.headers
        if not self.dribbles:
            line.sendall(head + b"Content-Length: %d\r\n\r\n" % len(INFO) + INFO)
            return
        line.sendall(head + b"X-Slow: ")
        while not self._ended.wait(0.02):
            line.sendall(b"a")

    def end(self) -> None:
        self._ended.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._threads[0].join(10)
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._socket.close()


@pytest.fixture
def bucket():
    bucket = Bucket()
    yield bucket
    bucket.end()


@pytest.fixture
async def asked(bucket, no_settings, monkeypatch):
    monkeypatch.setattr(gcs_client, "CONNECTIONS", AT_ONCE)
    monkeypatch.setattr(gcs_store, "CONNECTIONS", AT_ONCE)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{bucket.port}")
    store = open_store("gs://bucket", Patience(begin_for_s=0.1, deadline_s=1.0))
    yield store
    await store.close()


async def test_answers_that_come_byte_by_byte_take_no_threads_for_good(bucket, asked, monkeypatch):
    for _ in range(2):
        found = await asyncio.gather(
            *(asked.head("chunks/x") for _ in range(AT_ONCE)), return_exceptions=True
        )
        assert {type(one) for one in found} == {TransientStoreError}
        for _ in range(AT_ONCE):
            assert await asyncio.to_thread(bucket.given_up.acquire, timeout=60), "the connection was shut"
    bucket.dribbles = False
    monkeypatch.setattr(asked._threads, "_deadline_s", 20.0)
    assert (await asked.head("chunks/x")).size == 5


async def test_a_caller_that_goes_away_takes_no_thread_either(bucket, asked, monkeypatch):
    monkeypatch.setattr(asked._threads, "_deadline_s", 60.0)
    for _ in range(2 * AT_ONCE):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asked.head("chunks/x"), 0.3)
        assert await asyncio.to_thread(bucket.given_up.acquire, timeout=60), "the connection was shut"


async def test_an_answer_that_the_library_breaks_on_takes_no_connection_for_good(bucket, asked, monkeypatch):
    monkeypatch.setattr(asked._threads, "_deadline_s", 20.0)
    bucket.dribbles = False
    bucket.headers = b"x-goog-hash: md5\r\n"
    for _ in range(2 * AT_ONCE):
        with pytest.raises(TransientStoreError, match="makes no sense"):
            await asked.get("chunks/x")
    assert (await asked.head("chunks/x")).size == 5
