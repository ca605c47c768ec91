"""Whether anybody ever recorded into a conversation, as far as Redis knows: that a session was opened tells nothing."""

from audiobus import Bus, Conversation, ConversationState


async def recorded_into(bus: Bus, conversation: Conversation, state: ConversationState) -> bool:
    """Whether audio was received, was deleted, or lies in the dead letters; False also where only the bucket knows. `state`: the conversation's.

    BusUnavailableError.
    """
    if state.received_samples:
        return True
    keys = bus.keys
    told = keys.gone(conversation), keys.meant(conversation), keys.dead(conversation)
    return bool(await bus.command("EXISTS", *told))
