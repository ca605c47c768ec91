"""What goes over the wire as JSON, as types (storage-api.md)."""

from typing import Annotated, Literal

import msgspec
from starlette.responses import Response

Protection = Literal["standard", "enhanced"]
Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 UTC with milliseconds."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error (RFC 9457); some have further members."""

    type: str
    """`about:blank`: the title is the status' own phrase."""
    title: str
    status: int
    code: str
    """What programs decide by: it does not change."""
    detail: str
    """What people read: what was wrong, and what to do."""
    request_id: str = ""
    """For whoever runs the service: it is in the logs, too."""
    parameter: str = ""
    """Of `bad_parameter`: which one."""
    missing: int | msgspec.UnsetType = msgspec.UNSET
    """Of `incomplete`: how many chunks could not be read."""
    live: bool | msgspec.UnsetType = msgspec.UNSET
    """Of `incomplete`: whether what waits to be stored could be read."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation, as far as it is known."""

    conversation_id: str
    start: Moment
    """The first sample."""
    end: Moment
    """The moment after the last one."""
    recorded_seconds: float
    """Audio that can be played, stored or waiting; without gaps. In a list, of a conversation with more objects than a page opens (2,000 that nobody
    asked for lately, and 50,000 in all), what the names of its objects say: gaps inside of them count too, and what two of them hold counts twice."""
    stored_seconds: float
    """What of it is in the bucket, as exact as `recorded_seconds`."""
    bytes: int
    """Size of its objects."""
    chunks: int
    """As many as `…/chunks` lists: objects, entries that wait, and dead letters."""
    protection: Protection
    live: bool
    """Somebody records into it, or audio waits to be stored. Dead letters do not wait."""


class Conversations(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first."""

    conversations: list[Conversation]
    next_page_token: str | None


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """An object, an entry of the live tail, or a dead letter: an entry that could not be stored."""

    timestamp: str
    """Unix seconds with three decimals: where it starts. Of a `dead_letter`, or a `damaged` entry, the best that is known."""
    start: Moment
    end: Moment
    duration_ms: int
    """From start to end; gaps inside are in `gaps`."""
    path: str | None
    size: int | None
    is_batch: bool
    format: str
    """`ogg_opus`; `opus`: packets without Ogg, that wait or lie in an older object; `pcm_s16le`: raw, in an older one; `unknown` where
    nothing tells."""
    protection: Protection
    state: Literal["stored", "live"]
    """In the bucket, or in Redis."""
    overlapped: bool
    """Another recording has its time, or part of it, and is played there."""
    unreadable: str | None
    """Why it cannot be read; its time is a gap then. Of an object `no_key`, `damaged`, `not_a_batch`, `too_large` or `other`; `damaged` for an
    entry that does not parse, `dead_letter` for one that could not be stored."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Time in which nothing was recorded, or nothing that can be read."""

    start: Moment
    end: Moment
    duration_ms: int


class Chunks(msgspec.Struct, frozen=True, kw_only=True):
    """A page, in order of time."""

    chunks: list[Chunk]
    gaps: list[Gap]
    next_page_token: str | None


class RecordedStretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch without a long gap."""

    id: str
    """Stays while the recording goes on, and when what waits of it is stored."""
    start: Moment
    end: Moment
    recorded_seconds: float
    """Audio that can be played, without gaps."""
    timestamps: list[str]
    """Of its chunks, as they are in `…/chunks`; of one that reaches over a long gap in each stretch."""


class RecordedStretches(msgspec.Struct, frozen=True, kw_only=True):
    """All of a conversation, in order of time."""

    recordings: list[RecordedStretch]


class Flushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a flush stored."""

    stored_seconds: float


def seconds(samples_48k: int) -> float:
    """Samples at 48 kHz as seconds, to the microsecond."""
    return round(samples_48k / 48_000, 6)


def json_response(
    content: msgspec.Struct, headers: dict[str, str] | None = None, *, status: int = 200
) -> Response:
    """The struct as JSON; never kept by caches, for it may change with the next second."""
    all_headers = {"Cache-Control": "private, no-store", **(headers or {})}
    return Response(msgspec.json.encode(content), status, all_headers, "application/json")
