"""The door: a connection from its first byte until it is known what it is, and who it is.

Owns the head's bounds (size, time), how many connections may stand here, and that nothing is left behind by one that goes. Until
its head is there a connection costs no task and no timer: `sweep` ends what takes too long. Must not know who may connect.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from http import HTTPStatus
from itertools import takewhile
from typing import Any, Final

from listen.answer import HTTP_2_REFUSED, refusal
from listen.arrival import lain_ms
from listen.comeback import FULL_S, retry_after_s
from listen.errors import BadHandshakeError
from listen.floods import Floods
from listen.handshake import HEAD_BYTES_LIMIT, Handshake, Http2Preface, HttpHead, head_end, read_head
from listen.metrics import ListenMetrics
from listen.proxies import TrustedProxies
from listen.wire import LINGER_S, Receiver, Wire
from servicekit.ending import end
from servicekit.problem import identified

log = logging.getLogger(__name__)

HEAD_S: Final = 10.0
"""How long a client may take to send its head."""
REST_BYTES_LIMIT: Final = 16 * 1024
"""What may come after the head before it is answered; then the connection is not read until it is."""
CROWDED: Final = "too many clients are connecting at this moment"

Admit = Callable[["Door", Handshake], Coroutine[Any, Any, None]]
TakeHttp = Callable[[asyncio.Transport, bytes], None]


class Door(asyncio.Protocol):
    """One connection that stands at the door."""

    __slots__ = ("_doorway", "_handshake", "_read", "_searched", "_task", "_transport", "until_s")

    def __init__(self, doorway: "Doorway") -> None:
        self._doorway = doorway
        self._transport: asyncio.Transport | None = None
        """None where the connection is lost, or another's by now."""
        self._read = b""
        self._searched = 0
        """So much of it holds no end of a head."""
        self._handshake: Handshake | None = None
        self._task: asyncio.Task[None] | None = None
        """Its admission."""
        self.until_s = 0.0
        """When it is sent away, in the loop's time; later than that while its admission is under way."""

    # -- what the transport tells ------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Somebody stands at the door."""
        self._transport = transport
        self._doorway.arrived(self)

    def data_received(self, data: bytes) -> None:
        """Some of the head, or what follows it."""
        transport = self._transport
        if transport is None or self._doorway.leaving(self):
            return
        self._read = self._read + data if self._read else data
        if self._task is not None:
            if len(self._read) > REST_BYTES_LIMIT:
                transport.pause_reading()
            return
        end = head_end(self._read, self._searched)
        self._searched = len(self._read)
        if end is not None and end <= HEAD_BYTES_LIMIT:
            self._headed(self._read[:end], end)
        elif end is not None or len(self._read) > HEAD_BYTES_LIMIT:
            self.turn_away("too_big", 431, f"a request's head has at most {HEAD_BYTES_LIMIT} bytes")

    def connection_lost(self, _exc: Exception | None) -> None:
        """It is gone: so is its admission."""
        self._transport = None
        self._read = b""
        self._doorway.gone(self)
        if self._task is not None:
            self._task.cancel()

    # -- what its admission asks for ---------------------------------------------------------------------------------

    def accept(self, receiver: Receiver, subprotocol: str | None) -> Wire | None:
        """Makes a WebSocket of it; None where the client has left."""
        transport, handshake = self._transport, self._handshake
        if transport is None or transport.is_closing() or handshake is None:
            return None
        self._transport = None
        transport.pause_reading()
        wire = Wire(transport, receiver, asyncio.get_running_loop().time(), self._doorway.floods)
        self._doorway.accepted(self, wire)
        rest, self._read = self._read, b""
        wire.accept(handshake.key, subprotocol, rest)
        return wire

    def answer(self, response: bytes) -> None:
        """Answers over HTTP, and ends the connection."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._doorway.leaving(self):
            return
        self._read = b""
        self._doorway.answered(self)
        transport.resume_reading()
        transport.write(response)
        # What still comes is read and thrown away: to close with it unread would reset the connection, and the answer with it.
        transport.write_eof()

    def refused(self, wire: Wire) -> None:
        """The WebSocket that was made of it has been closed, and waits for the client's answer."""
        self._doorway.refused(wire)

    def turn_away(
        self, reason: str, status: int, message: str, headers: dict[str, str] | None = None
    ) -> None:
        """Answers what is no handshake."""
        self._doorway.metrics.refused[reason].inc()
        with identified(""):
            self.answer(refusal(status, message, headers=headers))

    def too_slow(self) -> None:
        """Its time for the head is up."""
        if self._read:
            self.turn_away("too_slow", 408, f"the request's head did not come within {HEAD_S:g} s")
        else:
            self.close()

    def make_room(self) -> None:
        """Too many stand here."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            with identified(""):
                transport.write(
                    refusal(
                        503, CROWDED, code="unavailable", headers={"Retry-After": str(retry_after_s(FULL_S))}
                    )
                )
            transport.close()

    def close(self) -> None:
        """Ends the connection."""
        if self._transport is not None:
            self._transport.abort()

    # -- within ------------------------------------------------------------------------------------------------------

    def _headed(self, head: bytes, size: int) -> None:
        transport = self._transport
        assert transport is not None  # noqa: S101 - its caller looked
        try:
            wanted = read_head(head)
        except BadHandshakeError as error:
            reason = (
                "too_big" if error.status == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE else "bad_request"
            )
            self.turn_away(reason, error.status, error.message, error.headers)
            return
        if isinstance(wanted, Http2Preface):
            # For two requests a client it is not worth what can be done with it: streams opened and reset, windows kept shut.
            self._doorway.metrics.refused["bad_request"].inc()
            self.answer(HTTP_2_REFUSED)
            return
        if isinstance(wanted, HttpHead):
            self._transport = None
            self._doorway.gone(self)
            rest, self._read = self._read[size:], b""
            self._doorway.take_http(transport, wanted.head + rest)
            return
        self._read = self._read[size:]
        peer = transport.get_extra_info("peername")
        peer_address, forwarded_for = str(peer[0]) if peer else "", wanted.headers.get("x-forwarded-for")
        address = self._doorway.proxies.client_of(peer_address, forwarded_for)
        self._handshake = replace(
            wanted,
            address=address,
            certain=self._doorway.proxies.certain(address, forwarded_for),
            lain_ms=lain_ms(transport.get_extra_info("socket")),
        )
        self._task = self._doorway.admit(self, self._handshake)
        self._task.add_done_callback(self._admitted)

    def _admitted(self, task: asyncio.Task[None]) -> None:
        """Its admission has ended; had it answered nothing, nobody would end the connection."""
        self._task = self._handshake = None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an admission failed", exc_info=error)
        if self._transport is not None and not self._doorway.leaving(self):
            self._transport.abort()


class Doorway:
    """All connections of this process that stand at the door, and all its WebSockets."""

    def __init__(
        self,
        *,
        limit: int,
        proxies: TrustedProxies,
        metrics: ListenMetrics,
        admit: Admit,
        take_http: TakeHttp,
    ) -> None:
        """`limit`: connections that may stand here without having sent their head, or after an answer."""
        self.proxies = proxies
        self.metrics = metrics
        self.take_http = take_http
        self.wires: set[Wire] = set()
        self.floods = Floods(metrics.floods.inc)
        self._limit = limit
        self._admit = admit
        self._silent: dict[Door, None] = {}
        """Those whose head is not there, the oldest first."""
        self._leaving: dict[Door, None] = {}
        """Those that have been answered."""
        self._refused: dict[Wire, None] = {}
        """WebSockets whose client was refused, the oldest first."""
        self._admissions: set[asyncio.Task[None]] = set()

    def __call__(self) -> Door:
        """A protocol for a new connection."""
        return Door(self)

    def arrived(self, door: Door) -> None:
        """It has until its head must be there. Where too many stand here, the one goes that has been silent for longest."""
        door.until_s = asyncio.get_running_loop().time() + HEAD_S
        self._silent[door] = None
        if len(self._silent) + len(self._leaving) > self._limit:
            if self._leaving:
                oldest = next(iter(self._leaving))
                self.gone(oldest)
                oldest.close()
            else:
                oldest = next(iter(self._silent))
                self.gone(oldest)
                self.metrics.refused["handshakes"].inc()
                oldest.make_room()

    def admit(self, door: Door, handshake: Handshake) -> asyncio.Task[None]:
        """Its head is there."""
        self.gone(door)
        task = asyncio.create_task(self._admit(door, handshake), name="admission")
        self._admissions.add(task)
        task.add_done_callback(self._admissions.discard)
        return task

    def accepted(self, door: Door, wire: Wire) -> None:
        """It is a WebSocket now."""
        self.gone(door)
        self.wires.add(wire)

    def refused(self, wire: Wire) -> None:
        """It is closed. Where too many wait for an answer to that, the one goes that has waited for longest."""
        self._refused[wire] = None
        if len(self._refused) > self._limit:
            oldest = next(iter(self._refused))
            del self._refused[oldest]
            oldest.abort()

    def answered(self, door: Door) -> None:
        """It has its answer, and is to go."""
        self._silent.pop(door, None)
        door.until_s = asyncio.get_running_loop().time() + LINGER_S
        self._leaving[door] = None

    def leaving(self, door: Door) -> bool:
        """Whether it has its answer."""
        return door in self._leaving

    def gone(self, door: Door) -> None:
        """It stands here no more."""
        self._silent.pop(door, None)
        self._leaving.pop(door, None)

    def sweep(self, now_s: float) -> None:
        """Time has passed."""
        for door in _due(self._silent, now_s):
            door.too_slow()
        for door in _due(self._leaving, now_s):
            door.close()
        for wire in [wire for wire in self.wires if not wire.sweep(now_s)]:
            self.wires.discard(wire)
            self._refused.pop(wire, None)

    def close(self) -> None:
        """Nobody comes in any more: ends what stands here, admissions and WebSockets too."""
        for door in [*self._silent, *self._leaving]:
            door.close()
        for task in self._admissions:
            task.cancel()
        for wire in self.wires:
            wire.abort()

    async def wait_closed(self) -> None:
        """Until nothing is left of them."""
        await end(self._admissions)


def _due(doors: dict[Door, None], now_s: float) -> list[Door]:
    """Takes out those whose time is up. All have the same time, so they stand in order."""
    due = list(takewhile(lambda door: door.until_s <= now_s, doors))
    for door in due:
        del doors[door]
    return due
