"""What a recording client does when a socket is refused or closed: the last table of the protocol page, as a function.

Must not do: I/O, wait, or draw random numbers.
"""

import errno
from dataclasses import dataclass

import msgspec

from tapedeck import listen_messages as wire
from tapedeck.errors import (
    DeletedError,
    ListenError,
    NotAcceptedError,
    NotAllowedError,
    ReplacedError,
    UnauthorizedError,
)
from tapedeck.storage_types import Problem

MAX_RETRY_AFTER_S = 300.0
"""However long a server says: the longest single pause."""


@dataclass(frozen=True, slots=True)
class Done:
    """The server has closed with 1000: everything is safe."""


@dataclass(frozen=True, slots=True)
class Again:
    """Connect again."""

    after_s: float | None = None
    """The pause that the server asked for; None: the client's own growing, jittered one."""
    new_token: bool = False
    """Only with another token than before."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The end, for this reason."""

    error: ListenError


Verdict = Done | Again | Stop

_GONE = {1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015}

_STOPS: dict[int, tuple[type[ListenError], str, str]] = {
    1002: (NotAcceptedError, "protocol error", ""),
    1003: (NotAcceptedError, "not supported", "choose another codec or sample rate"),
    1007: (
        NotAcceptedError,
        "not audio of the codec that was named",
        "check the codec and the framing: one packet a message",
    ),
    1008: (NotAllowedError, "not allowed", ""),
    1009: (NotAcceptedError, "too big", "send messages of at most 64 KiB"),
    4400: (NotAcceptedError, "bad parameter", "check the ids, codec, rate and channels"),
    4403: (NotAllowedError, "not allowed", "ask an operator whether storing is on for this user"),
    4404: (DeletedError, "the conversation has been deleted", "record into a new conversation"),
    4409: (ReplacedError, "a newer session has taken this conversation over, or it is being merged", ""),
}

_STATUS_AS_CODE = {400: 4400, 401: 4401, 403: 4403, 404: 4404, 409: 4409, 413: 1009, 429: 4429}


def of_close(
    code: int | None,
    error: wire.Error | None,
    going_away: wire.GoingAway | None,
) -> Verdict:
    """What follows from a close. `code` None: the connection broke without one.

    `error` is the last error message of that socket, `going_away` the server's announcement, where they came.
    """
    if code == 1000:
        return Done()
    pause_s = _pause_s(error)
    if code is None or code in _GONE:
        if going_away is not None and code in (None, 1001, 1005, 1006, 1012):
            pause_s = going_away.reconnect_after_ms / 1000
        return Again(pause_s)
    if code == 4401:
        return Again(pause_s, new_token=True)
    if code == 4429:
        return Again(pause_s)
    return Stop(_reason(code, error))


def of_refusal(status: int, retry_after: str | None, detail: str) -> Verdict:
    """What follows from an HTTP answer to the handshake that is no upgrade."""
    code = _STATUS_AS_CODE.get(status)
    pause_s = float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
    if pause_s is not None:
        pause_s = min(pause_s, MAX_RETRY_AFTER_S)
    if code == 4401:
        return Again(pause_s, new_token=True)
    if code == 4429 or status >= 500:
        return Again(pause_s)
    message = detail or f"the server answered with HTTP {status}"
    error = wire.Error(code="", message=message)
    return Stop(_reason(code if code is not None else 4400, error))


def nobody_listens(error: Exception) -> bool:
    """Whether the connection was refused. Where a name has several addresses asyncio joins their errors to one text."""
    return isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error)


def refusal_detail(body: bytes) -> str:
    """What an HTTP answer to the handshake says (RFC 9457); "" for a proxy's own page: the status says enough."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        return ""
    return problem.detail or problem.title


def unauthorized(error: wire.Error | None) -> UnauthorizedError:
    """The end of a client that has no other token."""
    said = f": {error.message}" if error is not None and error.message else ""
    return UnauthorizedError(
        f"the server does not take the token{said}",
        code=error.code if error is not None else "unauthorized",
        hint="get a new token (`tapedeck token` makes one for a system started with `tapedeck up`)",
    )


def _pause_s(error: wire.Error | None) -> float | None:
    if error is None or error.retry_after_ms is None:
        return None
    return min(max(error.retry_after_ms, 0) / 1000, MAX_RETRY_AFTER_S)


def _reason(code: int, error: wire.Error | None) -> ListenError:
    kind, text, hint = _STOPS.get(code, (NotAcceptedError, f"closed with code {code}", ""))
    if error is not None and error.message:
        text = f"{text}: {error.message}"
    if error is not None and error.code == "merging":
        hint = "when the merge is done, record into its target"
    return kind(
        f"the server ended the recording: {text}", code=(error.code if error else "") or str(code), hint=hint
    )
