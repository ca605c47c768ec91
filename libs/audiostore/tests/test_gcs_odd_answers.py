"""Answers that Google never gives, and that a proxy, a login page or a broken emulator does: each is an error of ours that may be tried again."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audiostore import open_store
from audiostore.attempts import Patience
from audiostore.errors import StoreError, TransientStoreError

JSON = {"Content-Type": "application/json"}
ODD_BODIES = [
    b"",
    b"[]",
    b"null",
    b"5",
    b'"x"',
    b"<html>log in</html>",
    b"\xff\xfe",
    b'{"size":"x","crc32c":"AAAAAA=="}',
    b'{"size":"5","crc32c":"!!"}',
    b'{"size":"5","crc32c":5}',
    b'{"crc32c":"AAAA"}',
    b'{"name":"chunks/x","metadata":5,"size":"5"}',
    b'{"items":5}',
    b'{"items":[{}]}',
    b'{"items":[5]}',
    b'{"items":[{"name":"chunks/x","size":"y"}]}',
    b'{"items":[{"name":null,"size":"1"}]}',
]
ODD_ERRORS = [b"", b"[]", b'{"error":5}', b'{"error":{"message":5,"errors":"x"}}']


class Says(BaseHTTPRequestHandler):
    """Gives the next of the server's answers, or its last one again."""

    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answers = self.server.answers
        status, body, headers = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Says nothing."""

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 — http.server's names


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Says)
    server.answers = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
async def asked(server, no_settings, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
    store = open_store("gs://bucket", Patience(first_pause_s=0.01, begin_for_s=0.001))
    yield store
    await store.close()


async def names(store, prefix="chunks/"):
    return [info.name async for info in store.list(prefix)]


def calls(store):
    return {
        "put": lambda: store.put("chunks/x", b"audio", content_type="audio/ogg", metadata={"a": "b"}),
        "head": lambda: store.head("chunks/x"),
        "get": lambda: store.get("chunks/x"),
        "range": lambda: store.get_range("chunks/x", 0, 100),
        "delete": lambda: store.delete("chunks/x"),
        "copy": lambda: store.copy("chunks/x", "chunks/y"),
        "list": lambda: names(store),
        "folders": lambda: _folders(store),
    }


async def _folders(store):
    return [name async for name in store.list_folders("chunks/")]


@pytest.mark.parametrize("body", ODD_BODIES)
async def test_no_odd_body_breaks_anything(server, asked, body):
    server.answers = [(200, body, JSON)]
    for call in calls(asked).values():
        with contextlib.suppress(StoreError):
            await call()


@pytest.mark.parametrize("status", [204, 206, 301, 308, 400, 409, 416, 499, 511])
async def test_no_odd_status_breaks_anything(server, asked, status):
    for body in ODD_ERRORS:
        server.answers = [(status, body, JSON if body else {})]
        for call in calls(asked).values():
            with contextlib.suppress(StoreError):
                await call()


@pytest.mark.parametrize(
    "answer",
    [
        (302, b"", {"Location": "http://127.0.0.1:1/x"}),
        (302, b"", {"Location": "bad://x"}),
        (200, b"abc", {"Content-Encoding": "gzip"}),
        (200, b"abc", {"x-goog-hash": "crc32c=!!"}),
        (206, b"abc", {"Content-Range": "x"}),
    ],
)
async def test_no_odd_header_breaks_anything(server, asked, answer):
    server.answers = [answer]
    for call in calls(asked).values():
        with contextlib.suppress(StoreError):
            await call()


@pytest.mark.parametrize("operation", ["head", "list", "folders"])
async def test_an_empty_answer_to_a_question_may_be_asked_again(server, asked, operation):
    server.answers = [(200, b"", JSON)]
    with pytest.raises(TransientStoreError, match=r"makes no sense \(\w+\)"):
        await calls(asked)[operation]()


async def test_a_size_that_is_missing_is_no_object(server, asked):
    server.answers = [(200, b"{}", JSON)]
    with pytest.raises(TransientStoreError, match="no size"):
        await asked.head("chunks/x")


async def test_a_listing_that_goes_round_in_circles_ends(server, asked):
    page = b'{"items":[],"nextPageToken":"%s"}'
    server.answers = [(200, page % token, JSON) for token in (b"b", b"c", b"d", b"b")]
    with pytest.raises(TransientStoreError, match="read before"):
        await names(asked)
    server.answers = [(200, b'{"prefixes":["chunks/u/"],"nextPageToken":"same"}', JSON)]
    with pytest.raises(TransientStoreError, match="read before"):
        await calls(asked)["folders"]()
