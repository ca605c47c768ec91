"""What the operation that deletes a user's audio writes down: what was asked for, how far it is, and what came of it."""

from typing import Final

import msgspec

from audiobus import EntryId
from storage_api.wire import seconds

KIND: Final = "delete_user_audio"
LEFT: Final = 1_000
"""Conversations that are remembered to hold something still; where there are more, all are looked at again."""


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

    conversations: int
    """In this pass: all of the user's, or those that were not done with the one before."""
    conversations_done: int
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

    def begin(self, now_ms: int) -> None:
        """A pass: over what was left, where that is known, else over everything."""
        self.full = not 0 < len(self.left) <= LEFT
        self.looking = [] if self.full else self.left
        self.left, self.after, self.began_ms, self.clean = [], "", now_ms, True
        self.waiting = self.failed = 0
        if self.full:
            self.kept = self.letters = 0

    def leave(self, conversation_id: str) -> None:
        """This one must be looked at again."""
        self.clean = False
        if len(self.left) <= LEFT and conversation_id not in self.left[-1:]:
            self.left.append(conversation_id)

    def progress(self, conversation_ids: list[str]) -> Progress:
        """For people, of a pass over these."""
        return Progress(
            conversations=len(conversation_ids),
            conversations_done=sum(1 for one in conversation_ids if one <= self.after),
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
