"""What an attack is: what it does, and which answers are right.

An answer is a few words, as `peer.Heard` puts them: `close 1002`, `HTTP 400`, `open` (the socket serves on), `cut` (ended without
a close frame), an error's code behind. Where several are right, the first one is what the page or the RFC names.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tapedeck_testing.hostile.server import Server
from tapedeck_testing.hostile.vitals import MIB

PEAK_MIB: Final = 48
"""What any attack may cost beyond what was held before, unless it says otherwise."""

KEPT_MIB: Final = 12
"""For what an allocator keeps of a load that is over. What leaks shows in sockets, descriptors and tasks, too."""

Run = Callable[[Server], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One way to be hostile."""

    name: str
    run: Run
    """Does it once, against a server that is up; answers what became of it."""
    right: tuple[str, ...]
    """Right answers. One that ends in `*` stands for all that begin so."""
    times: int = 10
    """So many at once, so that what one leaves behind shows."""
    wire: bool = True
    """It needs no more than a WebSocket server: sinks can be compared."""
    waits: bool = False
    """It spends its time waiting: let it run beside the others."""
    long: bool = False
    """Only in long runs."""
    kept_bytes: int = KEPT_MIB * MIB
    """What the process may still hold when everybody is gone."""
    peak_bytes: int = PEAK_MIB * MIB
    """What the process may hold at most beyond what it held before."""

    def is_right(self, answer: str) -> bool:
        """Whether an answer is right."""
        return any(
            answer == right or (right.endswith("*") and answer.startswith(right[:-1])) for right in self.right
        )
