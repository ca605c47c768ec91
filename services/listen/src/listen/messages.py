"""The JSON texts of the protocol: the client's parsed, the server's made.

Parsing is tolerant as the protocol asks: unknown types and fields are nothing, malformed JSON is an error that does not end
the session. Must not decide anything.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

ErrorCode = Literal[
    "bad_json",
    "bad_mark",
    "bad_audio",
    "bad_parameter",
    "not_ready",
    "too_big",
    "unauthorized",
    "token_expired",
    "forbidden",
    "storing_off",
    "conversation_deleted",
    "merging",
    "replaced",
    "limit",
    "unavailable",
    "internal",
]
UsageState = Literal["near", "exceeded"]
AWAY: Final = "the buffer is away: try again later"
NOT_SAFE: Final = "not everything could be made safe in time: resume"
REPLACED: Final = "a newer session has taken this conversation over"
BAD_CONVERSATION_ID: Final = "`conversation_id` must be an id: [A-Za-z0-9][A-Za-z0-9._@-]{0,127}"
KEEPALIVE_S: Final = 20
KEEPALIVE_BYTES: Final = 2
"""In the plain dialect a binary message of at most this is no audio."""
MAX_ID_LENGTH: Final = 128
"""What is longer is no id, and is not kept."""
MAX_MESSAGE_BYTES: Final = 64 * 1024
"""Of any message, text or binary. It bounds what parsing costs, too: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The next payload byte was captured then; None where `at_ms` is no whole number."""

    at_ms: int | None


@dataclass(frozen=True, slots=True)
class SwitchConversation:
    """What follows belongs to this conversation; None where the message names none."""

    conversation_id: str | None


@dataclass(frozen=True, slots=True)
class Finalize:
    """Store what is here now."""


@dataclass(frozen=True, slots=True)
class CloseSession:
    """The end."""


@dataclass(frozen=True, slots=True)
class AuthFirst:
    """The first message on `/v4/web/listen`."""

    token: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A keepalive, or a type that is not known."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """No JSON object."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooBig:
    """Over the limit: not looked at."""


ClientMessage = Mark | SwitchConversation | Finalize | CloseSession | AuthFirst | Nothing | Malformed | TooBig


def parse_client_text(text: str) -> ClientMessage:  # noqa: PLR0911 - one for each message of the page
    """What a text message of the client says."""
    if len(text) > MAX_MESSAGE_BYTES or len(text.encode()) > MAX_MESSAGE_BYTES:
        return TooBig()
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):  # the latter for deep nesting, long before it costs the stack
        return Malformed("a text message must be a JSON object")
    if not isinstance(message, dict):
        return Malformed("a text message must be a JSON object")
    match message.get("type"):
        case "mark":
            at_ms = message.get("at_ms")
            return Mark(at_ms if isinstance(at_ms, int) and not isinstance(at_ms, bool) else None)
        case "conversation":
            cid = message.get("conversation_id")
            return SwitchConversation(cid if isinstance(cid, str) and len(cid) <= MAX_ID_LENGTH else None)
        case "finalize":
            return Finalize()
        case "close":
            return CloseSession()
        case "auth":
            token = message.get("token")
            return AuthFirst(token) if isinstance(token, str) else Nothing()
        case _:
            return Nothing()


def ready(
    conversation_id: str, session: int, resume_offset: int, chunk_ms: int, previous_offset: int | None
) -> str:
    """The first message, and the answer to `conversation`."""
    fields: dict[str, Any] = {
        "type": "ready",
        "conversation_id": conversation_id,
        "session": str(session),
        "resume_offset": resume_offset,
        "chunk_ms": chunk_ms,
        "keepalive_s": KEEPALIVE_S,
    }
    if previous_offset is not None:
        fields["previous_offset"] = previous_offset
    return _text(fields)


def ack(conversation_id: str, offset: int, stored: int) -> str:
    """What is safe in Redis, and what is settled."""
    return f'{{"type":"ack","conversation_id":"{conversation_id}","offset":{offset},"stored":{stored}}}'


def finalized(offset: int, *, stored: bool) -> str:
    """The answer to `finalize`."""
    return _text({"type": "finalized", "offset": offset, "stored": stored})


def status(state: Literal["buffering", "ok"]) -> str:
    """How Redis is doing."""
    return _text({"type": "status", "state": state})


def usage(state: UsageState) -> str:
    """The daily limit: nine tenths of it are used, or all."""
    return _text({"type": "usage", "state": state})


def going_away(reconnect_after_ms: int) -> str:
    """This server is about to close with 1012."""
    return _text({"type": "going_away", "reconnect_after_ms": reconnect_after_ms})


def merging(target: str) -> str:
    """What a client is told whose conversation goes into that one: its tag."""
    return f"it is being merged into {target}"


def error(code: ErrorCode, message: str, retry_after_ms: int | None = None) -> str:
    """What was wrong."""
    fields: dict[str, Any] = {"type": "error", "code": code, "message": message}
    if retry_after_ms is not None:
        fields["retry_after_ms"] = retry_after_ms
    return _text(fields)


def _text(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))
