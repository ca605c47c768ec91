"""Where a session stands, and how it ends.

opening -> open -> switching -> opening …        open, switching -> closing -> closed
"""

from dataclasses import dataclass
from enum import Enum, auto

from listen.actions import AskReason


class Phase(Enum):
    """Where a session stands."""

    OPENING = auto()
    OPEN = auto()
    SWITCHING = auto()
    """To another conversation: what came before is being made safe."""
    CLOSING = auto()
    """What came before is being made safe."""
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ends, once everything is safe."""

    code: int
    """The socket's close code; 1006 where the client has left."""
    asks: AskReason | None
    """Why everything shall be stored then; None where the session may be resumed."""
