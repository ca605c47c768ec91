"""Which bucket is the first and which the second, as all pushers of one Redis have it.

Moving home deletes in the second bucket what the first has. Two pushers that have the two the other way round, as in the middle of a rolling change,
would each delete what the other relies on, and the audio were in neither. So each notes the roles of its buckets before it moves anything, and moves nothing
where another has noted others. Owns these notes; they are forgotten a day after the last pusher that has them so.
"""

from typing import Final

from audiobus.bucket_roles import role_key
from audiobus.bus import Bus

KEPT_MS: Final = 24 * 3_600_000
"""Longer than any process is paused, and comes back to delete what it had compared."""


class Roles:
    """Those of the buckets at these addresses."""

    def __init__(self, bus: Bus, first: str, second: str) -> None:
        self.complaint = ""
        """What an operator must hear; empty where nobody contradicts."""
        self._bus = bus
        self._notes = {
            role_key(bus, first): b"first",
            role_key(bus, second): b"second",
        }

    async def agreed(self) -> bool:
        """Notes them; whether no other pusher has them otherwise. Says what to do where one has (`complaint`).

        Raises:
            BusUnavailableError: nobody can tell.
        """
        for key, role in self._notes.items():
            noted = await self._bus.command("GET", key)
            if noted is None:
                await self._bus.command("SET", key, role, "NX", "PX", KEPT_MS)
                noted = await self._bus.command("GET", key)
            if noted != role:
                self.complaint = (
                    f"other pushers have, or had within a day, the {role.decode()} bucket as another one: nothing is moved home. Give all the same "
                    "TAPEDECK_STORE_URL and TAPEDECK_FALLBACK_STORE_URL; if they are meant to change places, stop every pusher that has the "
                    f"old ones, and delete {' and '.join(self._notes)} in Redis"
                )
                return False
        for key in self._notes:
            await self._bus.command("PEXPIRE", key, KEPT_MS)
        self.complaint = ""
        return True
