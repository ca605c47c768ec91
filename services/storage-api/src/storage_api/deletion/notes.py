"""What the operation that deletes a user's audio writes down: what was asked for, how far it is, and what came of it."""

from typing import Final, Literal, TypeAlias

import msgspec

from audiobus import EntryId
from storage_api.deletion.taken_along import Merges
from storage_api.moments import rfc3339_ms
from storage_api.wire import seconds

KIND: Final = "delete_user_audio"
LEFT: Final = 1_000
"""Conversations that are remembered to hold something still; where there are more, all are looked at again."""
Phase: TypeAlias = Literal["deleting", "waiting", "settling", "checking"]
"""What it is at: it deletes what it finds; something is left, and it is looked again at that; nothing is, but a put may be under way; it looks once more."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    before_ms: int
    """The user's tombstone, unix ms."""
    newest: dict[str, str]
    """By conversation that was live then, the id of its newest chunk."""

    def newest_ids(self) -> dict[str, EntryId]:
        """The last id from before the moment, by conversation; left out where nobody was recording, or it is not known."""
        ids = ((cid, EntryId.parse_or_none(text.encode())) for cid, text in self.newest.items())
        return {cid: entry_id for cid, entry_id in ids if entry_id is not None}


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is, for people."""

    phase: Phase
    conversations: int
    """All of the user's that were met so far."""
    conversations_done: int
    """Of these, those in which nothing was left, when they were looked at. Never goes back."""
    waiting: int
    """Conversations in which audio still waits to be cleared, by pushers, or a merge to end."""
    failed: int
    """Conversations that could not be seen to in this pass: tried again in the next."""
    deleted_objects: int
    deleted_seconds: float
    kept_objects: int
    """Hold audio from before and from after, or cannot be read, and were left as they are."""
    kept_dead_letters: int
    """Cannot be read, so that nobody knows of when they are: left as they are, for an operator."""
    waits_until: str | msgspec.UnsetType = msgspec.UNSET
    """RFC 3339 UTC: nothing is done before then, for `waiting` or `settling`; left out while it is at it."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Of what waited in Redis, pushers keep the account."""

    deleted_objects: int
    deleted_seconds: float
    kept_objects: int
    kept_dead_letters: int


class Step(msgspec.Struct, kw_only=True):
    """How far it is, for whoever goes on. Times are of Redis' clock."""

    after: str = ""
    """The pass has come up to this conversation."""
    began_ms: int = 0
    """When the pass began, unix ms; 0 where none is under way."""
    changed_ms: int = 0
    """When something was last found that had to go."""
    clean: bool = True
    """Whether the pass has found nothing so far."""
    sure: bool = False
    """Whether the last pass over all conversations found nothing when no put could be under way any more, nor did those after it. What is left then is
    only what merges took along beside them."""
    merges: Merges = msgspec.field(default_factory=Merges)
    """As of when the pass over all conversations began, or the last one ended: what merges took along since is not looked at yet."""
    full: bool = True
    """Whether the pass goes over all conversations, or over those that were left by the one before."""
    looking: list[str] = msgspec.field(default_factory=list)
    """These."""
    left: list[str] = msgspec.field(default_factory=list)
    """Where something waits or failed in this pass: at most one more than LEFT."""
    rounds: int = 0
    """Passes in a row that left something."""
    waiting: int = 0
    failed: int = 0
    kept: int = 0
    letters: int = 0
    objects: int = 0
    samples: int = 0
    total: int = 0
    """Conversations that were met,"""
    done: int = 0
    """and those of them in which nothing was left, at the most so far."""

    def begin(self, now_ms: int) -> None:
        """A pass: over what was left, where that is known, else over everything."""
        self.full = not 0 < len(self.left) <= LEFT
        self.looking = [] if self.full else sorted(self.left)
        self.left, self.after, self.began_ms, self.clean = [], "", now_ms, True
        self.waiting = self.failed = 0
        if self.full:
            self.kept = self.letters = 0

    def leave(self, conversation_id: str) -> None:
        """Something is left in this one: it must be looked at again."""
        self.clean = False
        self.follow(conversation_id)

    def follow(self, conversation_id: str) -> None:
        """This one must be looked at again: something may have come into it after it was."""
        if len(self.left) <= LEFT and conversation_id not in self.left:
            self.left.append(conversation_id)

    def passed(self, conversation_ids: list[str]) -> None:
        """The pass over these has come up to `after`."""
        ahead = sum(1 for one in conversation_ids if one > self.after)
        if self.full:
            self.total = max(self.total, len(conversation_ids))
        self.done = max(self.done, self.total - ahead - len(self.left))

    def progress(self, phase: Phase, waits_until_ms: int | None = None) -> Progress:
        """For people."""
        return Progress(
            phase=phase,
            waits_until=msgspec.UNSET if waits_until_ms is None else rfc3339_ms(waits_until_ms),
            conversations=self.total,
            conversations_done=self.done,
            waiting=self.waiting,
            failed=self.failed,
            deleted_objects=self.objects,
            deleted_seconds=seconds(self.samples),
            kept_objects=self.kept,
            kept_dead_letters=self.letters,
        )

    def result(self) -> Result:
        """What came of all."""
        return Result(
            deleted_objects=self.objects,
            deleted_seconds=seconds(self.samples),
            kept_objects=self.kept,
            kept_dead_letters=self.letters,
        )
