"""The text messages of the `tapedeck.v1` dialect as values: server's parsed, client's built.

Must not do: I/O, or decide what follows from a message.
"""

import msgspec

from tapedeck.errors import ProtocolError


class Ready(msgspec.Struct, frozen=True):
    """A session is open; audio may be sent from `resume_offset` on."""

    conversation_id: str
    session: str
    resume_offset: int = 0
    previous_offset: int | None = None
    """Up to where the session that was asked for, and could not be resumed, is safe; None: not known."""
    chunk_ms: int = 1000
    keepalive_s: float = 20


class Ack(msgspec.Struct, frozen=True):
    """Payload bytes of the session that are safe (`offset`), and settled (`stored`)."""

    conversation_id: str
    offset: int
    stored: int = 0


class Finalized(msgspec.Struct, frozen=True):
    """The answer to `finalize`: up to which byte, and whether all of that is in the bucket."""

    offset: int
    stored: bool


class Status(msgspec.Struct, frozen=True):
    """`buffering`: keep what is not acked; `ok`: all well again."""

    state: str


class Usage(msgspec.Struct, frozen=True):
    """The daily limit: `near`, `exceeded`."""

    state: str


class GoingAway(msgspec.Struct, frozen=True):
    """This server closes soon, with 1012."""

    reconnect_after_ms: int = 1000


class Error(msgspec.Struct, frozen=True):
    """What was wrong; comes before every abnormal close, and alone where the session goes on."""

    code: str
    message: str = ""
    retry_after_ms: int | None = None


class Unknown(msgspec.Struct, frozen=True):
    """A type that this version does not know: to be ignored."""

    type: str


ServerMessage = Ready | Ack | Finalized | Status | Usage | GoingAway | Error | Unknown

_TYPES: dict[str, type[Ready | Ack | Finalized | Status | Usage | GoingAway | Error]] = {
    "ready": Ready,
    "ack": Ack,
    "finalized": Finalized,
    "status": Status,
    "usage": Usage,
    "going_away": GoingAway,
    "error": Error,
}


class _Typed(msgspec.Struct, frozen=True):
    type: str


def parse(text: str) -> ServerMessage:
    """One server message. Raises ProtocolError where it is no JSON object of the form that its type has."""
    try:
        kind = msgspec.json.decode(text, type=_Typed).type
        known = _TYPES.get(kind)
        return Unknown(kind) if known is None else msgspec.json.decode(text, type=known)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ProtocolError(f"the server sent a message that can't be read: {error}") from error


def mark(at_ms: int) -> str:
    """The next payload byte was captured at this unix time."""
    return _text({"type": "mark", "at_ms": at_ms})


def conversation(conversation_id: str) -> str:
    """What follows belongs to another conversation."""
    return _text({"type": "conversation", "conversation_id": conversation_id})


def finalize() -> str:
    """Store what is here now."""
    return _text({"type": "finalize"})


def keepalive() -> str:
    """Nothing to send."""
    return _text({"type": "keepalive"})


def close() -> str:
    """The end."""
    return _text({"type": "close"})


def _text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
