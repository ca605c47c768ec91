"""The watch over what holds at every moment: after each script ids never go back, once a second the books are in balance, and no audio has a time limit.

Owns the looking into the world's Redis and what was seen there last. What is right is `standing`'s and `history`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from audiobus.census import Balance
from audiobus.letter import read_letter
from tapedeck_testing.simulation.redis_values import Hash, Stream, Value
from tapedeck_testing.simulation.standing import Standing, stepped_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapedeck_testing.simulation.redis_model import RedisModel

CONV: Final = "td:conv:"
AUDIO: Final = b"td:audio:"
DEAD: Final = b"td:dead:"
FIELDS: Final = (b"newest", b"settled", b"in", b"cut", b"moved", b"dead")
SCRIPTS: Final = ("EVALSHA", "EVAL")


class Watch:
    """Sees every script of one Redis."""

    def __init__(self, model: RedisModel, note: Callable[[str], None]) -> None:
        """`note`: told of each problem when it comes up."""
        self._model = model
        self._note = note
        self._seen: dict[str, tuple[bytes | None, ...]] = {}
        self._lost = False
        """Whether Redis has lost writes."""
        self.problems: list[str] = []
        self.buried: set[str] = set()
        """Tags of conversations of which something was in the dead letters."""

    def look(self, args: Any) -> None:
        """After a script: nothing else writes what it watches over."""
        if len(args) < 4 or not str(args[3]).startswith(CONV):
            return
        key = args[3]
        conv = self._model.keys.data.get(key.encode())
        now = tuple(map(conv.get, FIELDS)) if isinstance(conv, dict) else (None,) * len(FIELDS)
        before = self._seen.get(key)
        if now == before:
            return
        self._seen[key] = now
        if now[-1] is not None:
            self.buried.add(key[len(CONV) + 1 : -1])
        after = Standing.read(*now[:-1])
        former = Standing.read(*before[:-1]) if before else Standing()
        for text in stepped_back(former, after, lost=self._lost):
            self._problem(f"{key}: {text}")

    def forget(self) -> None:
        """Redis has lost its last writes: everything may stand where it stood before."""
        self._seen.clear()
        self._lost = True

    def once_a_second(self) -> None:
        """Nothing that holds audio has a time limit, and everything that was received is somewhere."""
        keys = self._model.keys
        for key in keys.expires:
            if key.startswith((AUDIO, DEAD)):
                self._problem(f"{key.decode()} has a time limit")
        for key, conv in keys.data.items():
            if key.startswith(CONV.encode()) and isinstance(conv, dict):
                tag = key[len(CONV) :]
                balance = _balance(conv, keys.data.get(AUDIO + tag), keys.data.get(DEAD + tag))
                if balance.difference or balance.dead != int(conv.get(b"dead", 0)):
                    self._problem(f"{key.decode()} is out of balance by {balance.difference}: {balance}")

    def _problem(self, text: str) -> None:
        if text not in self.problems:
            self._note(text)
            self.problems.append(text)


def _balance(conv: Hash, audio: Value | None, dead: Value | None) -> Balance:
    """Its numbers, with what really waits and what really is dead."""
    rows = audio.rows if isinstance(audio, Stream) else []
    letters = dead if isinstance(dead, dict) else {}
    received, stored, deleted = (int(conv.get(name, 0)) for name in (b"in", b"out", b"deleted"))
    return Balance(
        received,
        stored,
        sum(int(fields[3]) for _, fields in rows if fields[0] == b"c"),
        sum(read_letter(id_, letter).samples for id_, letter in letters.items()),
        deleted,
    )
