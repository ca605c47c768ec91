"""Lines that break in HTTP/2: a stream that is reset, and one that ends before its length."""

import contextlib
import os
import socket
import threading

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from tapedeck import AudioRequest, Retries, StorageClient
from tapedeck.errors import StorageAwayError

AUDIO = os.urandom(50_000)
QUICK = Retries(times=1, resumes=3, first_pause_s=0.001, longest_pause_s=0.001, refused_for_s=0)


class Server:
    """Answers every request with audio, from where it is asked for; `ends` says how each answer ends."""

    def __init__(self, ends):
        self.ends = ends
        self.asked = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._lines = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            self._lines.append(line)
            self._threads.append(threading.Thread(target=self._serve, args=(line,)))
            self._threads[-1].start()

    def _serve(self, line):
        with line, contextlib.suppress(ConnectionError):  # clients drop lines that make no sense to them
            self._speak(line)

    def _speak(self, line):
        connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        connection.initiate_connection()
        line.sendall(connection.data_to_send())
        while data := line.recv(65_536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self._answer(connection, event.stream_id, dict(event.headers))
            line.sendall(connection.data_to_send())

    def _answer(self, connection, stream, headers):
        self.asked.append(headers.get("range"))
        start = int((headers.get("range") or "bytes=0-")[6:-1])
        head = [(":status", "206" if start else "200"), ("content-type", "audio/wav"), ("etag", '"one"')]
        head += [("accept-ranges", "bytes"), ("content-length", str(len(AUDIO) - start))]
        if start:
            head.append(("content-range", f"bytes {start}-{len(AUDIO) - 1}/{len(AUDIO)}"))
        connection.send_headers(stream, head)
        end = self.ends.pop(0) if self.ends else None
        part = AUDIO[start : start + 10_000] if end else AUDIO[start:]
        for at in range(0, len(part), 10_000):
            connection.send_data(stream, part[at : at + 10_000])
        if end == "reset":
            connection.reset_stream(stream, 2)
        else:
            connection.end_stream(stream)


@pytest.fixture
def serve():
    servers = []

    def start(*ends):
        servers.append(Server(list(ends)))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def http():
    with httpx.Client(http1=False, http2=True) as http:
        yield http


def test_a_reset_and_an_early_end_are_gone_on_with(serve, http, tmp_path):
    server = serve("reset", "short")
    with StorageClient(server.url, "t", http=http, retries=QUICK) as client:
        client.download_audio("u", "c", tmp_path / "a.wav", AudioRequest("wav"))
    assert (tmp_path / "a.wav").read_bytes() == AUDIO
    assert len(server.asked) >= 3


def test_what_is_reset_each_time_is_an_error(serve, http, tmp_path):
    server = serve(*["reset", "short"] * 100)
    with StorageClient(server.url, "t", http=http, retries=Retries(times=0, resumes=0)) as client:
        with pytest.raises(StorageAwayError):
            client.download_audio("u", "c", tmp_path / "a.wav", AudioRequest("wav"))
        with pytest.raises(StorageAwayError), client.stream_audio("u", "c", AudioRequest("wav")) as stream:
            list(stream)
    assert not (tmp_path / "a.wav").exists()
