"""What the storage API answers, as values: each with the API's own fields and types. What this version does not know is ignored."""

from typing import Literal

import msgspec

AudioFileFormat = Literal["ogg", "wav", "pcm"]


class Conversation(msgspec.Struct, frozen=True):
    """One conversation; times are RFC 3339."""

    conversation_id: str
    start: str | None = None
    end: str | None = None
    recorded_seconds: float = 0
    stored_seconds: float = 0
    bytes: int = 0
    chunks: int = 0
    protection: str = "standard"
    live: bool = False


class ConversationPage(msgspec.Struct, frozen=True):
    """A page of conversations."""

    conversations: tuple[Conversation, ...]
    next_page_token: str | None = None


class Chunk(msgspec.Struct, frozen=True):
    """A stretch that is stored as one object, or (`live`) still waits."""

    timestamp: str
    """Unix seconds with three decimals."""
    start: str
    end: str
    duration_ms: int
    path: str | None = None
    size: int | None = None
    is_batch: bool = False
    format: str | None = None
    protection: str | None = None
    state: str = "stored"
    overlapped: bool = False
    """Another recording has its time, or part of it, and is played there."""
    unreadable: str | None = None
    """Why it can't be read; its time is a gap then."""


class Gap(msgspec.Struct, frozen=True):
    """Time in which nothing was recorded."""

    start: str
    end: str
    duration_ms: int


class ChunkPage(msgspec.Struct, frozen=True):
    """A page of chunks, and the gaps among them."""

    chunks: tuple[Chunk, ...]
    gaps: tuple[Gap, ...] = ()
    next_page_token: str | None = None


class Flushed(msgspec.Struct, frozen=True):
    """What a flush stored."""

    stored_seconds: float


class Problem(msgspec.Struct, frozen=True):
    """An error answer (RFC 9457)."""

    title: str = ""
    detail: str = ""
    code: str = ""
    request_id: str = ""
