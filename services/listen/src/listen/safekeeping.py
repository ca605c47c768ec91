"""One open session's way into Redis: appends, acks, what is stored, and the hints to whoever stores.

Owns the outbox, what is under way to Redis for it, and the doubt whether Redis still has what it confirmed: each answer tells, and
before a session ends it is looked at once. An ack is made from Redis' answer, and of nothing else. Must not know phases or client
messages.
"""

from collections.abc import Callable
from typing import Final, Literal, Self

from audiobus import (
    Appended,
    AppendRequest,
    Conversation,
    EntryId,
    Misplaced,
    Opened,
    Replaced,
    Standing,
)
from listen import messages
from listen.actions import (
    Action,
    Append,
    AskReason,
    AskToStore,
    Count,
    Due,
    Left,
    LookStored,
    Lost,
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

Course = Literal["on", "again", "open", "back"]
"""How it goes on after an answer: well; from where Redis stands, which has lost something; the socket opens its own session again; the
client must come back."""
Command = Literal["append", "ask", "look"]


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
        resumes: bool = False,
    ) -> None:
        """Keeps safe what the session `opened` gives out.

        `batch_ms` of audio is a batch: whenever so much more waits, a hint is given. A conversation that has audio is looked at
        after `due_ms`, at the latest. `resumes`: the client can send again what Redis lost and this process no longer has.
        """
        self._resumes = resumes
        self._batch_ms = batch_ms
        self._due_ms = due_ms
        self.outbox = Outbox(EntryId(opened.epoch, opened.offset))
        self._conversation = conversation
        self._owner = owner
        self._patience = patience
        # What is stored of a resumed session is read at once; a fresh one has nothing yet.
        self._settlement = Settlement(0 if opened.resumed else now_ms)
        self._under_way: dict[str, EntryId | None] = {}
        """Which commands wait for their answer, and what Redis had confirmed then; None: it is known by now that it lost some of it."""
        self._checking = False
        """The look under way, or the next one, is the one before the end."""
        self._checked = False
        """That one found everything in its place."""
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
            resumes=terms.dialect == "v1",
        )

    @property
    def epoch(self) -> int:
        """The session's epoch."""
        return self.outbox.newest.epoch

    @property
    def done(self) -> bool:
        """Whether everything put here is safe, and nothing is under way."""
        return self.outbox.empty and not self._under_way

    @property
    def sure(self) -> bool:
        """Whether the session may end: what is not in the bucket was seen in Redis (`check`)."""
        return self._checked or self.outbox.acked <= self.outbox.stored

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
        acked, stored, written = self.outbox.acked, self.outbox.stored, self.outbox.written
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
            if may_try and "ask" not in self._under_way and self._settlement.ask(written, now_ms):
                out.append(self.ask("finalize", now_ms, ends=False))
        if "look" not in self._under_way and self._settlement.look(acked, stored, now_ms):
            out.append(self._look())
        return out

    def check(self, now_ms: int) -> Action:
        """Looks once more, before the session ends, whether Redis still has what it confirmed."""
        self._checking = True
        self._patience.trying(now_ms)
        return self._look()

    def ask(self, reason: AskReason, now_ms: int, *, ends: bool) -> Action:
        """Notes in Redis that everything shall be stored; with `ends` the session is over."""
        self._under_way["ask"] = self.outbox.newest
        self._patience.trying(now_ms)
        return AskToStore(self._conversation.cid, reason, ends, self.outbox.newest)

    def ack(self) -> list[Action]:
        """What the client may drop, and what is stored. Nothing is said while that is not in Redis: it is being written again."""
        return [] if self.outbox.rewriting else [self._ack()]

    def _ack(self) -> Action:
        # A chunk whose append was answered to nobody may be stored before it is known to be safe.
        acked = self.outbox.acked
        return SendText(messages.ack(self._conversation.cid, acked, min(acked, self.outbox.stored)))

    def appended(self, answer: Appended, now_ms: int) -> list[Action]:
        """Redis has confirmed the chunk, and only now the client hears so."""
        self._under_way.pop("append", None)
        self._checked = False
        self._patience.worked()
        ready = self.outbox.appended(answer)
        self._settlement.told(now_ms)
        out = [Count("appended_samples", ready.chunk.samples), *self.ack()]
        if answer.entries <= NEARLY_EMPTY:
            out.append(Due(self._conversation.cid, now_ms + self._due_ms))
        batches = answer.waiting_samples // (self._batch_ms * 48)
        if batches > self._batches_waiting:
            out.append(Ready(self._conversation.cid, "audio"))
        self._batches_waiting = batches
        return out

    def refused(self, what: Command, answer: Replaced | Misplaced) -> Course:
        """Redis has answered that this socket is not, or not there, where it thought. How it goes on."""
        told = self._under_way.pop(what, None)
        self._patience.worked()
        if what == "ask":
            self._settlement.unasked()
        if what != "append" and (told is None or "append" in self._under_way):
            return "again"  # it is known by now, or the append's own answer will tell
        if isinstance(answer, Replaced) or answer.newest is None or answer.newest.epoch < self.epoch:
            # Nobody owns it, or who came earlier: then Redis has lost that this socket came. Or who came later: `stale` follows.
            return "open"
        self._doubt()
        if self.outbox.misplaced(answer.newest, gaps=not self._resumes):
            return "again"
        self.outbox.gone(answer.newest.offset if answer.newest.epoch == self.epoch else None)
        return "back"

    def reopened(self, answer: Opened) -> Course:
        """Redis knows the socket as owner again. How it goes on."""
        self._doubt()
        newest = EntryId(answer.epoch, answer.offset)
        if answer.resumed and newest == self.outbox.newest:
            return "again"
        if answer.resumed and self.outbox.misplaced(newest, gaps=not self._resumes):
            return "again"
        self.outbox.gone(answer.offset if answer.resumed else answer.previous_offset)
        return "back"

    def asked(self) -> None:
        """It stands in Redis that everything shall be stored."""
        self._under_way.pop("ask", None)
        self._patience.worked()

    def last_words(self) -> list[Action]:
        """What the client hears when its session is over: answers that it still waits for, and the last ack."""
        answers = self._settlement.give_up(self.outbox.stored)
        return [*(SendText(messages.finalized(offset, stored=done)) for offset, done in answers), self._ack()]

    def losses(self, about_samples: Callable[[int], int]) -> list[Action]:
        """What Redis lost since this was asked last. `about_samples` says how much audio so many bytes were."""
        lost, self.outbox.lost_bytes = self.outbox.lost_bytes, 0
        if not lost:
            return []
        upto = self.outbox.lost_upto
        where = Lost(self._conversation.cid, self.epoch, upto - lost, upto)
        return [Count("lost_samples", about_samples(lost)), where]

    def left(self) -> list[Action]:
        """The session ends here: from now on somebody else looks whether Redis keeps what it confirmed."""
        outbox = self.outbox
        if outbox.appended_bytes <= 0:
            return []
        cid, epoch, samples = self._conversation.cid, self.epoch, outbox.appended_samples
        return [Left(cid, epoch, outbox.acked, outbox.stored, outbox.appended_bytes, samples)]

    def looked(self, answer: Standing, now_ms: int) -> Course:
        """What is stored, and where Redis stands. How it goes on."""
        known = self._under_way.get("look")
        self.outbox.settled(answer.settled, answer.dead_offset)
        if known is None or (answer.newest is not None and answer.newest >= known):
            self._under_way.pop("look", None)
            self._settlement.looked(now_ms)
            if self._checking or self.done:
                self._patience.worked()
            self._checked, self._checking = self._checking and known is not None, False
            return "on"
        self._settlement.failed(now_ms)  # again soon: until it is in its place
        self._checking = False
        return self.refused("look", Misplaced(answer.newest))

    def unavailable(self, what: str, now_ms: int) -> None:
        """Redis did not answer a command."""
        self._under_way.pop(what, None)
        if what == "ask":
            self._settlement.unasked()
        if what == "look":
            self._settlement.failed(now_ms)
        if what != "look" or self._checking:
            self._patience.failed(now_ms)

    def _doubt(self) -> None:
        """Redis lost what it had confirmed: what it was asked before that tells nothing."""
        self._under_way = dict.fromkeys(self._under_way)
        self._checked = False
        self._settlement.unasked()

    def _look(self) -> Action:
        self._under_way["look"] = self.outbox.newest
        return LookStored(self._conversation.cid, self.epoch)

    def _append(self, ready: ReadyChunk, now_ms: int) -> Action:
        newest = self.outbox.newest
        self._under_way["append"] = newest
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
