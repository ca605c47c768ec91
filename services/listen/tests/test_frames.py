"""picows under a wire: what it is told, what it is kept from, and how much it may hold."""

import socket
import struct
from typing import Any

import pytest

from listen import close_codes
from listen.floods import Floods
from listen.frames import Frames, Line
from listen.reading import AT_ONCE_S, READ_BYTES
from listen.wire import MESSAGE_BYTES_LIMIT, Wire

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


class Transport:
    """What a wire needs of a transport, and what became of it."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.protocol: Any = None
        self.reading = False
        self.ended: list[str] = []
        self._socket, self._peer = socket.socketpair()
        self._peer.setblocking(False)

    def get_extra_info(self, name, default=None):
        return self._socket if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data) -> None:
        self.written += data

    def writelines(self, pieces) -> None:
        self.written += b"".join(pieces)

    def set_protocol(self, protocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return bool(self.ended)

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.ended.append("close")

    def abort(self) -> None:
        self.ended.append("abort")

    def sent(self) -> bytes:
        """picows writes to the descriptor itself."""
        try:
            return self._peer.recv(65_536)
        except BlockingIOError:
            return b""

    def release(self) -> None:
        self._socket.close()
        self._peer.close()


class Receiver:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.messages: list[bytes | str] = []
        self.failures: list[int] = []
        self.over = 0

    def binary(self, data: bytes) -> None:
        if data == b"defect":
            raise RuntimeError("a defect")
        self.messages.append(data)

    def text(self, text: str) -> None:
        self.messages.append(text)

    def failed(self, code: int, reason: str) -> None:
        assert reason
        self.failures.append(code)

    def gone(self) -> None:
        self.over += 1


def frame(opcode: int, payload: bytes = b"", *, first: int = 0x80, masked: bool = True) -> bytes:
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        size = bytes([mask | len(payload)])
    elif len(payload) < 65_536:
        size = bytes([mask | 126]) + struct.pack(">H", len(payload))
    else:
        size = bytes([mask | 127]) + struct.pack(">Q", len(payload))
    return bytes([first | opcode]) + size + (bytes(4) if masked else b"") + payload


@pytest.fixture
async def open_wire():
    transports = []

    def make(*, reading: bool = True):
        transport, receiver = Transport(), Receiver()
        transports.append(transport)
        wire = Wire(transport, receiver, 0.0, Floods())
        wire.accept(KEY, "tapedeck.v1", b"")
        if reading:
            wire.resume()
        return wire, transport, receiver

    yield make
    for transport in transports:
        transport.release()


def give(transport: Transport, data: bytes) -> None:
    """As a transport does: into the protocol's buffer, until all is there or it has another protocol."""
    while data and isinstance(protocol := transport.protocol, Frames):
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        data = data[size:]
        protocol.buffer_updated(size)


async def test_the_handshake_is_answered(open_wire):
    _, transport, _ = open_wire()
    answer = bytes(transport.written)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=" in answer
    assert b"Sec-WebSocket-Protocol: tapedeck.v1" in answer
    assert transport.reading


async def test_messages_come_whole_and_in_order(open_wire):
    _, transport, receiver = open_wire()
    stream = (
        frame(2, b"one")
        + frame(1, b"tw", first=0)
        + frame(9, b"ping")
        + frame(0, b"o \xc3", first=0)
        + frame(0, b"\xa9")
        + frame(10)
        + frame(2, b"x" * 65_536)
        + frame(2)
    )
    for at in range(0, len(stream), 1_000):
        give(transport, stream[at : at + 1_000])
    assert receiver.messages == [b"one", "two é", b"x" * 65_536, b""]
    assert transport.sent() == bytes([0x8A, 4]) + b"ping"
    assert not receiver.failures


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (frame(2, b"x", first=0xC0), close_codes.PROTOCOL_ERROR),
        (frame(2, b"x", first=0x90), close_codes.PROTOCOL_ERROR),
        (frame(2, b"x", masked=False), close_codes.PROTOCOL_ERROR),
        (frame(3, b"x"), close_codes.PROTOCOL_ERROR),
        (frame(11), close_codes.PROTOCOL_ERROR),
        (frame(9, first=0), close_codes.PROTOCOL_ERROR),
        (frame(9, bytes(126)), close_codes.PROTOCOL_ERROR),
        (frame(0, b"x"), close_codes.PROTOCOL_ERROR),
        (frame(2, b"x", first=0) + frame(2, b"x"), close_codes.PROTOCOL_ERROR),
        (frame(8, b"x"), close_codes.PROTOCOL_ERROR),
        (frame(8, b"\x00\x00"), close_codes.PROTOCOL_ERROR),
        (frame(8, struct.pack(">H", 1005)), close_codes.PROTOCOL_ERROR),
        (frame(8, struct.pack(">H", 1006)), close_codes.PROTOCOL_ERROR),
        (frame(8, struct.pack(">H", 5000)), close_codes.PROTOCOL_ERROR),
        (frame(8, b"\x03\xe8\xff"), 1007),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"\xed\xa0\x80"), 1007),
        (frame(2, bytes(MESSAGE_BYTES_LIMIT + 1)), close_codes.TOO_BIG),
        (frame(2, bytes(40_000), first=0) + frame(0, bytes(40_000)), close_codes.TOO_BIG),
        (frame(2, b"defect"), close_codes.DEFECT),
    ],
)
async def test_what_breaks_the_protocol_is_told_once_and_nothing_is_heard_after_it(open_wire, stream, code):
    wire, transport, receiver = open_wire()
    give(transport, stream)
    give(transport, frame(2, b"after"))
    assert receiver.failures == [code]
    assert receiver.messages == []
    assert transport.sent() == b""
    assert not transport.reading
    wire.close(code)
    assert transport.sent() == bytes([0x88, 2]) + struct.pack(">H", code)
    assert transport.reading, "what still comes is thrown away"
    transport.protocol.data_received(bytes(100_000))
    transport.protocol.connection_lost(None)
    assert receiver.over == 1


async def test_what_was_read_before_a_pause_waits(open_wire):
    wire, transport, receiver = open_wire()
    give(transport, frame(2, b"1"))
    wire.pause()
    give(transport, frame(2, b"2") + frame(9) + frame(1, b"3") + frame(8, struct.pack(">H", 1000)))
    assert receiver.messages == [b"1"]
    assert transport.sent() == bytes([0x8A, 0]), "a ping is answered all the same"
    wire.resume()
    assert receiver.messages == [b"1", b"2", "3"]
    assert transport.sent() == bytes([0x88, 2]) + struct.pack(">H", 1000)
    assert transport.ended == ["close"]


async def test_a_close_is_answered_and_then_nothing_is_sent(open_wire):
    wire, transport, receiver = open_wire()
    give(transport, frame(8, struct.pack(">H", 4000) + b"why") + frame(2, b"after"))
    wire.send("too late")
    assert transport.sent() == bytes([0x88, 2]) + struct.pack(">H", 4000)
    assert receiver.messages == []
    transport.protocol.connection_lost(None)
    wire.send("nobody")
    assert transport.sent() == b"", "the descriptor may be another client's"
    assert not wire.sweep(1_000.0)


@pytest.mark.parametrize("after", [frame(8, struct.pack(">H", 1001)), frame(11), b"GET / HTTP/1.1"])
@pytest.mark.parametrize("code", [1000, 4000])
async def test_what_comes_right_behind_a_close_does_not_hide_it(open_wire, after, code):
    _, transport, receiver = open_wire()
    give(transport, frame(8, struct.pack(">H", code)) + after)
    assert receiver.failures == []
    assert transport.sent() == bytes([0x88, 2]) + struct.pack(">H", code)
    assert transport.ended == ["close"]


async def test_what_breaks_while_nobody_listens_is_told_later_and_after_what_came_before(open_wire):
    wire, transport, receiver = open_wire(reading=False)
    give(transport, frame(2, b"1") + frame(1, b"2"))
    give(transport, b"GET / HTTP/1.1")
    assert (receiver.messages, receiver.failures) == ([], [])
    wire.resume()
    assert receiver.messages == [b"1", "2"]
    assert receiver.failures == [close_codes.PROTOCOL_ERROR]


async def test_after_our_close_only_the_clients_counts(open_wire):
    wire, transport, receiver = open_wire()
    wire.close(4401)
    give(transport, frame(2, b"x") + frame(9) + frame(1, b"\xff"))
    assert transport.sent() == bytes([0x88, 2]) + struct.pack(">H", 4401)
    assert (receiver.messages, transport.ended) == ([], [])
    give(transport, frame(8, struct.pack(">H", 4401)))
    assert transport.ended == ["close"]


async def test_one_read_takes_so_much_and_the_parser_no_more_than_a_message(open_wire):
    _, transport, receiver = open_wire()
    whole = frame(2, bytes(65_536))
    for _ in range(20):
        give(transport, whole)
        assert len(transport.protocol.get_buffer(-1)) <= READ_BYTES
    assert len(receiver.messages) == 20


async def test_a_sweep_pings_and_ends_what_is_silent(open_wire):
    wire, transport, _ = open_wire()
    for second in range(95):
        wire.sweep(float(second))
        assert bool(transport.ended) is (second >= 90)
    assert transport.sent() == bytes([0x89, 0]) * 4


async def test_who_answers_no_ping_is_asked_as_often_as_everybody(open_wire):
    """Whatever lies between takes a line without a byte for a dead one."""
    wire, transport, _ = open_wire()
    wire._may_be_deaf = True
    for second in range(1_000):
        if second % 10 == 0:
            give(transport, frame(2, b"audio"))
        assert wire.sweep(float(second))
    assert transport.sent().count(bytes([0x89, 0])) == 49


async def test_while_we_do_not_read_nobody_is_silent(open_wire):
    wire, transport, _ = open_wire()
    wire.pause()
    for second in range(200):
        assert wire.sweep(float(second))
    assert transport.ended == []


async def test_who_rests_from_its_flood_is_not_silent_and_has_time_after_it(open_wire):
    wire, transport, _ = open_wire()
    wire.reading.charge(2_000, 1_000, 1.0, 1.0 + AT_ONCE_S * 2)
    for second in range(200):
        assert wire.sweep(float(second))
    assert wire.reading.rested()
    for second in range(200, 295):
        wire.sweep(float(second))
        assert bool(transport.ended) is (second >= 199 + 90)


async def test_the_line_asks_the_system_for_nothing():
    transport = Transport()
    line = Line(transport)
    assert line.get_extra_info("socket").fileno() == transport._socket.fileno()
    assert line.get_extra_info("peername") is None
    line.setsockopt(1, 2, 3)
    line.close()
    assert (line.getsockopt(1, 2), transport.ended) == (0, [])
    transport.release()
