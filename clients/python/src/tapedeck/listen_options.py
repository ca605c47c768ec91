"""What a recording client is told, and what it tells about itself."""

from collections.abc import Callable
from dataclasses import dataclass

from tapedeck.listen_outbox import Keep

Token = str | Callable[[], str]
"""A user's token; or what returns the newest one, asked before every connection."""


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """How a client behaves."""

    conversation_id: str | None = None
    """Record into this conversation; None: the server makes one."""
    keep: Keep = "acked"
    """`stored`: survive the loss of Redis too, by keeping everything until it is in the bucket."""
    limit_bytes: int = 16 * 1024 * 1024
    """Payload kept in memory; beyond it `send` waits."""
    patience_s: float | None = None
    """Give up when no socket could be opened for so long; None: never."""
    first_patience_s: float | None = None
    """Give up so soon where the very first attempt was refused, as nobody listens there, and none has worked since; None: as above."""
    first_pause_s: float = 0.3
    """The first pause before a reconnect is up to this long; later ones grow."""
    longest_pause_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a recording stands; bytes are payload bytes since the client began."""

    conversation_id: str | None
    session: str | None
    given_bytes: int
    sent_bytes: int
    acked_bytes: int
    stored_bytes: int
    connected: bool
    unreachable: str | None
    """Why the last attempt to open a socket failed; None before the first, and once one is open."""
    buffering: bool
    """The server says that Redis is slow or away."""
    usage: str | None
    """`near`, `exceeded`, or None: the daily limit."""
    reconnects: int
    resumed: int
    begun_anew: int
    lost_bytes: int
    last_error: str | None
    """The code of the last error that the server sent."""
