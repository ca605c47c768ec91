"""`listen.recording.Recording` and its encoder: all that a client may send as audio, in any order, with marks, pauses and resuming. Slow."""

from random import Random

from audiobus import Position, decode_chunk
from listen.audio_format import CODECS, AudioFormat
from listen.chunker import ReadyChunk
from listen.encoding import SocketEncoder
from listen.errors import BadAudioError, WrongRateError
from listen.recording import Dialect, Recording
from tapedeck_fuzz import adts_by_hand, events
from tapedeck_fuzz.target import Raw, Target, demand

NOW_MS = 1_732_147_200_000
EVENTS = 40
RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 47_999, 48_000)
SETTINGS_BYTES = 4
KINDS = 8
AUDIO_KINDS = 4
"""Kinds 0 to 3 are audio; then mark, pause, flush, and the client comes back."""


class Player:
    """One session played through; what comes out of it is checked as it comes."""

    def __init__(self, settings: bytes) -> None:
        codec, rate, channels, dialect = settings.ljust(SETTINGS_BYTES, b"\0")
        self.format = AudioFormat(CODECS[codec % len(CODECS)], RATES[rate % len(RATES)], 1 + channels % 2)
        self.plain = dialect % 2 == 1
        self.now_ms = NOW_MS
        self.recording = self._new(0, None)
        self.encoder = SocketEncoder(self.format, bitrate=16_000, complexity=0)
        self.stored = 0
        self.position: Position | None = None
        self.end_48k = 0
        self.size = self.taken = 0

    def _new(self, offset: int, position: Position | None) -> Recording:
        dialect: Dialect = "plain" if self.plain else "v1"
        return Recording(self.format, dialect=dialect, chunk_ms=1000, offset=offset, position=position)

    def play(self, kind: int, body: bytes) -> None:
        """One event."""
        number = int.from_bytes(body[:8], "little")
        if kind < AUDIO_KINDS:
            try:
                self.recording.take(body, self.now_ms)
                self.taken += 1
            except (BadAudioError, WrongRateError):
                pass
        elif kind == 4:
            self.recording.mark(self.now_ms + number % 120_000 - 60_000, self.now_ms)
        elif kind == 5:
            self.now_ms += number % 4_000
            self.recording.tick(self.now_ms)
        elif kind == 6:
            self.recording.flush(self.now_ms, "more")
        else:
            self._resume()
        self._pump()

    def end(self) -> None:
        """The client closes: everything that it sent counts."""
        self.recording.flush(self.now_ms, "nothing")
        self._pump()
        demand(self.recording.idle, "not idle after its end")
        demand(self.stored == self.recording.taken, f"{self.stored} bytes stored of {self.recording.taken}")

    def _resume(self) -> None:
        """The socket breaks, and another one goes on from what is stored; the client sends something else than before."""
        if self.position is not None:
            if not self.plain:
                self.recording.flush(self.now_ms, "return")
                self._pump()
            self.recording = self._new(self.stored, self.position)
            self.encoder = SocketEncoder(self.format, bitrate=16_000, complexity=0)

    def _pump(self) -> None:
        for _ in range(1000):
            job = self.recording.job(self.now_ms)
            for ready in self.recording.chunks():
                self._ready(ready)
            if job is None:
                return
            self.recording.encoded(self.encoder.run(job), self.now_ms)
        demand(holds=False, what="jobs without end")

    def _ready(self, ready: ReadyChunk) -> None:
        chunk = decode_chunk(ready.chunk.encode())
        demand(chunk == ready.chunk, "another chunk is read than was written")
        demand(chunk.first_offset == self.stored, f"begins at byte {chunk.first_offset}, not {self.stored}")
        demand(self.stored <= ready.end_offset <= self.recording.taken, f"ends at byte {ready.end_offset}")
        if ready.position is not None:
            text = str(ready.position).encode()
            demand(Position.parse_or_none(text) == ready.position, f"position {text!r} is read as another")
            self.position = ready.position
        span = chunk.span("c", 1, ready.end_offset)
        if span.packets:
            # A run's start is in whole milliseconds, where the one before may end between two.
            demand(span.start_48k > self.end_48k - 48, "a chunk before the end of the one before")
            self.end_48k = span.end_48k
        self.stored = ready.end_offset
        self.size += sum(map(len, chunk.packets))


def check(data: bytes) -> int | None:
    """Nothing that is sent breaks a session, every byte counts exactly once and in order, and time never runs back."""
    player = Player(data[:SETTINGS_BYTES])
    for kind, body in events.split(data[SETTINGS_BYTES:], EVENTS):
        player.play(kind % KINDS, body)
    player.end()
    return player.size if player.taken else None


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """An event changed; a message of AAC from inside; or the same for another codec, rate or number of channels."""
    settings, rest = data[:SETTINGS_BYTES], events.split(data[SETTINGS_BYTES:], EVENTS)
    if random.randrange(12) == 0:
        return random.randbytes(SETTINGS_BYTES) + events.join(rest)
    if random.randrange(4) == 0 and rest:
        at = random.randrange(len(rest))
        kind, body = rest[at]
        tag = body[:1] if body[:1] in (b"\1", b"\2") else b""
        rest[at] = kind, tag + adts_by_hand.mutate(body[len(tag) :], random, raw)
        return settings + events.join(rest)
    return settings + events.join(events.mutate(rest, random, raw, KINDS))


# A packet of two bytes may last 120 ms, which two channels have encoded anew.
TARGET = Target(
    check,
    mutate,
    growth=512,
    floor=64 << 10,
    max_bytes=8192,
    words=(b"\0\x03\0\x01\xf8\xff\xfe", b"\x05\x02\0\xd0\x07"),
)
