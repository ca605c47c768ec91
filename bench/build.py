"""Building a batch of 60 s from the packets of a buffer, and sealing it: CPU time beside the least that has to be done.

Owns no rule: `pusher.batch_builder.build` is called as the pusher calls it, on a full batch in the middle of a run.
"""

import base64
import time
import zlib
from collections.abc import Callable, Iterator

from audiobus.chunk import VERSION, Chunk
from audiobus.entry_id import EntryId
from audiobus.state import PreRoll
from audiocodec.span import Span
from audiostore.key_ring import KeyRing
from audiostore.sealing import seal
from bench import speech
from bench.figure import Figure, Goal
from bench.scale import Scale
from pusher.arrived import Arrived
from pusher.batch_builder import build

PART = "build"
UID, CID = "bench", "built"
START_MS = 1_700_000_000_000
CHUNK_PACKETS = 50
CHUNK_SAMPLES = CHUNK_PACKETS * speech.FRAME_SAMPLES
TIMES = 20
"""So often a round does each; the mean counts."""
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def measure(scale: Scale) -> Iterator[Figure]:
    """Milliseconds of CPU a batch."""
    *_, batch = speech.batches(CID, START_MS, START_MS, 2)
    (span,) = batch.spans
    entries = _entries(span)
    preroll = PreRoll(span.epoch, span.run_start_ms, span.first_sample, span.first_offset, batch.preroll)
    ring = KeyRing.parse("k1:" + base64.b64encode(bytes(range(32))).decode())
    file = build(CID, entries, preroll).data
    built: list[float] = []
    least: list[float] = []
    sealed: list[float] = []
    for _ in range(scale.rounds):
        built.append(_ms(lambda: build(CID, entries, preroll)))
        least.append(_ms(lambda: zlib.crc32(b"".join(span.packets).translate(_REVERSED))))
        sealed.append(_ms(lambda: seal(file, ring, UID)))
    minute = f"{len(span.packets):,} packets of 20 ms from 60 chunks, {len(file) // 1000} kB as a file"
    yield Figure(
        part=PART,
        what="a batch of 60 s from its packets: file and metadata",
        unit="ms of CPU",
        ours=tuple(built),
        baseline_name="the least: one join of the packets, and Ogg's CRC of the bytes",
        baseline=tuple(least),
        better="less",
        goal=Goal("value", "at most", 5),
        notes=(minute, f"CPU time of the thread, the mean of {TIMES} in a round"),
    )
    yield Figure(
        part=PART,
        what="sealing that file",
        unit="ms of CPU",
        ours=tuple(sealed),
        baseline_name="building it",
        baseline=tuple(built),
        better="less",
        goal=Goal("ratio", "at most", 0.05),
    )


def _entries(span: Span) -> list[Arrived]:
    """The span as the chunks of one second that it arrived in."""
    entries = []
    offset = span.first_offset
    for index, at in enumerate(range(0, len(span.packets), CHUNK_PACKETS)):
        packets = span.packets[at : at + CHUNK_PACKETS]
        chunk = Chunk(
            version=VERSION,
            at_ms=span.run_start_ms + (index + 1) * 1000,
            source="opus",
            sample_rate=speech.SAMPLE_RATE,
            channels=1,
            run_start_ms=span.run_start_ms,
            first_sample=span.first_sample + index * CHUNK_SAMPLES,
            samples=CHUNK_SAMPLES,
            lead=0,
            trim=0,
            starts=False,
            first_offset=offset,
            packets=packets,
        )
        offset += sum(map(len, packets))
        entry = EntryId(span.epoch, offset)
        entries.append(Arrived(entry, chunk, chunk.span(CID, span.epoch, offset)))
    return entries


def _ms(work: Callable[[], object]) -> float:
    """CPU time of this thread."""
    began = time.thread_time()
    for _ in range(TIMES):
        work()
    return (time.thread_time() - began) / TIMES * 1000
