"""`audiocodec.ogg.read_ogg_opus` and `read_ogg_headers`: a whole file of ours, or its beginning."""

from audiocodec.errors import OggError
from audiocodec.ogg import OggOpusWriter, read_ogg_headers, read_ogg_opus
from audiocodec.packet import packet_facts
from tapedeck_fuzz import ogg_by_hand
from tapedeck_fuzz.target import Target, demand


def check(data: bytes) -> int | None:
    """Taken: its headers are what they are alone, and our writer makes a file of it that reads the same."""
    try:
        headers = read_ogg_headers(data)
    except OggError:
        headers = None
    try:
        stream = read_ogg_opus(data)
    except OggError as error:
        demand(
            str(error).startswith(("file", "page", "first page", "stream", "Opus")),
            f"names no structure: {error}",
        )
        return None
    demand(headers == (stream.head, stream.tags), "other headers than those of its first bytes")
    pages = ogg_by_hand.split(data)
    demand(ogg_by_hand.join(pages) == data, "a wrong checksum, or bytes that are no page")
    demand(ogg_by_hand.in_order(pages) == pages, "pages out of order, or flags that are not theirs")
    if len(pages) > 1 and pages[1].lacing[-1:] != b"\xff":  # headers of two pages, as most have
        demand(ogg_by_hand.timed(pages)[:-1] == pages[:-1], "a granule position that the packets do not make")
    samples = [packet_facts(packet).samples for packet in stream.packets]
    trim = sum(samples) - stream.end_granule
    demand(0 <= trim <= samples[-1], f"a trim of {trim} samples")
    writer = OggOpusWriter(stream.head, stream.tags, 1)
    again = [writer.start()]
    again += [writer.packet(packet, size) for packet, size in zip(stream.packets, samples, strict=True)]
    again.append(writer.finish(trim))
    at_once = OggOpusWriter(stream.head, stream.tags, 1)
    whole = at_once.start() + at_once.packets(stream.packets, samples) + at_once.finish(trim)
    demand(b"".join(again) == whole, "written at once it is another file than packet by packet")
    demand(read_ogg_opus(whole) == stream, "written and read again it is another stream")
    return sum(map(len, stream.packets))


TARGET = Target(
    check,
    ogg_by_hand.mutate,
    max_bytes=8192,
    words=(b"OggS", b"OpusHead\x01", b"OpusTags", b"\xf8\xff\xfe"),
)
