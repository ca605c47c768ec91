"""Cuts that Redis lost: their names, and since when nobody knows of them any more.

A put that was under way for such a cut may land after somebody has looked into the bucket, and cut the same audio elsewhere. Nobody can know of it
then, so it lies in two objects, and is played once (docs/decisions/0009). Owns which objects these may be. An object that was there when
Redis lost its cut is none of them, nor is one whose cut the new master has too, or writes down in its turn: it knows that name. What was
stored damaged for a cut that was lost stays, whenever it came: only who carries a cut out gives its name up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from audiobus.cut import decode_cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tapedeck_testing.simulation.redis_model import RedisModel

CONV: Final = b"td:conv:"
KEY: Final = 3
"""Where the first key stands in the words of a script's call."""


class LostCuts:
    """Of one world."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        """Name of the object -> when its cut was lost, by the loop's clock."""
        self._known: set[str] = set()
        """Names of which cuts stood in the present history of Redis since it began."""

    def fail_over(self, before: Iterable[str], after: Iterable[str], now_s: float) -> None:
        """Another history begins: its cuts are those of `after`, and of the others in `before` nobody knows from now on."""
        self._known = {*after}
        for name in before:
            self.stands_on_old(name, now_s)

    def stands(self, name: str) -> None:
        """Redis has a cut of that name: whatever lies there is met by whoever carries it out."""
        self._known.add(name)
        self._since_s.pop(name, None)

    def stands_on_old(self, name: str, now_s: float) -> None:
        """A master that was replaced has a cut of that name: nobody else knows of it, if the new one never had it."""
        if name not in self._known:
            self._since_s.setdefault(name, now_s)

    def lost(self, name: str) -> bool:
        """Whether nobody knows of its cut any more."""
        return name in self._since_s

    def landed_late(self, name: str, landed_s: float) -> bool:
        """Whether this object came to lie there when its cut was lost already."""
        return name in self._since_s and landed_s >= self._since_s[name]


def standing_cuts(model: RedisModel) -> set[str]:
    """The names of the objects that cuts stand for."""
    data = model.keys.data
    return {name for key, conv in data.items() if key.startswith(CONV) and (name := _name(conv))}


def standing_cut(model: RedisModel, key: bytes) -> str:
    """The name that the cut of this `td:conv` stands for; empty without one."""
    return _name(model.keys.data.get(key))


def _name(conv: Any) -> str:
    raw = conv.get(b"cut") if isinstance(conv, dict) else None
    return decode_cut(raw).name if raw else ""
