"""The sessions of a conversation that Redis knows, and how far each was received. Reads only."""

from audiobus import Bus, Conversation, ConversationState
from audiobus.bus import ENDS_KEPT_MS
from tapedeck.operators.where_ends import Session


async def sessions(
    bus: Bus, conversation: Conversation, state: ConversationState, now_ms: int
) -> list[Session]:
    """The newest one as it is in `state`, and those before it of which it is still known where they ended.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    if state.newest is None:
        return []
    position = state.position
    end_ms = None if position is None else position.run_start_ms + position.next_sample // 48
    run_start_ms = None if position is None else position.run_start_ms
    found = [Session(state.newest.epoch, state.newest.offset, end_ms, run_start_ms)]
    rows = await bus.command("HGETALL", bus.keys.conv(conversation))
    pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
    for name, value in pairs:
        kind, _, epoch = name.partition(b":")
        offset, _, at_ms = value.partition(b":")
        if kind != b"end" or not (epoch.isdigit() and offset.isdigit() and at_ms.isdigit()):
            continue
        # Names of deleted objects are known no longer than this either: then nothing would tell that they were deleted.
        if int(epoch) < state.newest.epoch and now_ms - int(at_ms) < ENDS_KEPT_MS:
            found.append(Session(int(epoch), int(offset)))
    return found
