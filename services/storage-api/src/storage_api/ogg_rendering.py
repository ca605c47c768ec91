"""One clean Ogg Opus stream out of many sounds: packets are copied, and only older audio, which is PCM, is encoded (RFC 7845).

Pure: sounds in, pages out. Each packet comes once and in order; the pre-roll only before the very first, under pre-skip. Ogg can skip
at its start and at its end, to the sample, and nowhere else: what a later span would drop (an encoder's lead-in, its padding) stays
in. It is taken from the gap, which is exact to 1.25 ms (silence has no finer step) and by which nothing adds up. Where gaps are left
out, or where one is shorter than that, each encoder that follows another makes the file longer by it: 20 ms mostly, for an encoder
that was flushed after whole frames.

Each sound and each minute of silence begins a page. So what they take does not depend on what comes before them: a file's length can be told
from what its sounds take, and it can be gone on with at any of them.

Older audio that follows one another is one encoder's stream, exact to the sample, and begins exactly where a gap or the file begins. All
sample counts are at 48 kHz.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

from audiocodec.ogg import OggOpusWriter, OpusHead, OpusTags, PackedPackets
from audiocodec.packet import packet_durations, packet_facts
from audiocodec.silence import STEP_SAMPLES, silent_packets
from storage_api.older_sound import STEP_48K, OlderSound, nearest
from storage_api.older_stream import Encoding, OlderStream
from storage_api.passage import Sound

MIN_PRE_SKIP_SAMPLES: Final = 120
SILENT_START_SAMPLES: Final = 960
"""The packet that goes first where a stream would begin with less pre-skip than players like."""
SILENCE_STEP_SAMPLES: Final = 60 * 48_000
"""Silence is made in pieces of this length, so that a gap of a day costs no memory."""
SHORT_GAP_SAMPLES: Final = 9_600
"""200 ms: over a gap of older audio up to this long the encoder goes on, through silence; a new one would have no room for its lead-in."""


def packet_samples(packet: bytes) -> int:
    """Duration of a packet that was checked when it was read (RFC 6716 §3.1, §3.2): its table of contents says it."""
    toc = packet[0]
    match toc & 0b11:
        case 0:
            return _frame_samples(toc & 0b1111_1100)
        case 1 | 2:
            return 2 * _frame_samples(toc & 0b1111_1100)
        case _:
            return (packet[1] & 0b11_1111) * _frame_samples(toc & 0b1111_1100)


@functools.cache
def _frame_samples(toc: int) -> int:
    """Duration of the one frame of a packet that begins with this byte."""
    return packet_facts(bytes((toc,))).samples


def _nearest_step(samples: int) -> int:
    return (samples + STEP_SAMPLES // 2) // STEP_SAMPLES * STEP_SAMPLES


def _next_step(samples: int) -> int:
    return -(-samples // STEP_SAMPLES) * STEP_SAMPLES


class Writer(Protocol):
    """What of OggOpusWriter a rendering needs."""

    def start(self) -> bytes:
        """See OggOpusWriter."""
        ...

    def packet(self, data: bytes, samples: int) -> bytes:
        """See OggOpusWriter."""
        ...

    def packets(self, packets: Sequence[bytes], durations: Sequence[int]) -> bytes:
        """See OggOpusWriter."""
        ...

    def packed(self, packets: PackedPackets) -> Sequence[bytes]:
        """See OggOpusWriter."""
        ...

    def break_page(self) -> None:
        """See OggOpusWriter."""
        ...

    def finish(self, trim: int = 0) -> bytes:
        """See OggOpusWriter."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rendering stands between two pages: all that is needed to go on."""

    pre_skip: int
    sequence: int
    """Pages so far."""
    granule: int
    clock: int
    padding: int


class OggRendering:
    """`start`, then `sound` for each in order, then `finish`; what they return, joined, is the file."""

    def __init__(
        self,
        *,
        channels: int,
        sample_rate: int,
        comments: list[tuple[str, str]],
        serial: int,
        fill_gaps: bool,
        encoding: Encoding | None = None,
    ) -> None:
        self._channels = channels
        self._sample_rate = sample_rate
        self._comments = comments
        self._serial = serial
        self._fill_gaps = fill_gaps
        self._encoding = encoding or Encoding()
        self._older: OlderStream | None = None
        """The encoder that older audio goes into; None before and after."""
        self._beyond = 0
        """By how much the newest sample that went into it reaches beyond the newest sound."""
        self._writer: Writer | None = None
        self._pre_skip = 0
        self._clock = 0
        """Unix time, at 48 kHz, that the output of the next packet begins at."""
        self._padding = 0
        """How much of what was written last is no sound, and may be trimmed."""

    def resume(self, standing: Standing) -> Self:
        """The same rendering, as it stood there; no older audio may come into it."""
        head, tags = self._headers(standing.pre_skip)
        self._writer = OggOpusWriter.resumed(head, tags, self._serial, standing.sequence, standing.granule)
        self._clock, self._padding = standing.clock, standing.padding
        return self

    def sound(self, sound: Sound | OlderSound, from_48k: int) -> Iterator[bytes]:
        """The pages that are full after this sound. `from_48k` is where the file begins, for the first sound of all."""
        if isinstance(sound, OlderSound):
            yield from self._encoded(sound, from_48k)
            return
        yield from self._end_older()
        span = sound.span
        begins = span.start_48k - span.lead
        if self._writer is None:
            first = from_48k if self._fill_gaps else span.start_48k
            yield self._begin_with(sound.preroll, begins, first)
        else:
            self._writer.break_page()
        if self._fill_gaps:
            yield from self._silence(_nearest_step(begins - self._clock))
        yield from self._played(sound)

    def silence_until(self, from_48k: int, end_48k: int) -> Iterator[bytes]:
        """Silence up to the end of the file, where it ends in a gap (and begins at `from_48k`, if it is nothing else)."""
        yield from self._end_older()
        if self._writer is None:
            yield self._begin(SILENT_START_SAMPLES, self._silent_start())
            self._clock = from_48k
        yield from self._silence(_next_step(end_48k - self._clock))
        # Never more than the padding: a file that came to be late in a short gap keeps its last sample.
        self._padding = min(self._padding, max(0, self._clock - end_48k))

    def finish(self) -> bytes:
        """The last pages. OggError where nothing was written."""
        pages = b"".join(self._end_older())
        return pages + self._open().finish(self._padding)

    def _played(self, sound: Sound) -> Iterator[bytes]:
        """The packets of a sound."""
        if sound.packed is not None:
            yield from self._open().packed(sound.packed)
            self._clock += len(sound.packed) * sound.packed.samples
        elif sound.span.packets:
            yield self._copied(sound.span.packets)
        else:
            return
        self._padding = sound.span.trim

    def _encoded(self, sound: OlderSound, from_48k: int) -> Iterator[bytes]:
        """The pages that are full after older audio; what fills no packet waits in the encoder."""
        start = nearest(sound.start_48k) * STEP_48K
        stream = self._older
        gap = start - stream.next_48k if stream else 0
        if stream is None or (self._fill_gaps and not 0 <= gap <= SHORT_GAP_SAMPLES):
            yield from self._end_older()
            stream = OlderStream(self._encoding, start)
            begins = start - stream.lead
            if self._writer is None:
                yield self._begin_with((), begins, from_48k if self._fill_gaps else start)
            gap = 0
            if self._fill_gaps:
                missing = max(0, begins - self._clock)
                gap = (
                    missing % STEP_SAMPLES
                )  # what silence has no step for is encoded: the first sample comes exactly in time
                yield from self._silence(missing - gap)
            stream.next_48k -= gap
            self._older = stream
        if self._fill_gaps:
            yield from self._packets(stream.silence(gap))
        played = sound.played
        yield from self._packets(stream.take(played))
        # A cut lies between two samples of older audio mostly: what the last one is too long by may be trimmed as well.
        self._beyond = max(0, start + len(played) // 2 * STEP_48K - sound.end_48k)

    def _end_older(self) -> Iterator[bytes]:
        """What is left in the encoder of older audio, if there is one."""
        if self._older is not None:
            packets, padding = self._older.finish()
            self._older = None
            yield from self._packets(packets)
            self._padding = padding + self._beyond

    def _begin_with(self, preroll: tuple[bytes, ...], begins: int, from_48k: int) -> bytes:
        """The headers, and what a decoder needs to play from `from_48k`; the first packet's output begins at `begins`."""
        early = from_48k - begins  # so much of the packets' output comes before the file's first sample
        if early < 0:
            # The file begins in a gap. Silence has steps: what it is too long by goes under pre-skip.
            over = early % STEP_SAMPLES
            pages = self._begin(SILENT_START_SAMPLES + over, self._silent_start())
            self._clock = from_48k - over
            return pages
        before = preroll
        pre_skip = early + sum(packet_samples(packet) for packet in before)
        if pre_skip < MIN_PRE_SKIP_SAMPLES:
            before = (*self._silent_start(), *before)
            pre_skip += SILENT_START_SAMPLES
        pages = self._begin(pre_skip, before)
        self._clock = begins
        return pages

    def _begin(self, pre_skip: int, before: Iterable[bytes]) -> bytes:
        """The headers, and the packets that lie under pre-skip."""
        self._pre_skip = pre_skip
        self._writer = self._new_writer(*self._headers(pre_skip))
        return self._writer.start() + self._copied(tuple(before))

    def _headers(self, pre_skip: int) -> tuple[OpusHead, OpusTags]:
        head = OpusHead(self._channels, pre_skip, self._sample_rate)
        return head, OpusTags("tapedeck", self._comments)

    def _new_writer(self, head: OpusHead, tags: OpusTags) -> Writer:
        return OggOpusWriter(head, tags, self._serial)

    def _silent_start(self) -> tuple[bytes, ...]:
        return tuple(silent_packets(SILENT_START_SAMPLES, self._channels))

    def _silence(self, samples: int) -> Iterator[bytes]:
        """Silence of so many samples, whole steps; none where they are less than none, as the file is ahead of the clock."""
        while samples > 0:
            step = min(samples, SILENCE_STEP_SAMPLES)
            self._open().break_page()
            yield from self._silent(step)
            self._open().break_page()
            # All of it is silence: the end may lie before its last step is over.
            self._padding = STEP_SAMPLES - 1
            samples -= step

    def _silent(self, samples: int) -> Iterator[bytes]:
        packets, samples_20_ms = silent_packets(samples, self._channels), 960
        if count := samples // samples_20_ms:
            sizes = bytes((len(packets[0]),)) * count
            yield from self._open().packed(PackedPackets(sizes, packets[0] * count, samples_20_ms))
            self._clock += count * samples_20_ms
        if packets[count:]:
            yield self._copied(packets[count:])

    def _copied(self, packets: Sequence[bytes]) -> bytes:
        """The pages that are full after these packets."""
        durations = packet_durations(packets)
        self._clock += sum(durations)
        return self._open().packets(packets, durations)

    def _packets(self, packets: Iterable[bytes]) -> Iterator[bytes]:
        """The same of packets that are made one by one, page by page."""
        writer = self._open()
        for packet in packets:
            samples = packet_samples(packet)
            page = writer.packet(packet, samples)
            self._clock += samples
            if page:
                yield page

    def _open(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("a stream must begin with a sound or with silence")
        return self._writer
