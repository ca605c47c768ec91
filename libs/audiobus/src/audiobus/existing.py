"""Which keys there are, asked for many at once."""

from collections.abc import Sequence
from typing import Final

from audiobus.bus import Bus
from audiobus.connection import translated
from audiobus.pipeline import execute
from audiobus.routed import Routed

TOGETHER: Final = 200
"""Commands in one go."""


async def existing(bus: Bus, keys: Sequence[str]) -> set[str]:
    """Those of these keys that there are. BusUnavailableError: Redis does not answer."""
    found: set[str] = set()
    for start in range(0, len(keys), TOGETHER):
        page = keys[start : start + TOGETHER]
        with translated("EXISTS"):
            answers = await execute(bus.client, [Routed(key, ("EXISTS", key)) for key in page])
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        found |= {key for key, there in zip(page, answers, strict=True) if there}
    return found
