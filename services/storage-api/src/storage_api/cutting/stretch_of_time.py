"""`DELETE …/{cid}/audio?start&end`: a stretch of time, cut out of whatever holds it."""

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from storage_api.cutting.request import Choose, Chosen, delete_some
from storage_api.cutting.wanted import FOREVER, Wanted
from storage_api.parameters import Parameters


async def delete_stretch(request: Request) -> Response:
    """Deletes it; without `start` or `end`, from the beginning, or up to what is recorded by now. Empty, or under another name, each is 400."""
    return await delete_some(request, "deleted audio", _read)


def _read(query: QueryParams) -> Choose:
    start, end = Parameters.and_no_others(query, ("start", "end")).window()
    wanted = Wanted(((start or 0, FOREVER if end is None else end),))
    return lambda _recording, _notes, _now_ms: Chosen(wanted)
