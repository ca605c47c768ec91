"""`GET …/{cid}/recordings`: the stretches that belong together.

Owns where one ends: at a gap longer than is asked for. What cannot be read is no gap here, for something was recorded there.
"""

import asyncio
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from audiobus import Conversation
from storage_api import wire
from storage_api.access import conversation_of
from storage_api.chunks import ChunkRow, chunk_rows
from storage_api.conversations import live_headers
from storage_api.moments import rfc3339, unix_seconds
from storage_api.parameters import DEFAULT_MAX_GAP_S, Parameters
from storage_api.recording import Recording
from storage_api.services import Services
from storage_api.timeline import Source

_ID_BYTES: Final = 8


@dataclass(slots=True)
class Stretch:
    """Of one conversation; at 48 kHz."""

    start_48k: int
    end_48k: int
    samples: int = 0
    """What is played of it."""
    sources: set[Source] = field(default_factory=set)


async def list_recordings(request: Request) -> Response:
    """All of them, in order of time."""
    services = Services.of(request)
    await services.access.allow(request, "audio:read")
    conversation = conversation_of(request)
    max_gap_s = Parameters(request.query_params, ("max_gap_s",)).max_gap_s()
    recording = await services.recordings.find(conversation)
    gap_48k = round((DEFAULT_MAX_GAP_S if max_gap_s is None else max_gap_s) * 48_000)
    protection = await services.protection_of(recording) or "standard"
    body = await asyncio.to_thread(_told, recording, protection, gap_48k)
    return wire.json_response(body, live_headers(recording))


def _told(recording: Recording, protection: wire.Protection, gap_48k: int) -> wire.RecordedStretches:
    """The answer. For a thread, as with `chunks`."""
    found = stretches(recording, gap_48k)
    lying = _rows_in(found, chunk_rows(recording, protection))
    return wire.RecordedStretches(
        recordings=[
            _shown(recording.conversation, stretch, [unix_seconds(row.start_ms) for row in rows])
            for stretch, rows in zip(found, lying, strict=True)
        ]
    )


def stretches(recording: Recording, max_gap_48k: int) -> list[Stretch]:
    """What is recorded, parted wherever nothing was for longer than `max_gap_48k` samples at 48 kHz."""
    found: list[Stretch] = []
    for start, end, samples, source in sorted(_times(recording), key=lambda one: one[:2]):
        if not found or start - found[-1].end_48k > max_gap_48k:
            found.append(Stretch(start, end))
        found[-1].end_48k = max(found[-1].end_48k, end)
        found[-1].samples += samples
        if source is not None:
            found[-1].sources.add(source)
    return found


def _times(recording: Recording) -> Iterator[tuple[int, int, int, Source | None]]:
    """Start, end, what is played, and out of what; None for what cannot be read."""
    for play in recording.timeline.plays:
        yield play.start_48k, play.end_48k, play.samples, play.piece.source
    for bad in recording.unreadable:
        yield bad.start_48k, bad.end_48k, 0, None
    for lost in recording.unheard:
        yield lost.start_48k, lost.end_48k, 0, None


def _rows_in(found: Sequence[Stretch], rows: Sequence[ChunkRow]) -> list[list[ChunkRow]]:
    """For each stretch the rows of which something is played there, and those that begin there and are not played, or not wholly."""
    of = {source: at for at, row in enumerate(rows) for source in row.sources}
    lying = [{of[source] for source in stretch.sources if source in of} for stretch in found]
    starts = [stretch.start_48k for stretch in found]
    for at, row in enumerate(rows):
        if row.reason is None and not row.overlapped:
            continue
        # Rows tell milliseconds, rounded down.
        place = bisect_right(starts, row.start_ms * 48 + 47) - 1
        if place >= 0 and row.start_ms * 48 <= found[place].end_48k:
            lying[place].add(at)
    return [[rows[at] for at in sorted(places)] for places in lying]


def _shown(conversation: Conversation, stretch: Stretch, timestamps: list[str]) -> wire.RecordedStretch:
    return wire.RecordedStretch(
        id=_id(conversation, stretch.start_48k),
        start=rfc3339(stretch.start_48k),
        end=rfc3339(stretch.end_48k),
        recorded_seconds=wire.seconds(stretch.samples),
        timestamps=timestamps,
    )


def _id(conversation: Conversation, start_48k: int) -> str:
    """Of the first sample alone: it stays while the recording goes on, and when its entries become batches."""
    told = f"{conversation.cid}@{start_48k}".encode()
    return hashlib.blake2s(told, digest_size=_ID_BYTES).hexdigest()
