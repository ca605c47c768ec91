"""The pusher side: looks at the buffer now and then, cuts, builds, dies, and another one goes on, through pusher's own code."""

from dataclasses import dataclass

import msgspec

from audiobus.entry_id import EntryId
from audiobus.state import STATE_FIELDS, ConversationState, PreRoll
from audiostore.batch import MAX_BATCH_MS, MAX_RUNS
from pusher.arrived import Arrived
from pusher.batch_builder import Built, build
from pusher.cutter import Limits, ReadOn, Take, context_after, decide
from pusher.reason import Reason
from tapedeck_testing.seams.recorder import CONVERSATION, Tape


@dataclass(frozen=True, slots=True)
class Put:
    """One object."""

    data: bytes
    reason: Reason
    """Why it was cut."""


class Drainer:
    """Stores one tape."""

    def __init__(self, tape: Tape) -> None:
        self.case = tape.case
        self.chance = tape.case.chance
        self.puts: list[Put] = []
        self.kills = 0
        self._events = tape.events
        self._buffer: list[Arrived] = []
        self._settled: EntryId | None = None
        self._preroll: PreRoll | None = None
        self._limits = Limits(batch_ms=self.case.batch_ms, age_ms=self.case.age_ms)
        self._phase = self.chance.random()
        self._last_ms = 0

    def drain(self) -> list[Put]:
        """Everything, to the end."""
        for now_ms, what in self._events:
            if isinstance(what, Arrived):
                self._buffer.append(what)
                self._last_ms = now_ms
                if self.chance.random() < 0.5:
                    self._look(now_ms)
            elif what == "idle":
                self._look(now_ms)
            else:
                self._look(now_ms, flush=what)
        self._look(self._last_ms + 70_000)
        assert not self._buffer
        return self.puts

    def _look(self, now_ms: int, flush: str | None = None) -> None:
        asked = self._buffer[-1].id if self._buffer and flush else None
        while self._buffer:
            take = self._decide(now_ms, asked, flush)
            if take is None:
                return
            taken = self._buffer[: take.count]
            built = self._build(taken, take)
            while self.chance.random() < 0.2:
                # It dies after it has written the cut down, or after the put: another one makes the same object.
                self.kills += 1
                again = build(
                    CONVERSATION, list(taken), self._preroll, context_samples=context_after(take.reason)
                )
                assert again.data == built.data
                built = again
            if built.batch is not None:
                assert take.start_ms == built.batch.spans[0].start_ms
                assert len(built.batch.spans) <= MAX_RUNS
                assert take.end_ms is not None
                assert take.count == 1 or take.end_ms - take.start_ms <= MAX_BATCH_MS
                self.puts.append(Put(built.data, take.reason))
            self._buffer = self._buffer[take.count :]
            self._settled, self._preroll = take.last, built.preroll

    def _decide(self, now_ms: int, asked: EntryId | None, reason: str | None) -> Take | None:
        empty = ConversationState.from_values([None] * len(STATE_FIELDS))
        state = msgspec.structs.replace(
            empty,
            settled=self._settled,
            preroll=self._preroll,
            last_ms=self._last_ms,
            flush=asked,
            flush_reason=reason,
        )
        read = self.chance.randint(1, 96)
        while True:
            decision = decide(
                self._buffer[:read],
                state,
                more=read < len(self._buffer),
                now_ms=now_ms,
                limits=self._limits,
                phase=self._phase,
            )
            if not isinstance(decision, ReadOn):
                return decision if isinstance(decision, Take) else None
            read += 96

    def _build(self, taken: list[Arrived], take: Take) -> Built:
        return build(CONVERSATION, taken, self._preroll, context_samples=take.context_samples)
