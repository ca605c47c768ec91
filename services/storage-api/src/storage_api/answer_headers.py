"""The headers of each answer, by route and status. Pure.

Owns those that many routes have alike; what a route has of its own is in its row. Not told are those of HTTP itself: `Content-Type`, which OpenAPI has a
place for, `Date`, `Server`, and whatever else carries an answer.
"""

from collections.abc import Mapping
from typing import Final

from servicekit.problem import REQUEST_ID_HEADER
from storage_api.row import Header, Media, Row

_REQUEST_ID: Final = Header(
    "Of the request where it sent a well-formed one, else a new one; it is in the logs"
)
_LENGTH: Final = Header("Bytes of the body")
_OF_JSON: Final = {"Cache-Control": Header("`private, no-store`"), "Content-Length": _LENGTH}
_OF_PROBLEMS: Final = {"Cache-Control": Header("`no-store`"), "Content-Length": _LENGTH}
_OF_STATUS: Final[Mapping[int, Mapping[str, Header]]] = {
    401: {"WWW-Authenticate": Header("`Bearer`; with `error` where a token was sent and is not good here")},
    429: {"Retry-After": Header("Seconds")},
    503: {"Retry-After": Header("Seconds")},
}


def answer_headers(row: Row, status: int) -> dict[str, Header]:
    """What answers of this status have. KeyError: the route has no such status."""
    if status not in row.statuses:
        raise KeyError(status)
    kind = row.answers.get(status)
    if status not in row.answers:
        found = {**_OF_PROBLEMS, **_OF_STATUS.get(status, {})}
    elif kind is None or isinstance(kind, Media):
        found = {}
    else:
        found = _OF_JSON
    return {REQUEST_ID_HEADER: _REQUEST_ID, **found, **row.headers.get(status, {})}
