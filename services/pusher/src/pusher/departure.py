"""Leaving a conversation that has nothing to cut: on `due`, or off it, and only then without its lease.

Owns the order of these. `ask` and appends go on meanwhile, and their hints may already have met our lease: so whether something came is looked
at after the last write to `due`, in the step that gives the lease back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from audiobus.bus import QUIET_MS, Bus
from audiobus.conversation import Conversation
from audiobus.dead_letters import having
from audiobus.hints import Hints
from audiobus.state import ConversationState
from audiobus.turn import part
from pusher.lease import Held
from pusher.next_look import ACTIVE_MS, moved, next_look_ms
from pusher.usage_notes import UsageNotes


@dataclass(frozen=True, slots=True)
class Departure:
    """From any conversation."""

    bus: Bus
    hints: Hints
    usage: UsageNotes
    batch_ms: int
    now_ms: Callable[[], int]
    deleted: Callable[[Conversation], Awaitable[object]]
    """What is done under a tombstone."""

    async def leave(
        self,
        conversation: Conversation,
        state: ConversationState,
        until_ms: int | None,
        held: Held,
        *,
        buffered: bool,
    ) -> bool:
        """Sees to `due`. True where more came meanwhile: the lease is still held then.

        Args:
            conversation: which.
            state: as it was read before it was decided that there is nothing to cut.
            until_ms: when there will be, unix ms; None where the buffer is empty.
            held: its lease.
            buffered: whether it had a buffer then, be it empty.
        """
        if until_ms is None:
            await self.usage.note(self.bus, conversation, state.newest)
        now_ms = self.now_ms()
        at_ms = next_look_ms(state, until_ms, now_ms)
        if state.gone:
            at_ms = min(at_ms, now_ms + ACTIVE_MS)  # objects that must not stay are looked for
        elif until_ms is None and (not buffered or await self._is_forgotten(conversation, state, now_ms)):
            return await self._off_due(conversation, at_ms, now_ms)
        await self.hints.push_due(conversation, at_ms)
        if state.again is not None:
            after = await self.bus.state(conversation)  # its dead letters come next, under the same lease
        else:
            stands = await part(self.bus, conversation, held.holder, state)
            if stands is None:
                held.given_back = True
                return False
            after = stands
        if moved(state, after, self.batch_ms):
            return True
        if after.newest != state.newest and at_ms > now_ms + ACTIVE_MS:
            await self.hints.due(conversation, now_ms + ACTIVE_MS)
        return False

    async def _is_forgotten(self, conversation: Conversation, state: ConversationState, now_ms: int) -> bool:
        return (
            state.cut is None
            and now_ms - state.last_ms >= QUIET_MS
            and await self.bus.forget(conversation, now_ms)
        )

    async def _off_due(self, conversation: Conversation, at_ms: int, now_ms: int) -> bool:
        """Nobody has to look at it any more."""
        if not await self.hints.leave(conversation, at_ms):
            return True
        # With dead letters it stays on its user's list, for no bucket may know of it.
        if not await having(self.bus, [conversation]):
            await self.bus.note_not_live(conversation)
        if (await self.bus.marks(conversation)).deleted:
            # Deleted, and swept by another, since the state was read: it stays on `due` until no put can be under way.
            await self.deleted(conversation)
        elif await self.bus.buffered(conversation):
            # Opened again just now; its own note may have come before ours.
            await self.bus.note_live(conversation, now_ms)
            await self.hints.due(conversation, at_ms)
        elif await self.bus.command("HEXISTS", self.bus.keys.conv(conversation), "gone"):
            # Noted since the state was read: the hint that goes with it may have come before it was taken off.
            await self.hints.due(conversation, now_ms)
        return False
