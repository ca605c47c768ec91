"""One device: records in real time, keeps what is not acked, resumes, and pauses with jitter between its lines.

Written from the protocol page alone. A plain device keeps nothing and never resumes: what it records while its line is down is
gone, and nobody has acked it.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from tapedeck_testing.faults.line import BINARY, PING, TEXT, Line, frame, handshake
from tapedeck_testing.faults.progress import Keep, Progress
from tapedeck_testing.faults.tape import RATE, Tape

PING_AFTER_S: Final = 4.0
SILENT_S: Final = 12.0
"""A line from which nothing came for so long, not even a pong, is dead."""
BUFFERING_S: Final = 45.0
"""… unless the server said that it cannot read: it closes by itself after 30 s."""
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 4.0
MESSAGES_A_TICK: Final = 100
FATAL: Final = frozenset({1003, 1007, 1009, 4400, 4403, 4404, 4409})


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is."""

    host: str
    port: int


@dataclass(slots=True)
class Story:
    """What a device has seen."""

    connects: int = 0
    closes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    told_ms: list[int] = field(default_factory=list)
    """Each `reconnect_after_ms` of a `going_away`."""
    unannounced_1012: int = 0
    buffering: int = 0
    longest_wait_s: float = 0.0
    """The longest that something sent was not acked."""
    plain_sessions: list[tuple[int, int]] = field(default_factory=list)
    """Of a plain device: the first message of each session, and the bytes of it that were acked."""
    outcome: str = "running"


class Device:
    """A recording and the lines over which it goes."""

    def __init__(
        self,
        tape: Tape,
        *,
        conversation_id: str,
        token: str,
        keep: Keep,
        seed: int,
        mark: bool = True,
        silent_s: float = SILENT_S,
    ) -> None:
        """`silent_s`: a line from which nothing came for so long is given up."""
        self.tape = tape
        self.progress = Progress(tape.total, keep)
        self.story = Story()
        self.done = asyncio.Event()
        self._cid = conversation_id
        self._token = token
        self._mark = mark and not tape.plain
        self._silent_s = silent_s
        self._chance = random.Random(seed)
        self._line: Line | None = None
        self._ready = False
        self._buffering = False
        self._closing = False
        self._next = 0
        """The next message to send, where the cursor is."""
        self._pause_s = 0.0
        self._going_away_ms: int | None = None
        self._waits_since: float | None = None
        self._pinged_at = 0.0
        self._lost = asyncio.Event()

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self, address: Address) -> None:
        """Records everything: returns when all of it is acked, or nothing more can be done."""
        while not self.done.is_set():
            self._lost.clear()
            if await self._connect(address):
                await self._lost.wait()
            else:
                self.story.refusals["connect"] += 1
            self._line, self._ready = None, False
            if not self.done.is_set():
                await asyncio.sleep(self._pause())

    def tick(self, now: float) -> None:
        """Sends what is recorded by now; `now` is unix time in seconds."""
        line = self._line
        if line is None or self.done.is_set():
            return
        at = time.monotonic()
        silent = at - line.heard_at
        if silent > (BUFFERING_S if self._buffering else self._silent_s):
            self.cut("drop", "silent")
            return
        if not self._ready:
            return
        ping_after_s = min(PING_AFTER_S, self._silent_s / 3)
        if silent > ping_after_s and at - self._pinged_at > ping_after_s:
            self._pinged_at = at
            line.write(frame(PING, b""))
        if not line.paused and not self._closing:
            self._send(line, self.tape.due(now * 1000))
        progress = self.progress
        if progress.cursor > progress.acked:
            self._waits_since = self._waits_since or at
            self.story.longest_wait_s = max(self.story.longest_wait_s, at - self._waits_since)

    def end(self, now: float) -> None:
        """Records no more."""
        self.tape.end_at(max(self._next, self.tape.due(now * 1000)))
        self.progress.total = self.tape.total

    def finalize(self) -> bool:
        """Asks in mid-recording that all so far be stored; False where it cannot."""
        if not self._ready or self._closing or self._line is None or self.tape.plain:
            return False
        self._line.write(frame(TEXT, b'{"type":"finalize"}'))
        return True

    def cut(self, how: str, why: str = "cut") -> bool:
        """The line is cut (`Line.cut`); False where there was none. The device notices, and connects anew."""
        line, self._line = self._line, None
        if line is None:
            return False
        self.story.cuts[f"{why}:{how}"] += 1
        line.cut(how)
        self._down()
        return True

    @property
    def recording(self) -> bool:
        """Whether its session is open now."""
        return self._ready

    @property
    def port(self) -> int | None:
        """Our port of the present line."""
        return self._line.port if self._line is not None else None

    # -- the line says -----------------------------------------------------------------------------------------------

    def opened(self) -> None:
        self.story.connects += 1

    def refused(self, status: int, head: str) -> None:
        self.story.refusals[str(status)] += 1
        self._down()

    def text(self, data: bytes) -> None:
        message = json.loads(data)
        match message["type"]:
            case "ready":
                self._on_ready(message)
            case "ack":
                self._on_ack(message)
            case "finalized":
                self.progress.finalized(message)
                if self._closing:
                    self._closing = False
                    self._send_close()
            case "status":
                self._buffering = message["state"] == "buffering"
                self.story.buffering += self._buffering
            case "going_away":
                self._going_away_ms = int(message["reconnect_after_ms"])
                self.story.told_ms.append(self._going_away_ms)
            case "error":
                self.story.errors[message["code"]] += 1
            case _:
                pass

    def ended(self, code: int | None) -> None:
        self.story.closes[str(code)] += 1
        if code == 1012 and self._going_away_ms is None:
            self.story.unannounced_1012 += 1
        if code in FATAL:
            self._end(f"closed with {code}")
        elif self._closing and code == 1000:
            if not self.progress.all_acked and not self.tape.plain:
                self.progress.violations.append(
                    f"closed with 1000 at {self.progress.acked} of {self.progress.total}"
                )
            self._end("done")
        elif self.tape.plain and self._closing:
            self._end("done")
        self._down()

    # -- what follows ------------------------------------------------------------------------------------------------

    async def _connect(self, address: Address) -> bool:
        line = Line(self._request(address), self)
        try:
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().create_connection(lambda: line, address.host, address.port)
        except (OSError, TimeoutError):
            return False
        self._line = line
        return True

    def _on_ready(self, message: dict[str, Any]) -> None:
        self._pause_s = 0.0
        self._waits_since = None
        if self.tape.plain:
            self._next = self.tape.due(time.time() * 1000)
            self.story.plain_sessions.append((self._next, 0))
        elif not self.progress.ready(message):
            self.cut("drop", "forgotten")
            return
        elif self.progress.all_acked:
            self._send_close()
            self._ready = True
            return
        else:
            self._next = self.tape.index_at(self.progress.cursor)
        self._ready = True

    def _on_ack(self, message: dict[str, Any]) -> None:
        if self.tape.plain:
            first, _ = self.story.plain_sessions[-1]
            self.story.plain_sessions[-1] = (first, int(message["offset"]))
            return
        if message["conversation_id"] != self._cid:
            self.progress.violations.append(f"ack for {message['conversation_id']}")
        before = self.progress.acked
        self.progress.ack(message)
        if self.progress.acked > before:
            self._waits_since = None

    def _send(self, line: Line, due: int) -> None:
        tape, progress = self.tape, self.progress
        out = bytearray()
        for index in range(self._next, min(due, self._next + MESSAGES_A_TICK)):
            payload = tape.message(index)
            if not tape.plain:
                begin = tape.begin(index)
                skip = max(0, progress.cursor - begin)
                if self._mark and (mark := self._mark_before(index, skip)) is not None:
                    out += frame(TEXT, mark)
                payload = payload[skip:]
                progress.sent(begin + skip + len(payload))
            out += frame(BINARY, tape.tag(index) + payload)
            self._next = index + 1
        if out:
            line.write(bytes(out))
        if self._next >= tape.messages:
            self._send_close()

    def _mark_before(self, index: int, skip: int) -> bytes | None:
        """A mark where a run of the recording begins, and where a session does."""
        begins_session = self.progress.cursor == self.progress.base
        if not begins_session and (skip or index not in self.tape.run_starts):
            return None
        at_ms = self.tape.captured_ms(index) + (
            skip * 1000 // (2 * RATE) if self.tape.codec == "pcm16" else 0
        )
        return json.dumps({"type": "mark", "at_ms": at_ms}).encode()

    def _send_close(self) -> None:
        if self._closing or self._line is None:
            return
        self._closing = True
        keeps = self.progress.keep == "stored" and not self.tape.plain and not self.progress.all_kept
        # Who wants to survive the loss of Redis keeps its copy until it is told that all of it is stored.
        self._line.write(frame(TEXT, b'{"type":"finalize"}' if keeps else b'{"type":"close"}'))

    def _pause(self) -> float:
        if self._going_away_ms is not None:
            after_ms, self._going_away_ms = self._going_away_ms, None
            return after_ms / 1000
        self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s))
        return self._pause_s * self._chance.uniform(0.5, 1)

    def _request(self, address: Address) -> bytes:
        tape = self.tape
        query = {
            "codec": tape.codec,
            "sample_rate": str(RATE),
            "channels": str(tape.channels),
            "conversation_id": self._cid,
            **({"session": self.progress.session} if self.progress.session else {}),
        }
        return handshake(
            f"{address.host}:{address.port}",
            f"/v4/listen?{urlencode(query)}",
            self._token,
            None if tape.plain else "tapedeck.v1",
        )

    def _down(self) -> None:
        self._line, self._ready, self._buffering, self._closing = None, False, False, False
        self._waits_since = None
        self._lost.set()

    def _end(self, outcome: str) -> None:
        self.story.outcome = outcome
        self.done.set()
