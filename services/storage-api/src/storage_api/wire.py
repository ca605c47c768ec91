"""What goes over the wire as JSON, as types (storage-api.md)."""

from typing import Literal

import msgspec
from starlette.responses import Response

Protection = Literal["standard", "enhanced"]


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation, as far as it is known."""

    conversation_id: str
    start: str
    """RFC 3339 UTC: the first sample."""
    end: str
    """The moment after the last one."""
    recorded_seconds: float
    """Audio that can be played, stored or waiting; without gaps."""
    stored_seconds: float
    """What of it is in the bucket."""
    bytes: int
    """Size of its objects."""
    chunks: int
    """Objects, and entries that wait."""
    protection: Protection
    live: bool
    """Somebody records into it, or audio waits to be stored."""


class Conversations(msgspec.Struct, frozen=True, kw_only=True):
    """A page, newest first."""

    conversations: list[Conversation]
    next_page_token: str | None


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """An object, or an entry of the live tail."""

    timestamp: str
    """Unix seconds with three decimals: where it starts."""
    start: str
    end: str
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
    overlapped: bool
    """Another recording has its time, or part of it, and is played there."""
    unreadable: str | None
    """Why it cannot be read; its time is a gap then."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Time in which nothing was recorded, or nothing that can be read."""

    start: str
    end: str
    duration_ms: int


class Chunks(msgspec.Struct, frozen=True, kw_only=True):
    """A page, in order of time."""

    chunks: list[Chunk]
    gaps: list[Gap]
    next_page_token: str | None


class Flushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a flush stored."""

    stored_seconds: float


def seconds(samples_48k: int) -> float:
    """Samples at 48 kHz as seconds, to the microsecond."""
    return round(samples_48k / 48_000, 6)


def json_response(content: msgspec.Struct, headers: dict[str, str] | None = None) -> Response:
    """200 with the struct as JSON; never kept by caches, for it may change with the next second."""
    all_headers = {"Cache-Control": "private, no-store", **(headers or {})}
    return Response(msgspec.json.encode(content), 200, all_headers, "application/json")
