"""Which packets of what was recorded a stretch of time touches: what a deletion of it takes."""

from collections.abc import Iterable

from audiobus import Chunk
from audiocodec.packet import packet_facts


def touched(chunks: Iterable[tuple[Chunk, object]], start_s: float, end_s: float) -> list[bytes]:
    """Those whose audio lies in it, lead-ins left out; in seconds since the recording began."""
    found = []
    for chunk, _ in chunks:
        at = chunk.first_sample - chunk.lead
        for packet in chunk.packets:
            end = at + packet_facts(packet).samples
            if max(at, chunk.first_sample) < end_s * 48_000 and start_s * 48_000 < end:
                found.append(packet)
            at = end
    return found
