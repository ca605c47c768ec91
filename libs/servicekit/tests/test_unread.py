import asyncio

import h2.config
import h2.connection
import h2.events
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


BODY = b"x" * 500_000


class Streams:
    """Requests of one HTTP/2 connection. By hand: httpcore waits for ever where one stream's reader has read another's window."""

    def __init__(self, host):
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self._host = host
        self._unsent = {}
        self.statuses, self.bodies, self.ended = {}, {}, set()

    def ask(self, method, body=b""):
        stream = self.connection.get_next_available_stream_id()
        head = [(":method", method), (":path", "/"), (":scheme", "http"), (":authority", self._host)]
        self.connection.send_headers(stream, head, end_stream=not body)
        self._unsent[stream] = body
        self.bodies[stream] = b""
        return stream

    def send(self):
        """What the windows take: also of those that are answered already."""
        for stream in self._unsent:
            while (body := self._unsent[stream]) and (room := self._room(stream)):
                self._unsent[stream] = body[room:]
                self.connection.send_data(stream, body[:room], end_stream=len(body) <= room)
        return self.connection.data_to_send()

    def _room(self, stream):
        return min(self.connection.local_flow_control_window(stream), self.connection.max_outbound_frame_size)

    def take(self, data):
        for event in self.connection.receive_data(data):
            match event:
                case h2.events.ResponseReceived():
                    self.statuses[event.stream_id] = dict(event.headers)[":status"]
                case h2.events.DataReceived():
                    self.bodies[event.stream_id] += event.data
                case h2.events.StreamEnded():
                    self.ended.add(event.stream_id)
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    pytest.fail(str(event))


async def test_over_http_2_other_requests_of_the_connection_live_on(served):
    async with served(Refuses(breaks_off=False)) as url, asyncio.timeout(60):
        host = url.rpartition("/")[2]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(host.rpartition(":")[2]))
        streams = Streams(host)

        async def until_answered():
            while len(streams.ended) < len(streams.bodies):
                writer.write(streams.send())
                await writer.drain()
                streams.take(await reader.read(65_536))

        for _ in range(5):
            streams.ask("POST", BODY)
        await until_answered()
        assert list(streams.statuses.values()) == ["413"] * 5
        last = streams.ask("GET")  # and what the others still have to say
        await until_answered()
        assert streams.bodies[last] == b"no"
        writer.close()
