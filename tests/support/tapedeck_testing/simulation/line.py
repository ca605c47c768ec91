"""A WebSocket of a world, without the socket: two ends, what is on its way between them in order, and how it breaks.

The server's end is listen's `Wire`. A line that the client has lost may live on at the server's end for a while, and what was on its way
still arrives there: half-open.
"""

from __future__ import annotations

from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Protocol

from tapedeck_testing.simulation.virtual_loop import PROCESS, Process, VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapedeck_testing.simulation.chance import Chance

LATENCY_S: Final = (0.001, 0.03)


class Far(Protocol):
    """Listen's connection, as a wire tells it of the client."""

    def binary(self, data: bytes) -> None: ...

    def text(self, text: str) -> None: ...

    def gone(self) -> None: ...


class Client(Protocol):
    """Whose line it is."""

    def heard(self, line: Line, text: str) -> None: ...

    def lost(self, line: Line, code: int) -> None: ...


class Line:
    """Both ends."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        client: Client,
        process: Process,
        harm: Callable[[Process, str], None],
    ) -> None:
        self._loop = loop
        self._chance = chance
        self._client = client
        self._harm = harm
        self.process = process
        self.receiver: Far | None = None
        self._there_at = self._back_at = 0.0
        self._inbox: deque[str | bytes | None] = deque()
        """What has arrived and is not read; None: the client is gone."""
        self._paused = True
        self._left = False
        """The client has given it up."""
        self._deaf = False
        """Nothing more gets to the server."""
        self._over = False
        """The server has closed it."""
        self._told = False

    # -- the client's end ------------------------------------------------------------------------------------------

    def put(self, messages: list[str | bytes]) -> None:
        """Binary and text messages, in order."""
        if not self._left:
            self._travel(messages)

    def give_up(self, *, half_open_s: float | None) -> None:
        """The client believes it lost. The server hears so at once, or, half-open, after so long; then what is on its way arrives."""
        if self._left:
            return
        self._left = True
        if half_open_s is None:
            self._deaf = self._chance.dice.random() < 0.5
            self._there_at = max(self._there_at, self._loop.time()) + self._chance.between(0.0, 0.05)
        else:
            self._there_at = max(self._there_at, self._loop.time() + half_open_s)
        self._loop.call_at(self._there_at, self._arrive, [None], context=self._context())

    def process_died(self) -> None:
        """The kernel of the machine says so, sooner or later."""
        self._deaf = self._over = True
        self._lose(1006, self._chance.between(0.001, 0.5))

    # -- the server's end: listen's Wire -------------------------------------------------------------------------------

    def send(self, text: str) -> None:
        self._back_at = max(self._back_at, self._loop.time() + self._chance.between(*LATENCY_S))
        self._loop.call_at(self._back_at, self._deliver, text, context=Context())
        if text.startswith('{"type":"ack"') and self._chance.strikes("process: killed after an ack"):
            # What the ack promises is in Redis; what else was to be said there is not.
            self._harm(self.process, "process: killed after an ack")

    def close(self, code: int) -> None:
        if not self._over:
            self._over = True
            self._lose(code, self._chance.between(*LATENCY_S))

    def abort(self) -> None:
        self.close(1006)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._read)

    @property
    def unsent_bytes(self) -> int:
        return 0

    # -- on the way ----------------------------------------------------------------------------------------------------

    def _travel(self, messages: list[Any]) -> None:
        self._there_at = max(self._there_at, self._loop.time() + self._chance.between(*LATENCY_S))
        self._loop.call_at(self._there_at, self._arrive, messages, context=self._context())

    def _arrive(self, messages: list[Any]) -> None:
        if self._deaf and messages[0] is not None:
            return
        self._inbox.extend(messages)
        self._read()

    def _read(self) -> None:
        receiver = self.receiver
        while self._inbox and receiver is not None:
            if self._inbox[0] is None:
                self._inbox.clear()
                if not self._told:
                    self._told = True
                    receiver.gone()
                return
            if self._paused:
                # A client that is gone is noticed although nothing is read.
                if self._inbox[-1] is None:
                    self._inbox = deque([None])
                    continue
                return
            message = self._inbox.popleft()
            if self._over:
                continue
            if isinstance(message, bytes):
                receiver.binary(message)
            elif message is not None:
                receiver.text(message)

    def _deliver(self, text: str) -> None:
        if not self._left:
            self._client.heard(self, text)

    def _lose(self, code: int, after_s: float) -> None:
        self._back_at = max(self._back_at, self._loop.time() + after_s)
        self._loop.call_at(self._back_at, self._gone, code, context=Context())

    def _gone(self, code: int) -> None:
        if not self._left:
            self._left = True
            self._client.lost(self, code)
        # The client's answer to the close, or what the kernel makes of it.
        if not self.process.dead:
            self._loop.call_later(
                self._chance.between(*LATENCY_S), self._arrive, [None], context=self._context()
            )

    def _context(self) -> Context:
        context = Context()
        context.run(PROCESS.set, self.process)
        return context
