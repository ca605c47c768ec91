"""A whole download into a sink, begun anew where the audio has changed on the way. Plans only.

A conversation that is being recorded changes all the time: a download that broke then can't go on, and is got again from the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tapedeck.errors import ChangedError, StorageAwayError, TooBigError
from tapedeck.storage.audio import AudioFacts, Wanted
from tapedeck.storage.audio_body import AudioBody
from tapedeck.storage.caller import Caller
from tapedeck.storage.plan import Plan

Progress = Callable[[int, int | None], None]
"""Told how many bytes have come so far, and of how many (None: not known)."""

RESTARTS = 3
"""So often a download that can't go on is begun anew."""


class Sink(Protocol):
    """Where the bytes go."""

    def start(self, offset: int, facts: AudioFacts) -> Plan[None]:
        """What comes next lies at `offset`; what is there behind it is void."""

    def write(self, part: bytes) -> Plan[None]:
        """What comes next."""


def collect(
    caller: Caller,
    wanted: Wanted,
    sink: Sink,
    progress: Progress | None,
    earlier: tuple[int, str] | None = None,
) -> Plan[AudioFacts]:
    """Everything into the sink. `earlier`: so many bytes are there already, of what has this ETag. Raises StorageError."""
    restarts = 0
    while True:
        body = AudioBody(caller, wanted)
        try:
            yield from body.begin(*(earlier or (0, None)))
            yield from sink.start(body.offset, body.facts)
            while (part := (yield from body.next_part())) is not None:
                yield from sink.write(part)
                if progress is not None:
                    progress(body.position, body.facts.total_bytes)
        except (ChangedError, StorageAwayError) as error:
            # What could be resumed has been, as long as there was patience: only what can't be is begun anew.
            hopeless = isinstance(error, StorageAwayError) and (body.resumable or not body.position)
            if hopeless or restarts >= RESTARTS:
                raise
        else:
            return body.facts
        finally:
            yield from body.close()
        restarts += 1
        earlier = None


@dataclass(frozen=True, slots=True)
class Audio:
    """Audio in memory."""

    content: bytes
    facts: AudioFacts


class MemorySink:
    """Keeps everything, up to a limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.content = bytearray()

    def start(self, offset: int, facts: AudioFacts) -> Plan[None]:
        """From there on. Raises TooBigError."""
        self._check(facts.total_bytes or 0)
        del self.content[offset:]
        yield from ()

    def write(self, part: bytes) -> Plan[None]:
        """Add it. Raises TooBigError."""
        self._check(len(self.content) + len(part))
        self.content += part
        yield from ()

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise TooBigError(
                f"the audio has {size} bytes or more, and {self._max_bytes} are allowed in memory",
                hint="download it to a file, or stream it",
            )


@dataclass(frozen=True, slots=True)
class InMemory:
    """The job of getting audio into memory."""

    wanted: Wanted
    max_bytes: int

    def plan(self, caller: Caller) -> Plan[Audio]:
        """All of it."""
        sink = MemorySink(self.max_bytes)
        facts = yield from collect(caller, self.wanted, sink, None)
        return Audio(bytes(sink.content), facts)
