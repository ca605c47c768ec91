"""The canary: whether this build can make a file of entries at all. Pure.

Where making a file breaks in a way that nobody foresaw, either the entries are at fault or this build is. Entries that are at fault go to the
dead letters; for a build that is, all of them would. So before anything is blamed on entries, entries that are known to be good are tried.
"""

import struct
from functools import cache
from typing import Final

from audiobus.chunk import VERSION, Chunk
from audiobus.entry_id import EntryId
from pusher.arrived import Arrived
from pusher.batch_builder import build

UNFORESEEN: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What a defect raises in the face of some data. Not what a machine raises that has no memory, threads or files left."""
_PACKET: Final = b"\xb8\xff\xfe"
"""20 ms of silence (CELT, wide-band, one frame; RFC 6716 §3.1)."""
_SAMPLES: Final = 960


def sings() -> bool:
    """Whether good entries become a file."""
    try:
        return bool(build("canary", _good(), None).data)
    except UNFORESEEN:
        return False


@cache
def _good() -> tuple[Arrived, ...]:
    chunk = Chunk(
        version=VERSION,
        at_ms=1_700_000_000_000,
        source="opus",
        sample_rate=16_000,
        channels=1,
        run_start_ms=1_700_000_000_000,
        first_sample=0,
        samples=50 * _SAMPLES - 312,
        lead=312,
        trim=0,
        starts=True,
        first_offset=0,
        packets=(_PACKET,) * 50,
    )
    id_ = EntryId(1_700_000_000_000, 150)
    return (Arrived(id_, chunk, chunk.span("canary", id_.epoch, id_.offset)),)
