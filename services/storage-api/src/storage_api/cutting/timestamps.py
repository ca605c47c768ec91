"""`DELETE …/{cid}/chunks?timestamps=a,b`: the chunks or batches that start at these times, or hold them, each as a whole."""

from collections.abc import Collection

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from audiostore.legacy import parse_audio_name
from storage_api.chunks import ChunkRow, chunk_rows, rows_at
from storage_api.cutting.request import Choose, Chosen, delete_some
from storage_api.cutting.wanted import Wanted
from storage_api.parameters import Parameters, bad_parameter
from storage_api.recording import Recording


async def delete_chunks(request: Request) -> Response:
    """Deletes them."""
    return await delete_some(request, "deleted chunks", _read)


def _read(query: QueryParams) -> Choose:
    timestamps_ms = Parameters.and_no_others(query, ("timestamps",)).timestamps()
    if not timestamps_ms:
        raise bad_parameter("timestamps", "must name at least one chunk by its time")

    def choose(recording: Recording, names: Collection[str], times_ms: Collection[int]) -> Chosen:
        deleted = {name.start_ms for path in names if (name := parse_audio_name(path)) is not None}
        deleted.update(times_ms)
        rows, inside_ms = _rows(recording, timestamps_ms, deleted)
        live = [row.live for row in rows if row.live is not None]
        unheard = {row.unheard.id: row.start_ms for row in rows if row.unheard is not None}
        keys = frozenset(row.stored.key for row in rows if row.stored is not None)
        return Chosen(Wanted(keys=keys), live, unheard, inside_ms)

    return choose


def _rows(
    recording: Recording, timestamps_ms: tuple[int, ...], deleted: Collection[int]
) -> tuple[list[ChunkRow], list[int]]:
    """For each time what begins then; else what is played then, or holds it and cannot be read. And the times of the latter.

    `deleted`: times when something began that is deleted, and times by which something was. Such a one may be asked for again after an answer that
    was lost, and must not take what lies beside it along; nor what is listed there since, for where entries lie that do not parse is worked
    out from those before them.
    """
    starts = {row.start_ms for row in chunk_rows(recording, "standard")}
    within = tuple(at_ms for at_ms in timestamps_ms if at_ms not in starts and at_ms not in deleted)
    # Where a chunk begins is told rounded down: that millisecond may begin with the end of what is before it.
    playing = {recording.timeline.playing(at_ms * 48 + 47) for at_ms in within}
    beginning = [
        row
        for row in rows_at(recording, tuple(at_ms for at_ms in timestamps_ms if at_ms in starts))
        if row.unheard is None or row.unheard.span is not None or row.start_ms not in deleted
    ]
    held = [row for row in rows_at(recording, within) if row.sources & playing or row.reason]
    chosen = [at_ms for at_ms in within if any(row.start_ms < at_ms < row.end_ms for row in held)]
    return beginning + held, chosen
