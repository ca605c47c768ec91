"""Where a session stands, and how it, or its part in one conversation, ends.

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


@dataclass(slots=True)
class Parting:
    """From what the session parts: from its conversation, on the way to the next one, or from its client."""

    ending: Ending | None = None
    """None while the socket is to stay."""
    asked: bool = False
    """The `AskToStore` under way is the one that ends the session."""
    over: bool = False
    """That one was answered: the session cannot be resumed any more."""
    hurry: bool = False
    """Nobody waits for the bucket: the client did not ask for this end, or has left, or this server must go."""

    def end(self, code: int, asks: AskReason | None) -> None:
        """The socket shall be closed. The first code counts; that it is urgent may come later."""
        self.hurry = self.hurry or asks is None
        self.ending = self.ending or Ending(code, asks)

    def asks(self, phase: Phase) -> AskReason | None:
        """Why everything shall be stored, once it is safe; None where the session may be resumed."""
        return self.ending.asks if phase is Phase.CLOSING and self.ending else "switch"
