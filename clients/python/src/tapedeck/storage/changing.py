"""The requests that store, delete and merge, and operations, once: arguments in, what is to be done out.

All raise StorageError, in the kinds that `tapedeck.errors` draws: BadRequestError as well for an empty name or a time that is none, before anything is sent.
"""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from tapedeck.errors import BadRequestError
from tapedeck.storage.calls import (
    Call,
    Moment,
    call,
    conversation_path,
    moment,
    moments,
    segment,
    several,
    user_path,
)
from tapedeck.storage.waiting import OperationProgress, Waiting
from tapedeck.storage_types import Deleted, Flushed, Operation

if TYPE_CHECKING:
    from tapedeck.storage.retries import Again

CLOCKS_APART_S = 60.0  # what is so long past here is past there, too
FLUSH_ANSWER_S = 45.0  # the server answers within 30 s


def flush(uid: str, conversation_id: str) -> Call[Flushed]:
    """Store what waits, now; answers when it is stored. UnavailableError `flush_timeout` after 30 s, while it goes on."""
    path = conversation_path(uid, conversation_id, ":flush")
    return call(Flushed, "POST", path, again="refused", answer_s=FLUSH_ANSWER_S)


def delete_conversation(uid: str, conversation_id: str) -> Call[Deleted]:
    """Delete the conversation, wherever it lies; nothing that is under way brings it back.

    NotFoundError: there is none (any more). ConflictError `merging`: a merge holds it.
    """
    return call(Deleted, "DELETE", conversation_path(uid, conversation_id), answer_s=120)


def delete_chunks(uid: str, conversation_id: str, timestamps: Iterable[Moment]) -> Call[Deleted]:
    """Delete the chunks or batches that begin at these times; a time inside a batch selects that batch. TypeError: one text.

    A second time it deletes nothing and says so, without an error. ConflictError `merging`: a merge holds the conversation.
    """
    given = moments(timestamps)
    if given is None:
        raise BadRequestError("at least one timestamp is needed")
    path = conversation_path(uid, conversation_id, "/chunks")
    return call(Deleted, "DELETE", path, {"timestamps": given}, answer_s=120)


def delete_stretch(
    uid: str, conversation_id: str, *, start: Moment | None = None, end: Moment | None = None
) -> Call[Deleted]:
    """Cut a stretch of time out of the conversation; it remains as a gap. One end may be left out, not both; an empty text is none.

    A second time it deletes nothing and says so, without an error. ConflictError `merging`: a merge holds the conversation.
    Without an `end` that is surely past it is never sent twice by itself: up to "now" would be further.
    """
    if "" in (start, end):
        raise BadRequestError("an empty time is none: leave it out to cut from the beginning, or to the end")
    query = {"start": moment(start), "end": moment(end)}
    if query["start"] is None and query["end"] is None:
        raise BadRequestError("start or end is needed; delete_conversation deletes all of it")
    path = conversation_path(uid, conversation_id, "/audio")
    again: Again = "always" if _surely_past(query["end"]) else "unsent"
    return call(Deleted, "DELETE", path, query, again=again, answer_s=120)


def _surely_past(at: str | None) -> bool:
    """Whether the server cannot take it for a moment to come, whichever clock is ahead."""
    if at is None:
        return False
    try:
        seconds = float(at)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(at).timestamp()
        except ValueError:
            return False
    return seconds < time.time() - CLOCKS_APART_S


def delete_user_audio(uid: str) -> Call[Operation]:
    """Delete everything that the user recorded up to now; later sessions are not touched. `wait` waits until it is done.

    Never sent twice by itself: "now" would be another.
    """
    return call(Operation, "DELETE", user_path(uid, "/audio"), again="unsent")


def merge(uid: str, sources: Iterable[str], target: str, *, delete_sources: bool = True) -> Call[Operation]:
    """One conversation, `target`, out of several; `wait` waits until it is done. The same request again is the same operation.

    TypeError: one text as `sources`. Sources that go are closed to devices until it is done. NotFoundError: one of them is unknown, and nothing has changed. ConflictError:
    another merge has one of them, or one has dead letters.
    """
    names = several(sources, "sources")
    body = {"sources": names, "target": target, "delete_sources": delete_sources}
    # With sources that stay, a second one copies what they recorded since.
    return call(
        Operation,
        "POST",
        user_path(uid, "/conversations:merge"),
        body=body,
        again="always" if delete_sources else "refused",
    )


def operation(operation_id: str) -> Call[Operation]:
    """How far an operation is. What is done is known for a week; NotFoundError after that."""
    return call(Operation, "GET", f"/v1/operations/{segment(operation_id)}")


def wait(
    operation: Operation | str,
    *,
    deadline_s: float | None = None,
    progress: OperationProgress | None = None,
) -> Waiting:
    """Wait until an operation is done: the operation as it ended. It is looked at after 0.2 s, and less often with time.

    `deadline_s`: seconds to wait at most, through outages as well; None: as long as it takes. `progress` is told the operation at each
    look. OperationFailedError: it failed, with `code` and `detail`. OperationPendingError: not done in time; it goes on.
    """
    return Waiting(operation if isinstance(operation, str) else operation.id, deadline_s, progress)
