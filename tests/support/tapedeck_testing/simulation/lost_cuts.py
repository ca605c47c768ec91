"""Cuts that Redis lost: their names, and since when nobody knows of them any more.

A put that was under way for such a cut may land after somebody has looked into the bucket, and cut the same audio elsewhere. Nobody can know of it
then, so it lies in two objects, and is played once (docs/decisions/0009). Owns which objects these may be; an object that was there when
Redis lost its cut is none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from audiobus.cut import decode_cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tapedeck_testing.simulation.redis_model import RedisModel

CONV: Final = b"td:conv:"


class LostCuts:
    """Of one world."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        """Name of the object -> when its cut was lost, by the loop's clock."""

    def lost(self, names: Iterable[str], now_s: float) -> None:
        """Nobody knows of them from now on."""
        for name in names:
            self._since_s.setdefault(name, now_s)

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
