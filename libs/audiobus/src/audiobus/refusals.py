"""That Redis refuses this process, in the log: once in a while, however many commands meet it.

Owns how often. What counts as a refusal is `connection`'s. Must not look at a clock: `now_s` is given.
"""

import logging
from typing import Final

log = logging.getLogger(__name__)

EVERY_S: Final = 30.0


class Refusals:
    """Those of one process."""

    def __init__(self) -> None:
        self._said_s = float("-inf")
        self._unsaid = 0

    def met(self, text: str, now_s: float) -> None:
        """A command was refused; `text` is the server's answer, `now_s` of a clock that never goes back."""
        self._unsaid += 1
        if now_s - self._said_s < EVERY_S:
            return
        log.error(
            "Redis refuses this process: see its user, password and ACL; until then it counts as away",
            extra={"error": text, "refused": self._unsaid},
        )
        self._said_s = now_s
        self._unsaid = 0
