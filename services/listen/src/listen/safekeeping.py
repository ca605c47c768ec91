"""One open session's way into Redis: appends, acks, what is stored, and the hints to whoever stores.

Owns the outbox and what is under way to Redis for it. An ack is made here, in `appended`, and nowhere else: from Redis'
answer. Must not know phases or client messages.
"""

from typing import Final, Self

from audiobus import Appended, AppendRequest, Conversation, EntryId, Misplaced, Opened
from listen import messages
from listen.actions import (
    Action,
    Append,
    AskReason,
    AskToStore,
    Count,
    Due,
    LookStored,
    Ready,
    SendText,
    Watch,
)
from listen.chunker import ReadyChunk
from listen.outbox import Outbox
from listen.pace import Pace
from listen.patience import Patience
from listen.settlement import Settlement
from listen.terms import Terms

NEARLY_EMPTY: Final = 2
"""Entries after an append into an empty buffer: the chunk, and the entry that opened the session."""


class Safekeeping:
    """What a session has in Redis, and what it has still to bring there."""

    def __init__(
        self,
        conversation: Conversation,
        owner: str,
        opened: Opened,
        patience: Patience,
        now_ms: int,
        *,
        batch_ms: int = 60_000,
        due_ms: int = 60_000,
    ) -> None:
        """Keeps safe what the session `opened` gives out.

        `batch_ms` of audio is a batch: whenever so much more waits, a hint is given. A conversation that has audio is looked at
        after `due_ms`, at the latest.
        """
        self._batch_ms = batch_ms
        self._due_ms = due_ms
        self.outbox = Outbox(EntryId(opened.epoch, opened.offset))
        self._conversation = conversation
        self._owner = owner
        self._patience = patience
        # What is stored of a resumed session is read at once; a fresh one has nothing yet.
        self._settlement = Settlement(0 if opened.resumed else now_ms)
        self._under_way: set[str] = set()
        """Which commands wait for their answer: append, ask, look."""
        self._pace = Pace()
        self._paced = False
        """The next chunk waits, as it is small and many went before it."""
        self._batches_waiting = 0
        """How many batches' worth of audio waited when a hint was given last."""

    @classmethod
    def begun(cls, terms: Terms, cid: str, opened: Opened, patience: Patience, now_ms: int) -> Self:
        """For a socket of these terms, and the conversation that it records into now."""
        return cls(
            Conversation(terms.uid, cid),
            terms.owner,
            opened,
            patience,
            now_ms,
            batch_ms=terms.batch_ms,
            due_ms=terms.due_ms,
        )

    @property
    def epoch(self) -> int:
        """The session's epoch."""
        return self.outbox.newest.epoch

    @property
    def done(self) -> bool:
        """Whether everything put here is safe, and nothing is under way that matters."""
        return self.outbox.empty and not self._under_way & {"append", "ask"}

    @property
    def quiet(self) -> bool:
        """Whether Redis answers, nothing is held up, and nobody asked for anything."""
        return not (self._patience.pause_ms or self._settlement.waits or self._paced)

    @property
    def unanswered(self) -> bool:
        """Whether a `finalize` waits for its answer."""
        return self._settlement.waits

    def watch(self, now_ms: int) -> list[Action]:
        """The session begins: somebody must look at it, whatever becomes of this process."""
        return [Watch(self._conversation.cid, now_ms + self._due_ms)]

    def put(self, chunks: list[ReadyChunk]) -> None:
        """More chunks, in order."""
        self.outbox.put(chunks)

    def finalize(self, offset: int, now_ms: int) -> None:
        """The client wants to know when everything up to `offset` is stored."""
        self._settlement.finalize(offset, now_ms)

    def advance(self, now_ms: int) -> list[Action]:
        """What can be done now: append, answer `finalize`, ask for storing, look at what is stored."""
        out: list[Action] = []
        acked, stored = self.outbox.acked, self.outbox.stored
        may_try = self._patience.may_try(now_ms)
        if may_try and "append" not in self._under_way and (ready := self.outbox.next) is not None:
            self._paced = not self._pace.may(ready.chunk.samples, now_ms)
            if not self._paced:
                self._pace.went(ready.chunk.samples)
                out.append(self._append(ready, now_ms))
        if self._settlement.waits:
            out += [
                SendText(messages.finalized(offset, stored=done))
                for offset, done in self._settlement.answers(stored, now_ms)
            ]
            if may_try and "ask" not in self._under_way and self._settlement.ask(acked, now_ms):
                out.append(self.ask("finalize", now_ms, ends=False))
        if "look" not in self._under_way and self._settlement.look(acked, stored, now_ms):
            self._under_way.add("look")
            out.append(LookStored(self._conversation.cid, self.epoch))
        return out

    def ask(self, reason: AskReason, now_ms: int, *, ends: bool) -> Action:
        """Notes in Redis that everything shall be stored; with `ends` the session is over."""
        self._under_way.add("ask")
        self._patience.trying(now_ms)
        return AskToStore(self._conversation.cid, reason, ends)

    def ack(self) -> Action:
        """What the client may drop, and what is stored."""
        # A chunk whose append was answered to nobody may be stored before it is known to be safe.
        acked = self.outbox.acked
        return SendText(messages.ack(self._conversation.cid, acked, min(acked, self.outbox.stored)))

    def appended(self, answer: Appended, now_ms: int) -> list[Action]:
        """Redis has confirmed the chunk, and only now the client hears so."""
        self._under_way.discard("append")
        self._patience.worked()
        ready = self.outbox.appended(answer)
        self._settlement.told(now_ms)
        out = [Count("appended_samples", ready.chunk.samples), self.ack()]
        if answer.entries <= NEARLY_EMPTY:
            out.append(Due(self._conversation.cid, now_ms + self._due_ms))
        batches = answer.waiting_samples // (self._batch_ms * 48)
        if batches > self._batches_waiting:
            out.append(Ready(self._conversation.cid, "audio"))
        self._batches_waiting = batches
        return out

    def refused(self) -> None:
        """Redis has answered that this socket is not, or not there, where it thought."""
        self._under_way -= {"append", "ask"}
        self._patience.worked()

    def asked(self) -> None:
        """It stands in Redis that everything shall be stored."""
        self._under_way.discard("ask")
        self._patience.worked()

    def last_words(self) -> list[Action]:
        """What the client hears when its session is over: answers that it still waits for, and the last ack."""
        answers = self._settlement.give_up(self.outbox.stored)
        return [*(SendText(messages.finalized(offset, stored=done)) for offset, done in answers), self.ack()]

    def looked(self, settled: EntryId | None, dead_offset: int | None, now_ms: int) -> list[Action]:
        """What is stored."""
        self._under_way.discard("look")
        self._settlement.looked(now_ms)
        self.outbox.settled(settled, dead_offset)
        return [self.ack()]

    def unavailable(self, what: str, now_ms: int) -> None:
        """Redis did not answer a command."""
        self._under_way.discard(what)
        if what == "look":
            self._settlement.failed(now_ms)
        else:
            self._patience.failed(now_ms)

    def misplaced(self, answer: Misplaced) -> bool:
        """Redis stands elsewhere. Whether it is known how to go on (`Outbox.misplaced`)."""
        return self.outbox.misplaced(answer.newest)

    def _append(self, ready: ReadyChunk, now_ms: int) -> Action:
        newest = self.outbox.newest
        self._under_way.add("append")
        self._patience.trying(now_ms)
        request = AppendRequest(
            conversation=self._conversation,
            owner=self._owner,
            before=newest,
            id=EntryId(newest.epoch, ready.end_offset),
            chunk=ready.chunk.encode(),
            samples=ready.chunk.samples,
            position=ready.position,
            now_ms=now_ms,
        )
        return Append(request, ready.chunk.at_ms)
