"""The watch over what holds at every moment, after each script that any process has run: ids never go back, and no audio has a time limit.

Owns the looking into the world's Redis and what was seen there last. What is right is `history`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tapedeck_testing.simulation.history import Standing, stepped_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapedeck_testing.simulation.redis_model import RedisModel

CONV: Final = "td:conv:"
AUDIO: Final = b"td:audio:"
FIELDS: Final = (b"newest", b"settled", b"in", b"cut")
SCRIPTS: Final = ("EVALSHA", "EVAL")


class Watch:
    """Sees every script of one Redis."""

    def __init__(self, model: RedisModel, note: Callable[[str], None]) -> None:
        """`note`: told of each problem when it comes up."""
        self._model = model
        self._note = note
        self._seen: dict[str, tuple[bytes | None, ...]] = {}
        self.problems: list[str] = []

    def look(self, args: Any) -> None:
        """After a command. Only scripts write what it watches over."""
        if args[0] not in SCRIPTS or len(args) < 4 or not str(args[3]).startswith(CONV):
            return
        key = args[3]
        conv = self._model.keys.data.get(key.encode())
        now = tuple(map(conv.get, FIELDS)) if isinstance(conv, dict) else (None,) * len(FIELDS)
        before = self._seen.get(key)
        if now == before:
            return
        self._seen[key] = now
        after = Standing.read(*now)
        for text in stepped_back(Standing.read(*before) if before else Standing(), after):
            self._problem(f"{key}: {text}")

    def forget(self) -> None:
        """Redis has lost its last writes: everything may stand where it stood before."""
        self._seen.clear()

    def limits(self) -> None:
        """Nothing that holds audio has a time limit."""
        for key in self._model.keys.expires:
            if key.startswith(AUDIO):
                self._problem(f"{key.decode()} has a time limit")

    def _problem(self, text: str) -> None:
        if text not in self.problems:
            self._note(text)
            self.problems.append(text)
