"""How much audio a user sent, by UTC day (`td:usage`). Reads only; what is written there is `audiobus.usage`'s."""

from collections.abc import Sequence
from typing import Any

from audiobus.bus import Bus
from audiobus.connection import translate_response, translated
from audiobus.errors import BusUnavailableError
from audiobus.pipeline import execute
from audiobus.routed import Routed


async def used_by_day(bus: Bus, uid: str, days: Sequence[int]) -> list[int | None]:
    """Audio of each of these days, counted since 1970, in ms; None where Redis holds nothing of it, or nothing that it could add up.

    What open sockets took within the last minute may not be in it yet.

    Raises:
        BusUnavailableError: Redis does not answer.
    """
    if not days:
        return []
    keys = [bus.keys.usage(uid, day) for day in days]
    with translated("HVALS"):
        answers = await execute(bus.client, [Routed(key, ("HVALS", key)) for key in keys])
    found: list[int | None] = []
    for answer in answers:
        if isinstance(answer, Exception):
            error = translate_response("HVALS", answer)
            if isinstance(error, BusUnavailableError):
                raise error
            found.append(None)  # somebody put something else under that key
        else:
            found.append(sum(_ms(value) for value in answer) if answer else None)
    return found


def _ms(value: Any) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 20 else 0
