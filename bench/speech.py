"""The speech that all parts send and store: the bundled sample, as PCM and as 20 ms Opus packets.

Owns what stands for "an hour of audio": the sample's packets, again and again. Neither copying nor decoding cares.
"""

from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

from audiocodec import Encoder
from audiocodec.span import Span, preroll_after
from audiostore.batch import Batch
from tapedeck import sample
from tapedeck.audio_file import open_source

SAMPLE_RATE = 16_000
FRAME_BYTES = 640
"""20 ms of s16le mono at 16 kHz."""
FRAME_SAMPLES = 960
"""The same at 48 kHz."""
LOOKAHEAD = 312
"""Samples at 48 kHz that a decoder lies behind the encoder."""
BATCH_PACKETS = 3_000
"""A minute."""


@cache
def pcm() -> bytes:
    """The sample, s16le mono at 16 kHz, whole frames."""
    data = b"".join(open_source(str(sample.PATH), SAMPLE_RATE).pieces())
    return data[: len(data) - len(data) % FRAME_BYTES]


def frames(count: int) -> list[bytes]:
    """So many 20 ms frames of PCM."""
    data = pcm()
    own = [data[at : at + FRAME_BYTES] for at in range(0, len(data), FRAME_BYTES)]
    return list(islice(cycle(own), count))


@cache
def _own_packets() -> tuple[bytes, ...]:
    return tuple(Encoder(SAMPLE_RATE).encode(pcm()))


def packets(count: int) -> list[bytes]:
    """So many 20 ms packets, 16 kHz mono at 24 kbit/s, made as `listen` makes them."""
    return list(islice(cycle(_own_packets()), count))


def batches(
    conversation: str, epoch: int, run_start_ms: int, count: int, batch_packets: int = BATCH_PACKETS
) -> Iterator[Batch]:
    """One run without a gap in `count` full batches, with their pre-roll, as the pusher cuts them."""
    preroll: tuple[bytes, ...] = ()
    offset = 0
    everything = cycle(_own_packets())
    for index in range(count):
        own = tuple(islice(everything, batch_packets))
        lead = 0 if index else LOOKAHEAD
        end = offset + sum(map(len, own))
        span = Span(
            conversation=conversation,
            epoch=epoch,
            first_offset=offset,
            end_offset=end,
            run_start_ms=run_start_ms,
            first_sample=index * batch_packets * FRAME_SAMPLES - (LOOKAHEAD if index else 0),
            samples=batch_packets * FRAME_SAMPLES - lead,
            lead=lead,
            trim=0,
            starts=index == 0,
            packets=own,
        )
        yield Batch(conversation, "opus", SAMPLE_RATE, 1, preroll, (span,))
        preroll = preroll_after(preroll, span)
        offset = end
