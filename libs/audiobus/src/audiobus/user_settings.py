"""What is set for a user, in `td:user`: read as it holds, whatever somebody wrote there by hand, and changed.

A field that nobody can follow counts as not set, as `listen` and the `usage` script have it, and is named. Of a protection level that this
build does not know, more is asked than it is known to give: it counts as `enhanced`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from audiobus.bus import Bus
from audiobus.errors import BusContractError
from audiobus.script import Argument, script

Level = Literal["standard", "enhanced"]

KEY: Final = "key"
"""Among the defects: what lies under the key is no hash."""
MAX_LIMIT_MS: Final = 2**53 - 1
"""What Lua counts exactly."""

_WHOLE: Final = re.compile(r"[0-9]{1,16}", re.ASCII)
_OFF: Final = ("0", "false")
_ON: Final = ("", "1", "true")


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What holds for a user."""

    protection: Level = "standard"
    store_audio: bool = True
    daily_limit_ms: int | None = None
    """None where the user has none of their own; 0 for no limit."""
    defects: tuple[str, ...] = ()
    """Fields that hold what cannot be followed, by name."""

    @classmethod
    def read(cls, rows: Iterable[tuple[bytes, bytes]]) -> "UserSettings":
        """Out of the fields of the hash. Others than the three are somebody else's."""
        fields = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in rows}
        level, stores = fields.get("protection", "standard"), fields.get("store_audio", "").lower()
        limit = fields.get("daily_limit_ms", "")
        limit_ms = int(limit) if _WHOLE.fullmatch(limit) and int(limit) <= MAX_LIMIT_MS else None
        wrong = {
            "protection": level not in ("standard", "enhanced"),
            "store_audio": stores not in (*_OFF, *_ON),
            "daily_limit_ms": limit_ms is None and limit != "",
        }
        return cls(
            protection="standard" if level == "standard" else "enhanced",
            store_audio=stores not in _OFF,
            daily_limit_ms=limit_ms,
            defects=tuple(name for name, is_wrong in wrong.items() if is_wrong),
        )


async def read_user_settings(bus: Bus, uid: str) -> UserSettings:
    """What is set for the user now.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    try:
        rows = await bus.command("HGETALL", bus.keys.user(uid))
    except BusContractError:
        return UserSettings(defects=(KEY,))
    return UserSettings.read(_pairs(rows))


async def change_user_settings(
    bus: Bus, uid: str, changes: Mapping[str, str | bool | int | None]
) -> UserSettings:
    """Sets these fields, by the names of `UserSettings`, or takes them away (None); the others stay. Answers all. What lies under the key and is no hash gives way.

    Raises:
        NotReplicatedError: it is set, but a failover could lose it. Set it again.
        BusUnavailableError: not known whether it is set. Set it again.
    """
    args: list[Argument] = []
    for name, value in changes.items():
        args += [name, "" if value is None else int(value) if isinstance(value, bool) else value]
    rows = await script("set_user").run(
        bus.client, [bus.keys.user(uid)], args, wait_replicas=bus.wait_replicas
    )
    return UserSettings.read(_pairs(rows))


def _pairs(rows: Any) -> Iterable[tuple[bytes, bytes]]:
    return rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
