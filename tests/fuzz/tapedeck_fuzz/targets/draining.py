"""`pusher.arrived`, `pusher.cutter` and `pusher.batch_builder`: whatever a buffer holds comes to batches, or to the dead letters. Slow."""

from random import Random

import msgspec

from audiobus import ConversationState, EntryId
from audiobus.chunk import decode_chunk
from audiobus.entry import Entry
from audiobus.errors import BadEntryError
from audiobus.state import PreRoll
from audiostore.batch import batch_end_ms, batch_start_ms, read_batch
from audiostore.names import BatchName
from pusher.arrived import Arrived, read_entry
from pusher.batch_builder import build
from pusher.cutter import Limits, Take, decide
from pusher.errors import BuildError
from tapedeck_fuzz import fields
from tapedeck_fuzz.target import BrokenPromiseError, Raw, Target, demand
from tapedeck_fuzz.targets import chunk

CHUNKS = 5
EPOCH = 1_732_147_200_123
NOW_MS = 1_732_147_300_000
LIMITS = Limits()


def check(data: bytes) -> int | None:
    """Chunks of one session, as they stand in a buffer. Every sample that was taken is in one batch, or buried; no order of them gets stuck."""
    arrived = _arrived([value or b"" for value in fields.split(data, CHUNKS)])
    if not arrived:
        return None
    due = sum(one.samples for one in arrived)
    stored = buried = size = 0
    preroll: PreRoll | None = None
    limits = LIMITS
    for _ in range(4 * len(arrived)):
        take = decide(arrived, _state(arrived, preroll), more=False, now_ms=NOW_MS, limits=limits, phase=0.5)
        if not isinstance(take, Take) or take.count < 1:
            raise BrokenPromiseError(f"{take}, though it was asked to store")
        entries = arrived[: take.count]
        try:
            built = build("c", entries, preroll)
        except BuildError:
            if take.count > 1:  # as the planner does: fewer and fewer, until the one at fault stands alone
                limits = Limits(entries=take.count // 2)
                continue
            buried += entries[0].samples
            arrived, limits = arrived[1:], LIMITS
        else:
            if built.batch is not None:
                demand(read_batch(built.data) == built.batch, "what was written is read as something else")
                BatchName("u", "c", batch_start_ms(built.batch), batch_end_ms(built.batch))
                stored += sum(span.samples for span in built.batch.spans)
                size += len(built.data)
            demand(
                built.samples == sum(one.samples for one in entries),
                "other samples are settled than were there",
            )
            preroll, arrived, limits = built.preroll, arrived[take.count :], LIMITS
        if not arrived:
            break
    demand(not arrived, "the buffer does not drain")
    demand(stored + buried == due, f"{stored} samples stored and {buried} buried of {due}")
    return size


def _arrived(values: list[bytes]) -> list[Arrived]:
    arrived = []
    offset = 0
    for value, after in zip(values, [*values[1:], b""], strict=True):
        # Where the next one says that it begins, so that runs go on; else anywhere behind.
        told = _first_offset(after)
        offset = told if told > offset else offset + 1 + len(value)
        entry = Entry(EntryId(EPOCH, offset), {b"c": value} if value else {b"o": b"opus:16000:1:312"})
        try:
            arrived.append(read_entry("c", entry))
        except BadEntryError:
            demand(entry.counted_samples >= 0, "less than nothing is claimed")
    return arrived


def _first_offset(value: bytes) -> int:
    try:
        return decode_chunk(value).first_offset
    except BadEntryError:
        return 0


def _state(arrived: list[Arrived], preroll: PreRoll | None) -> ConversationState:
    return ConversationState(
        owner=None, newest=arrived[-1].id, format=None, settled=None, cut=None, preroll=preroll, position=None,
        received_samples=0, stored_samples=0, dead_samples=0, last_ms=NOW_MS, flush=arrived[-1].id,
        flush_reason=None, merging=None,
    )  # fmt: skip


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """One of the chunks changed, left out, doubled, or put after the one before it."""
    values = [value or b"" for value in fields.split(data, CHUNKS)]
    at = random.randrange(CHUNKS)
    match random.randrange(6):
        case 0:
            values[at] = values[random.randrange(CHUNKS)]
        case 1:
            values[at] = b""
        case 2 | 3:
            values[at] = _after(values[at - 1], values[at], random)
        case _:
            values[at] = chunk.mutate(values[at], random, raw)
    return fields.join(values)


def _after(before: bytes, value: bytes, random: Random) -> bytes:
    """The chunk as it goes on from the one before, or begins anew a little later."""
    try:
        first, second = msgspec.msgpack.decode(before), msgspec.msgpack.decode(value)
        second[5], second[6] = first[5], first[6] + first[7]
        second[11] = first[11] + random.choice((1, 640, 6400))
        if random.randrange(3) == 0:
            second[6] += random.choice((0, 1, 312, 960, 48_000, 60 * 48_000, 24 * 3600 * 48_000))
        if random.randrange(3) == 0:
            second[8], second[10] = random.choice(((0, False), (312, True), (312, False), (0, True)))
        second[7] += random.choice((0, 0, 312, -312))
        return msgspec.msgpack.encode(second)
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        TypeError,
        IndexError,
        KeyError,
        OverflowError,
        RecursionError,
    ):
        return value


# A packet of a byte makes pages and tags of some hundred bytes, and silence between runs is made of three bytes each 20 ms.
TARGET = Target(check, mutate, growth=8, floor=64 << 10, max_bytes=8192, words=(b"\x9d\x01", b"\xf8\xff\xfe"))
