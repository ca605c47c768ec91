"""The errors of listen, one tree.

ListenError
├── BadHandshakeError bytes that are no request, or a request for a WebSocket that is none
├── RefusedError      a handshake that is not taken: HTTP status, code, close code, and when to try again
│   └── NotOursError  its token or ticket is none that was ever given out
├── BadAudioError     a message that is no audio of the codec, or of no channel: counted, left out
└── WrongRateError    AAC of another rate than the client said: the socket ends
"""

from typing import Literal

from listen import close_codes
from listen.messages import ErrorCode

Reason = Literal[
    "origin",
    "sockets",
    "sockets_of_user",
    "sockets_of_address",
    "handshakes",
    "failed_auth",
    "tickets_of_user",
    "sessions_of_user",
    "draining",
    "redis_full",
    "bad_request",
    "too_slow",
]
"""Why a handshake, a request for a ticket, or a session is refused, where the public code does not say it."""


class ListenError(Exception):
    """The root of this package's errors."""


class BadHandshakeError(ListenError):
    """What came is no HTTP request (RFC 9112), or no opening handshake (RFC 6455 §4.2.1)."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


class BadAudioError(ListenError):
    """A binary message that is not what it should be. The session goes on without it."""


class WrongRateError(ListenError):
    """AAC whose header names a rate that does not go with `sample_rate`. No sample of it could be given its time."""


class RefusedError(ListenError):
    """A handshake that is refused. `status` for who sees HTTP, `close_code` for who sees only WebSockets."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        *,
        retry_after_s: int | None = None,
        close_code: int | None = None,
        reason: Reason | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code: ErrorCode = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.close_code = close_code or close_codes.OF_STATUS[status]
        self.reason: str = reason or code
        """What `refused_total` counts it as: the client sees less of why than an operator must."""


class NotOursError(RefusedError):
    """A handshake whose token or ticket proves nothing. One that has expired once proved something: it is not this."""
