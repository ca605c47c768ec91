"""A span: packets that follow one another without a gap, and where they lie in their run.

Owns the sample arithmetic of pieces of a recording: joining them, what a decoder needs before the next piece, and
decoding one to exactly its own samples. Knows nothing of files, Redis or batches.

All sample counts are per channel at 48 kHz. A decoder puts out each packet's samples one encoder lookahead later
than the encoder took them; `first_sample` already allows for that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from audiocodec.decoder import Decoder
from audiocodec.errors import CodecError
from audiocodec.packet import packet_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from audiocodec.ogg.packed import PackedPackets

PREROLL_SAMPLES = 15_360
"""320 ms: after this much pre-roll a new decoder is within 35 dB of one that ran through, measured at 996 of 1,000 places."""


@dataclass(frozen=True, slots=True)
class Span:
    """Packets of one session that follow one another without a gap."""

    conversation: str
    """Id of the conversation that it was recorded into."""
    epoch: int
    """The session."""
    first_offset: int
    """Payload bytes of the session before the first packet."""
    end_offset: int
    """Payload bytes of the session up to the end of the last packet."""
    run_start_ms: int
    """Unix ms of the run's sample 0."""
    first_sample: int
    """Position in the run of the first played sample."""
    samples: int
    """Played samples: the packets' durations less `lead` and `trim`."""
    lead: int
    """Samples to drop at the front: the encoder's lead-in; 0 in the middle of a run."""
    trim: int
    """Samples of padding to drop at the end; not 0 only where an encoder was flushed."""
    starts: bool
    """Whether the encoder began with this span's first packet."""
    packets: tuple[bytes, ...]

    @property
    def start_48k(self) -> int:
        """First played sample, in samples at 48 kHz since 1970."""
        return self.run_start_ms * 48 + self.first_sample

    @property
    def end_48k(self) -> int:
        """The moment after the last played sample, in samples at 48 kHz since 1970."""
        return self.start_48k + self.samples

    @property
    def start_ms(self) -> int:
        """First played sample, unix ms, rounded down."""
        return self.start_48k // 48

    @property
    def end_ms(self) -> int:
        """The moment after the last played sample, unix ms, rounded down."""
        return self.end_48k // 48

    def continues(self, other: Span) -> bool:
        """Whether this span's packets come right after `other`'s, for the same decoder."""
        return (
            not self.starts
            and other.trim == 0
            and (self.lead == 0 or other.samples == 0)
            and self.first_offset == other.end_offset
            and self.first_sample == other.first_sample + other.samples
            and self.run_start_ms == other.run_start_ms
            and self.epoch == other.epoch
            and self.conversation == other.conversation
        )


def join(spans: Iterable[Span]) -> list[Span]:
    """The spans with each one that continues the one before it merged into that, in their order."""
    joined: list[Span] = []
    group: list[Span] = []
    for span in spans:
        if group and not span.continues(group[-1]):
            joined.append(_merge(group))
            group = []
        group.append(span)
    if group:
        joined.append(_merge(group))
    return joined


def _merge(group: list[Span]) -> Span:
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        end_offset=group[-1].end_offset,
        samples=sum(span.samples for span in group),
        lead=sum(span.lead for span in group),
        trim=group[-1].trim,
        packets=tuple(chain.from_iterable(span.packets for span in group)),
    )


def preroll_after(preroll: Sequence[bytes], span: Span, samples: int = PREROLL_SAMPLES) -> tuple[bytes, ...]:
    """The packets that a new decoder needs before what continues after `span`.

    The last packets of `preroll` (those before the span) and the span that make up at least `samples`; fewer
    where the encoder began later; none where it was flushed, as nothing continues then.
    """
    if span.trim:
        return ()
    taken: deque[bytes] = deque()
    have = 0
    for packets in (span.packets, () if span.starts else preroll):
        for packet in reversed(packets):
            if have >= samples:
                return tuple(taken)
            taken.appendleft(packet)
            have += packet_facts(packet).samples
    return tuple(taken)


def decode(
    span: Span,
    preroll: Sequence[bytes],
    sample_rate: int,
    channels: int,
    packed: PackedPackets | None = None,
) -> Iterator[bytes]:
    """PCM of the span's played samples, s16le interleaved, in pieces of a few packets; `packed`: its packets, where it has them not itself.

    Start and end are the sample frames nearest to them, counted from the first packet's, halves up: what is cut between two
    samples lies on one side of the cut, and all frames of a stretch and of the next are those of both. A new decoder is run
    over `preroll` (ignored where the encoder began with the span) and what it gives is dropped, as is the lead.
    BadPcmError: a rate or channel count that Opus has not. BadPacketError: a packet that does not decode.
    CodecError: the packets are shorter than the span says.
    """
    decoder = Decoder(sample_rate, channels)
    frame_bytes = 2 * channels
    skip = (span.lead * sample_rate + 24_000) // 48_000 * frame_bytes
    left = ((span.lead + span.samples) * sample_rate + 24_000) // 48_000 * frame_bytes - skip
    if not span.starts:
        for _ in decoder.decode_all(preroll):
            pass
    packets = span.packets if packed is None else packed
    for pcm in decoder.decode_all(packets):
        if left <= 0:
            return
        if skip >= len(pcm):
            skip -= len(pcm)
            continue
        piece = pcm[skip : skip + left]
        skip = 0
        left -= len(piece)
        yield piece
    if left > 0:
        raise CodecError(
            f"span of {span.samples} samples, lead {span.lead}, trim {span.trim}: "
            f"its {len(packets)} packets are {left // frame_bytes} sample frames too short"
        )
