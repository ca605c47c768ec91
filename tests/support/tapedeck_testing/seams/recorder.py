"""The listen side: a client sends, sockets die and come back, and what is acked becomes entries, through listen's own code.

The client keeps all it sent, and sends again from what is acked, marks included, as the protocol wants.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from audiobus import Position
from audiobus.chunk import CHUNK_FIELD
from audiobus.entry import Entry
from audiobus.entry_id import EntryId
from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder
from listen.errors import BadAudioError
from listen.recording import Recording
from pusher.arrived import Arrived, read_entry
from tapedeck_testing.seams.case import Case, a_bandwidth
from tapedeck_testing.seams.device import DeviceEncoder
from tapedeck_testing.seams.speech import Sound, speech

T0 = 1_732_147_200_123
CONVERSATION = "0198c0de-0000-7000-8000-000000000001"
PRE_SKIP = 312
BAD_PACKET = b"\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a client."""

    payload: bytes
    tag: bytes
    """The channel's byte, where there are two."""
    offset: int
    """Payload bytes of the session before it."""
    at_ms: int
    """When it was captured to its end."""
    mark_ms: int | None
    """A mark that goes before it."""


@dataclass(slots=True)
class Tape:
    """What came of a recording."""

    case: Case
    events: list[tuple[int, Arrived | str]] = field(default_factory=list)
    """In order, with the time (unix ms): entries, and wishes to store everything there is, by reason."""
    heard: list[tuple[int, Sound]] = field(default_factory=list)
    """What the microphone of the near channel had (PCM only): unix time at 48 kHz, samples."""
    deaths: int = 0

    @property
    def entries(self) -> list[Arrived]:
        return [what for _, what in self.events if isinstance(what, Arrived)]


class Recorder:
    """Plays one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.chance = case.chance
        channels = 2 if case.kind == "stereo" else 1
        self.form = AudioFormat(case.codec, case.sample_rate, channels, PRE_SKIP)
        self.tape = Tape(case)
        self.now_ms = T0
        self._epoch = T0 - 1
        self._sent: list[Said] = []
        self._sent_bytes = 0
        self._open()

    def play(self) -> Tape:
        """All of it."""
        for together in self._messages():
            for said in together:
                self._sent.append(said)
                self._send(said)
            if self.chance.random() < self.case.eventful:
                self.chance.choice(
                    (self._die, self._finalize, self._wish, self._wish, self._fall_silent, self._anew)
                )()
        self._recording.flush(self.now_ms, "nothing")
        self._pump()
        return self.tape

    # -- the client

    def _messages(self) -> Iterator[list[Said]]:
        """What is sent without anything happening in between."""
        sound = self._sound()
        kind = self.case.kind
        at = 0
        device = DeviceEncoder(self.case.sample_rate, 1, self.case.application) if kind == "opus" else None
        if device is not None:
            device.set(bitrate=self.case.bitrate, complexity=self.case.complexity, **self.case.settings)
        while at < len(sound):
            gap_ms = self._gap_ms()
            if gap_ms:
                self.now_ms += gap_ms
                self._mark = True
            count = self._message_samples()
            piece = sound[at : at + count]
            if device is not None and len(piece) < count:
                break
            at += len(piece)
            mark, self._mark = self._mark, False
            mark_ms = self.now_ms if mark else None
            if mark and kind == "pcm":
                self.tape.heard.append((self.now_ms * 48, piece))
            elif kind == "pcm":
                self.tape.heard[-1] = (
                    self.tape.heard[-1][0],
                    np.concatenate([self.tape.heard[-1][1], piece]),
                )
            self._elapsed += len(piece)
            self.now_ms = self._since_ms + self._elapsed * 1000 // self.case.sample_rate
            if device is None:
                yield self._pcm_messages(piece, mark_ms)
                continue
            if self.case.changes and self.chance.random() < 0.01:
                bitrate = self.chance.choice((6, 12, 16, 24, 32, 64)) * 1000
                device.set(bitrate=bitrate, bandwidth=a_bandwidth(self.chance, bitrate))
            yield [self._said(device.encode(piece.tobytes()), b"", mark_ms)]
            if self.chance.random() < self.case.eventful / 4:
                yield [self._said(BAD_PACKET, b"", None)]

    def _pcm_messages(self, piece: Sound, mark_ms: int | None) -> list[Said]:
        """One message, or one of each channel: the far one hears it backwards."""
        wide = self.case.codec == "pcm16"
        payload = piece.tobytes() if wide else ((piece >> 8) + 128).astype(np.uint8).tobytes()
        if self.case.kind != "stereo":
            return [self._said(payload, b"", mark_ms)]
        far = piece[::-1].tobytes() if wide else payload[::-1]
        return [self._said(payload, b"\x01", mark_ms), self._said(far, b"\x02", None)]

    def _said(self, payload: bytes, tag: bytes, mark_ms: int | None) -> Said:
        said = Said(payload, tag, self._sent_bytes, self.now_ms, mark_ms)
        self._sent_bytes += len(payload)
        return said

    def _sound(self) -> Sound:
        everything = speech(self.case.sample_rate)
        count = int(self.case.seconds * self.case.sample_rate)
        start = self.chance.randrange(max(1, len(everything) - count))
        loudness = self.chance.choice((1.0, 1.0, 0.5, 0.2))
        return (everything[start : start + count] * loudness).astype(np.int16)

    def _message_samples(self) -> int:
        if self.case.kind == "opus":
            return int(self.case.sample_rate * self.case.frame_ms / 1000)
        return self.chance.randint(1, self.case.sample_rate // 8)

    def _gap_ms(self) -> int:
        if not self._sent or self.chance.random() >= self.case.eventful / 2:
            return 0
        gap_ms = self.chance.choice((60, 333, 2_001, 9_999, 70_000))
        self._since_ms, self._elapsed = self.now_ms + gap_ms, 0
        return gap_ms

    # -- what happens

    def _die(self) -> None:
        """The socket is gone with all that is not acked; another one resumes."""
        self.tape.deaths += 1
        acked = self._acked
        position = Position.parse_or_none(str(self._position).encode()) if self._position else None
        self._begin(acked, position)
        for said in [one for one in self._sent if one.offset + len(one.payload) > acked]:
            skip = max(0, acked - said.offset)
            again = replace(said, payload=said.payload[skip:], mark_ms=None if skip else said.mark_ms)
            self._send(again)

    def _finalize(self) -> None:
        self._recording.flush(self.now_ms, "more")
        self._pump()
        self.tape.events.append((self.now_ms, "finalize"))

    def _wish(self) -> None:
        """Somebody else asks for what there is."""
        self.tape.events.append((self.now_ms, "flush"))

    def _fall_silent(self) -> None:
        """Nothing is sent for a while, and then what was captured meanwhile."""
        quiet_ms = self.chance.choice((3_000, 61_000))
        for _ in range(3):
            self.now_ms += quiet_ms // 3
            self._recording.tick(self.now_ms)
            self._pump()
        if quiet_ms > 60_000:
            self.tape.events.append((self.now_ms, "idle"))
        self.now_ms = self._since_ms + self._elapsed * 1000 // self.case.sample_rate

    def _anew(self) -> None:
        """The session ends, and a fresh one begins, a moment later."""
        self._recording.flush(self.now_ms, "nothing")
        self._pump()
        self.now_ms += 5
        self._open()

    # -- the server

    def _open(self) -> None:
        self._epoch = max(self._epoch + 1, self.now_ms)
        self._sent, self._sent_bytes = [], 0
        self._mark = True
        self._since_ms, self._elapsed = self.now_ms, 0
        self.tape.events.append((self.now_ms, Arrived(EntryId(self._epoch, 0), None, None)))
        self._begin(0, None)

    def _begin(self, acked: int, position: Position | None) -> None:
        self._acked, self._position = acked, position
        self._recording = Recording(
            self.form, dialect="v1", chunk_ms=self.case.chunk_ms, offset=acked, position=position
        )
        self._encoder = SocketEncoder(self.form, bitrate=self.case.bitrate, complexity=self.case.complexity)

    def _send(self, said: Said) -> None:
        if said.mark_ms is not None:
            self._recording.mark(said.mark_ms, said.at_ms)
        try:
            self._recording.take(said.tag + said.payload, said.at_ms)
        except BadAudioError:
            assert said.payload == BAD_PACKET
        self._recording.tick(said.at_ms)
        self._pump()

    def _pump(self) -> None:
        while (job := self._recording.job(self.now_ms)) is not None:
            self._recording.encoded(self._encoder.run(job), self.now_ms)
        for ready in self._recording.chunks():
            entry_id = EntryId(self._epoch, ready.end_offset)
            entry = Entry(entry_id, {CHUNK_FIELD: ready.chunk.encode()})
            self.tape.events.append((self.now_ms, read_entry(CONVERSATION, entry)))
            self._acked, self._position = ready.end_offset, ready.position or self._position
