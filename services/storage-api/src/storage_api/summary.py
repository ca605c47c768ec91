"""What a conversation is, in one line of a list. Pure: a recording and `now` in, the wire's type out."""

from typing import Final

from audiobus import ConversationState
from storage_api.moments import rfc3339
from storage_api.recording import Recording
from storage_api.wire import Conversation, Protection, seconds

RECORDING_MS: Final = 90_000
"""A session from which nothing came for this long has no socket any more (listen closes it)."""


def summary(recording: Recording, protection: Protection, now_ms: int) -> Conversation:
    """The conversation; it must not be empty. `protection` is its user's: what is sealed already makes it `enhanced` all the same."""
    timeline, objects = recording.timeline, recording.objects
    start_48k, end_48k = recording.extent_48k
    waits = bool(recording.waiting) or (recording.tail is not None and recording.tail.damaged)
    return Conversation(
        conversation_id=recording.conversation.cid,
        start=rfc3339(start_48k),
        end=rfc3339(end_48k),
        recorded_seconds=seconds(timeline.samples),
        stored_seconds=seconds(recording.stored.samples),
        bytes=sum(stored.size for stored in objects),
        chunks=len(objects) + len(recording.waiting) + len(recording.unheard),
        protection="enhanced" if any(stored.name.sealed for stored in objects) else protection,
        live=waits or (recording.tail is not None and is_recording(recording.tail.state, now_ms)),
    )


def is_recording(state: ConversationState, now_ms: int) -> bool:
    """Whether somebody records into it: its newest session is not over, and was heard of lately."""
    if state.newest is None or state.owner is None:
        return False
    return state.closed != state.newest.epoch and now_ms - state.last_ms < RECORDING_MS
