"""What a user recorded before they deleted all of it: the operation, from their tombstone on.

Owns the passes. The first goes over all conversations; those after it over what was left by the one before, less and less often; when nothing is left,
and no put that was under way can land any more, one goes over all again: only if it finds nothing is it done. One conversation that fails is left
for the next pass, and stops none after it. What a merge may have taken along beside a pass is looked for where that merge brought it (`taken_along`).
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from audiobus import Conversation
from audiobus.deletions import set_user_tombstone
from audiobus.errors import BusUnavailableError
from audiostore.errors import AudiostoreError
from storage_api.deletion.former_audio import FormerAudio
from storage_api.deletion.notes import Phase, Request, Result, Step
from storage_api.deletion.taken_along import merges, targets_since
from storage_api.deletion.users_conversations import conversations_of_user
from storage_api.errors import log_text
from storage_api.operations.turn import LaterError, LeaseLostError, Trouble, Turn, trouble_of
from storage_api.services import Services

SETTLED_MS: Final = 600_000
"""So long after the last note no put of before can be under way (`docs/conservation.md`)."""
AGAIN_MS: Final = 5_000
LONGEST_AGAIN_MS: Final = 300_000
"""How soon it is looked again at what was left: after twice as long each time."""
IN_A_ROW: Final = 3
"""So many conversations that fail one after the other, and may succeed later: it is the bucket, not they."""

Clock = Callable[[], Awaitable[int]]

log = logging.getLogger(__name__)


class UserAudio:
    """The kind of operation."""

    def __init__(self, services: Services, now_ms: Clock | None = None, settled_ms: int = SETTLED_MS) -> None:
        """`now_ms`: in place of Redis' clock, which all processes share."""
        self._services = services
        self._now_ms = now_ms
        self._settled_ms = settled_ms

    async def __call__(self, turn: Turn) -> Result:
        """Goes on from the step written down. LaterError as long as something has to be waited for."""
        request = msgspec.json.decode(turn.operation.request, type=Request)
        step = Step(changed_ms=request.before_ms)
        if turn.operation.step:
            step = msgspec.json.decode(turn.operation.step, type=Step)
        uid = turn.operation.uid

        async def redis_ms() -> int:
            return await self._services.bus.clock.ms(Conversation(uid, uid))

        now_ms = self._now_ms or redis_ms
        return await _Turn(self._services, turn, request, step, now_ms, self._settled_ms).run()


class _Turn:
    """One turn at it."""

    def __init__(
        self,
        services: Services,
        turn: Turn,
        request: Request,
        step: Step,
        now_ms: Clock,
        settled_ms: int,
    ) -> None:
        self._services = services
        self._turn = turn
        self._request = request
        self._step = step
        self._now_ms = now_ms
        self._settled_ms = settled_ms
        self._uid = turn.operation.uid
        self._trouble: Trouble | None = None
        """Of the first conversation that failed in this turn."""

    async def run(self) -> Result:
        """The rest of a pass and those that can follow at once. LaterError unless it is done."""
        # Pushers clear by it. It outlasts the operation, and a failover may have lost it.
        await set_user_tombstone(self._services.bus, self._uid, self._request.before_ms)
        step = self._step
        while True:
            if not step.began_ms:
                step.begin(await self._now_ms())
                if step.full:
                    step.merges = await merges(self._services.bus, self._uid, step.began_ms)
            settled = step.began_ms >= step.changed_ms + self._settled_ms
            await self._pass("checking" if step.full and settled else "deleting")
            await self._follow()
            step.began_ms = 0
            step.sure = step.clean and (settled if step.full else step.sure)
            if step.sure and not step.left:
                return step.result()
            step.rounds = step.rounds + 1 if step.left else 0
            now_ms = await self._now_ms()
            pause_ms = self._pause_ms(now_ms)
            if pause_ms <= 0:
                await self._save("checking")
                continue
            await self._save("waiting" if step.left else "settling", now_ms + pause_ms)
            raise LaterError(pause_ms, self._trouble)

    def _pause_ms(self, now_ms: int) -> int:
        step = self._step
        if not step.left:
            return step.changed_ms + self._settled_ms - now_ms
        if step.clean:
            return AGAIN_MS  # nothing that was met has to be waited for
        return min(LONGEST_AGAIN_MS, AGAIN_MS << min(step.rounds - 1, 10))

    async def _follow(self) -> None:
        """Leaves for the next pass where merges may have taken what this one was to find."""
        step, bus = self._step, self._services.bus
        now_ms = await self._now_ms()
        # Before it is asked for what was taken along: what is begun in between is asked for next time, too.
        now = await merges(bus, self._uid, now_ms)
        out_of = None if step.full else step.looking
        targets = await targets_since(bus, self._uid, step.merges, now_ms, out_of=out_of)
        if targets is None:
            step.clean = False
            targets = []
        for cid in targets:
            step.follow(cid)
        step.merges = now

    async def _pass(self, phase: Phase) -> None:
        """The rest of the pass under way. BusUnavailableError, StoreError: it goes on with the next turn."""
        step = self._step
        if step.full:
            conversations = await conversations_of_user(self._services, self._uid)
        else:
            conversations = [Conversation(self._uid, cid) for cid in step.looking]
        ids = [one.cid for one in conversations]
        failed: list[Exception] = []

        async def save() -> None:
            await self._save(phase)

        step.passed(ids)
        for conversation in conversations:
            if conversation.cid <= step.after:
                continue
            former = FormerAudio(self._services, conversation, self._request, step, self._now_ms)
            try:
                await former.delete(save)
            except (BusUnavailableError, LeaseLostError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever the matter is with one, those after it go on; it is told, and tried again
                failed.append(error)
                step.failed += 1
                step.leave(conversation.cid)
                self._tell(conversation, error)
            else:
                failed.clear()
            step.after = conversation.cid
            step.passed(ids)
            await self._save(phase)
            if len(failed) >= IN_A_ROW and all(_may_pass(one) for one in failed):
                raise failed[-1]

    def _tell(self, conversation: Conversation, error: Exception) -> None:
        if self._trouble is None:
            self._trouble = trouble_of(error)
        log.warning(
            "a conversation's audio cannot be deleted: tried again",
            extra={"conversation_id": conversation.cid, "reason": log_text(error)},
            exc_info=None if isinstance(error, AudiostoreError) else error,
        )

    async def _save(self, phase: Phase, waits_until_ms: int | None = None) -> None:
        await self._turn.save(self._step, self._step.progress(phase, waits_until_ms))


def _may_pass(error: Exception) -> bool:
    return isinstance(error, AudiostoreError) and error.retryable
