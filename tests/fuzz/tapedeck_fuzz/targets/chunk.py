"""`audiobus.chunk.decode_chunk`: what stands in an entry of the buffer."""

from random import Random

import msgspec

from audiobus.chunk import decode_chunk
from audiobus.errors import BadEntryError
from tapedeck_fuzz import msgpack_by_hand, opus_by_the_rfc
from tapedeck_fuzz.decoding import check_decoding
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Taken: the same chunk comes out of what it is written as, and its packets last as long as it says."""
    try:
        chunk = decode_chunk(data)
    except BadEntryError as error:
        demand(str(error).startswith("chunk entry"), f"the error names no structure: {error}")
        return None
    demand(decode_chunk(chunk.encode()) == chunk, "written and read again it is another chunk")
    total = 0
    for packet in chunk.packets:
        sizes = opus_by_the_rfc.frame_sizes(packet)
        demand(sizes is not None, "a packet whose framing breaks RFC 6716")
        total += len(sizes or ()) * opus_by_the_rfc.frame_samples(packet[0])
    demand(total == chunk.samples + chunk.lead + chunk.trim, f"packets of {total} samples")
    span = chunk.span("c", 1, chunk.first_offset)
    demand(span.end_48k - span.start_48k == chunk.samples, "the span is as long as the chunk")
    if len(data) % 16 == 0:  # decoding costs many times what parsing does
        check_decoding(span, chunk.packets[:2], chunk.sample_rate, chunk.channels)
    return sum(map(len, chunk.packets)) + len(chunk.source)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """The array changed; then, as often as not, the played samples made what the packets come to."""
    changed = msgpack_by_hand.mutate(data, random, raw)
    if random.randrange(2):
        return changed
    try:
        fields = msgspec.msgpack.decode(changed)
        packets = [packet for packet in fields[12] if packet]
        total = sum(
            opus_by_the_rfc.frame_samples(packet[0]) * len(opus_by_the_rfc.frame_sizes(packet) or ())
            for packet in packets
        )
        fields[7] = total - fields[8] - fields[9]
        return msgspec.msgpack.encode(fields)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        TypeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
    ):
        return changed


TARGET = Target(
    check,
    mutate,
    growth=1,
    words=(b"\x9d\x01", b"\xdc\x00\x0d", b"\xf8\xff\xfe", b"pcm16", b"\xce", b"\xcf"),
)
