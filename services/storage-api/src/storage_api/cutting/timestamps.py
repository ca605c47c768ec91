"""`DELETE …/{cid}/chunks?timestamps=a,b`: the chunks or batches that start at these times, or hold them, each as a whole."""

from bisect import bisect_left, bisect_right

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from storage_api.chunks import ChunkRow as Row
from storage_api.chunks import chunk_rows
from storage_api.cutting.request import Choose, delete_some
from storage_api.cutting.wanted import Wanted
from storage_api.live_tail import LiveChunk
from storage_api.parameters import Parameters, bad_parameter
from storage_api.recording import Recording
from storage_api.timeline import Live


async def delete_chunks(request: Request) -> Response:
    """Deletes them."""
    return await delete_some(request, "deleted chunks", _read)


def _read(query: QueryParams) -> Choose:
    timestamps_ms = Parameters(query, ("timestamps",)).timestamps()
    if not timestamps_ms:
        raise bad_parameter("timestamps", "must name at least one chunk by its time")

    def choose(recording: Recording) -> tuple[Wanted, list[LiveChunk]]:
        rows = rows_at(recording, timestamps_ms)
        chunks = recording.tail.chunks if recording.tail else ()
        live = [chunks[source.index] for row in rows for source in row.sources if isinstance(source, Live)]
        keys = frozenset(row.stored.key for row in rows if row.stored is not None)
        return Wanted(keys=keys), live

    return choose


def rows_at(recording: Recording, timestamps_ms: tuple[int, ...]) -> list[Row]:
    """For each time those that begin there; else the one that is played there; else those that hold it: what `…/audio` gives for it."""
    rows = chunk_rows(recording, "standard")
    beginning: dict[int, list[Row]] = {}
    for row in rows:
        beginning.setdefault(row.start_ms, []).append(row)
    starts = [row.start_ms for row in rows]  # in this order they are listed
    longest_ms = max((row.end_ms - row.start_ms for row in rows), default=0)
    found: dict[tuple[int, str, bool], Row] = {}
    for at_ms in dict.fromkeys(timestamps_ms):
        there = beginning.get(at_ms)
        if there is None:
            near = rows[bisect_right(starts, at_ms - longest_ms) : bisect_left(starts, at_ms)]
            holding = [row for row in near if at_ms < row.end_ms]
            playing = recording.timeline.playing(at_ms * 48)
            there = [row for row in holding if playing in row.sources] or holding
        found |= {row.key: row for row in there}
    return list(found.values())
