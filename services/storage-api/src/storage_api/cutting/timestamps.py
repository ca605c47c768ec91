"""`DELETE …/{cid}/chunks?timestamps=a,b`: the chunks or batches that start at these times, or hold them, each as a whole.

Owns what a time means: asked for again, after an answer that was lost or a request that failed, it means what it meant, wherever that lies by then; once
that is gone, only what begins right then.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from audiobus.meant import Notes, decode_meant
from storage_api.chunks import ChunkRow, chunk_rows
from storage_api.cutting.meaning import There, meant_by, spans_of
from storage_api.cutting.request import Choose, Chosen, delete_some
from storage_api.cutting.wanted import Wanted
from storage_api.deleted_starts import deleted_starts
from storage_api.parameters import Parameters, bad_parameter
from storage_api.recording import Recording


async def delete_chunks(request: Request) -> Response:
    """Deletes them."""
    return await delete_some(request, "deleted chunks", _read)


def _read(query: QueryParams) -> Choose:
    timestamps_ms = Parameters.and_no_others(query, ("timestamps",)).timestamps()
    if not timestamps_ms:
        raise bad_parameter("timestamps", "must name at least one chunk by its time")
    return lambda recording, notes, now_ms: choose(recording, timestamps_ms, notes, now_ms)


def choose(recording: Recording, timestamps_ms: Iterable[int], notes: Notes, now_ms: int) -> Chosen:
    """What these times mean now. BadEntryError: what one of them meant cannot be understood."""
    rows = chunk_rows(recording, "standard")
    listed = _Listed(recording, rows)
    known = {
        at_ms: decode_meant(notes.meant[at_ms])
        for at_ms in dict.fromkeys(timestamps_ms)
        if at_ms in notes.meant
    }
    there = There(rows if known else ())
    meant = {at_ms: meant_by((), now_ms, one) for at_ms, one in known.items() if there.holds(one)}
    some, audio = there.of(meant.values())
    # Something began then that is deleted, or was deleted by that time: asked for again, it takes nothing along that lies beside it.
    deleted = {*known, *notes.times_ms, *deleted_starts(notes.names)}
    for at_ms in dict.fromkeys(timestamps_ms):
        if at_ms in meant:
            continue
        found = listed.beginning(at_ms)
        if at_ms in deleted:
            # Where entries lie that do not parse is worked out from those before them: this one may be there only since that went.
            found = [row for row in found if row.unheard is None or row.unheard.span is not None]
        elif not found:
            found = listed.held(at_ms)
        if found:
            meant[at_ms] = meant_by(found, now_ms, known.get(at_ms))
            some += found
            # It may be brought under another name before it goes, and lie under two.
            for row in found:
                for span in spans_of(row):
                    audio.add_span(span)
    return Chosen(
        Wanted(keys=frozenset(row.stored.key for row in some if row.stored is not None), audio=audio),
        tuple({row.live.id: row.live for row in some if row.live is not None}.values()),
        tuple({row.unheard.id for row in some if row.unheard is not None}),
        meant,
    )


class _Listed:
    """What is listed, by time."""

    def __init__(self, recording: Recording, rows: list[ChunkRow]) -> None:
        self._timeline = recording.timeline
        self._rows = rows
        self._starts = [row.start_ms for row in rows]  # in this order they are listed
        self._longest_ms = max((row.end_ms - row.start_ms for row in rows), default=0)

    def beginning(self, at_ms: int) -> list[ChunkRow]:
        """What begins in that millisecond."""
        return self._rows[bisect_left(self._starts, at_ms) : bisect_right(self._starts, at_ms)]

    def held(self, at_ms: int) -> list[ChunkRow]:
        """What is played then, or holds it and cannot be read; of a time at which nothing begins."""
        near = self._rows[
            bisect_right(self._starts, at_ms - self._longest_ms) : bisect_left(self._starts, at_ms)
        ]
        holding = [row for row in near if at_ms < row.end_ms]
        first = self._timeline.playing(at_ms * 48)
        # Where a chunk begins is told rounded down: that millisecond may begin with the end of what is before it.
        last = self._timeline.playing(at_ms * 48 + 47)
        there = [row for row in holding if first in row.sources] or holding
        return [row for row in there if last in row.sources or row.reason]
