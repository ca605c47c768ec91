"""The requests about users and for operators, once: arguments in, what is to be done out.

All raise StorageError, in the kinds that `tapedeck.errors` draws: BadRequestError as well for an empty name, before anything is sent.
"""

from collections.abc import Mapping
from datetime import date

from msgspec import UNSET, UnsetType

from tapedeck.errors import BadRequestError
from tapedeck.storage.calls import Call, call, segment, user_path
from tapedeck.storage.paging import Listed
from tapedeck.storage_types import (
    Buffer,
    BufferPage,
    DeadLetter,
    DeadLetterPage,
    FlushAsked,
    Protection,
    RetryAsked,
    Usage,
    UserSettings,
)


def settings(uid: str) -> Call[UserSettings]:
    """What is set for the user. Scope `users:admin`."""
    return call(UserSettings, "GET", user_path(uid, "/settings"))


def put_settings(
    uid: str,
    *,
    protection: Protection | None = None,
    store_audio: bool | None = None,
    daily_limit_ms: int | UnsetType | None = UNSET,
) -> Call[UserSettings]:
    """Change what is set for the user; what is not given stays as it is. Scope `users:admin`.

    `daily_limit_ms`: of audio a UTC day, 0 is no limit; None takes the user's own limit away, so that what holds for everybody holds for them again.
    """
    change = {"protection": protection, "store_audio": store_audio}
    body: dict[str, object] = {name: value for name, value in change.items() if value is not None}
    if daily_limit_ms is not UNSET:
        body["daily_limit_ms"] = daily_limit_ms
    return change_settings(uid, body)


def change_settings(uid: str, change: Mapping[str, object]) -> Call[UserSettings]:
    """The same with names and values as they come: the server rules which there are. Scope `users:admin`."""
    return call(UserSettings, "PUT", user_path(uid, "/settings"), body=change)


def usage(uid: str, *, first: date | None = None, last: date | None = None) -> Call[Usage]:
    """How much audio the user sent, by UTC day, `last` included; None: yesterday and today. Scope `users:admin`."""
    query = {"from": first.isoformat() if first else None, "to": last.isoformat() if last else None}
    return call(Usage, "GET", user_path(uid, "/usage"), query)


def buffers(*, page_size: int = 100, page_token: str | None = None) -> Listed[Buffer, BufferPage]:
    """What waits in Redis to be stored, the oldest first; `pages()` has the sums as well. Scope `ops:admin`."""
    return Listed(
        lambda token: call(BufferPage, "GET", "/v1/buffers", _page(page_size, token)),
        lambda page: page.buffers,
        page_token,
    )


def flush_buffers(*, uid: str | None = None, conversation_id: str | None = None) -> Call[FlushAsked]:
    """Ask for what waits to be stored now, of one conversation (both names) or of all (none). Scope `ops:admin`.

    Answers when it is asked for, not when it is stored.
    """
    if (uid is None) != (conversation_id is None):
        raise BadRequestError("uid and conversation_id belong together")
    body = {} if uid is None else {"user_id": uid, "conversation_id": conversation_id}
    return call(FlushAsked, "POST", "/v1/buffers:flush", body=body, again="refused")


def dead_letters(
    *, page_size: int = 100, page_token: str | None = None
) -> Listed[DeadLetter, DeadLetterPage]:
    """What could not be stored, with the reasons. Scope `ops:admin`."""
    return Listed(
        lambda token: call(DeadLetterPage, "GET", "/v1/dead-letters", _page(page_size, token)),
        lambda page: page.dead_letters,
        page_token,
    )


def retry_dead_letter(letter_id: str) -> Call[RetryAsked]:
    """Ask for another try at storing a dead letter; the list tells what comes of it. Scope `ops:admin`.

    ConflictError `not_retryable`: nobody can store it.
    """
    return call(RetryAsked, "POST", f"/v1/dead-letters/{segment(letter_id)}:retry", again="refused")


def _page(page_size: int, token: str | None) -> dict[str, str | None]:
    return {"page_size": str(page_size), "page_token": token}
