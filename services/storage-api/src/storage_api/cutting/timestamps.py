"""`DELETE …/{cid}/chunks?timestamps=a,b`: the chunks or batches that start at these times, or hold them, each as a whole."""

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from storage_api.chunks import rows_at
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
