"""What goes over the wire as JSON to operators, as types (storage-api.md)."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from storage_api.ids import ID_PATTERN
from storage_api.wire import Moment

Id = Annotated[str, Meta(pattern=ID_PATTERN)]


class Buffer(msgspec.Struct, frozen=True, kw_only=True):
    """What of one conversation waits in Redis."""

    user_id: str
    conversation_id: str
    seconds: float
    """Audio in it."""
    bytes: int | None
    """Memory that it takes, about; null where the service may not ask for it."""
    entries: int
    oldest: Moment | None
    """When the oldest audio in it was made; null where it holds none."""
    dead_letters: int
    """Entries of the conversation that could not be stored."""
    state: Literal["waits", "being_stored", "failing", "deleted"]
    why: str
    """What the last try failed of, where it fails."""
    fails: int
    """Tries in a row that failed."""


class Buffers(msgspec.Struct, frozen=True, kw_only=True):
    """A page, what waits longest first."""

    buffers: list[Buffer]
    total: int
    """Conversations with something waiting, on all pages."""
    total_seconds: float
    """Audio in them."""
    unavailable: list[str]
    """Servers of a cluster that do not answer: what they hold is missing here."""
    next_page_token: str | None


class FlushBuffers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which: both for one conversation, none for all."""

    user_id: Id | UnsetType = UNSET
    conversation_id: Id | UnsetType = UNSET


class FlushAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    asked: int
    """Conversations that have something waiting: it is stored from now on."""
    unavailable: list[str]
    """Servers of a cluster that do not answer: what they hold was not asked for."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that could not be stored."""

    id: str | None
    """For `:retry`; null where it is no letter, but something else that lies there: nobody can store it."""
    user_id: str
    conversation_id: str
    entry: str
    """Its id in Redis, `<session>-<end offset>`; of what is no letter the beginning of its name."""
    seconds: float
    """Audio that was counted for it."""
    bytes: int
    reason: str
    buried_at: Moment | None
    start: Moment | None
    """Where its audio begins; null where that cannot be read."""
    parses: bool
    """Whether it can be read. Another try would then most likely succeed."""
    retry_asked_at: Moment | None
    """Since when another try is asked for; null where none is."""
    tries: int
    """Second tries that failed."""
    last_try: str
    """What is in the way of the one that is asked for, or what the last one failed of."""


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """A page, in the order of users, conversations and entries."""

    dead_letters: list[DeadLetter]
    unavailable: list[str]
    """Servers of a cluster that do not answer: what they hold is missing here."""
    next_page_token: str | None


class RetryAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Another try is asked for; the list tells what comes of it."""

    id: str
    retry_asked_at: Moment
