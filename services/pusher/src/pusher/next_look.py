"""When a conversation is looked at next, at the latest. Pure.

It stays on `due` as long as its buffer exists, so that neither a lost hint nor a crashed process can leave audio waiting.
"""

from audiobus.state import ConversationState

ACTIVE_MS = 60_000
LONGEST_MS = 600_000
"""Whatever stands on `due` for later than this was put there by a clock that is ahead."""


def next_look_ms(state: ConversationState, until_ms: int | None, now_ms: int) -> int:
    """Unix ms of the next look.

    Args:
        state: as it was when there was nothing to cut.
        until_ms: when there will be something to cut; None where the buffer is empty.
        now_ms: unix ms.
    """
    if until_ms is not None:
        return max(now_ms, min(until_ms, now_ms + ACTIVE_MS))
    quiet_ms = max(0, now_ms - state.last_ms)
    return now_ms + min(LONGEST_MS, max(ACTIVE_MS, quiet_ms))


def moved(before: ConversationState, after: ConversationState, batch_ms: int) -> bool:
    """Whether there is more to do since the buffer was read: a batch is full now, storing was asked for, or objects must not stay."""
    if after.gone and not before.gone:
        return True
    if (before.newest, before.flush) == (after.newest, after.flush):
        return False
    return after.flush is not None or after.waiting_samples >= batch_ms * 48
