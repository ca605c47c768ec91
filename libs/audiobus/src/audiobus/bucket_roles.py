"""What pushers that have two buckets note of each: whether it is the first or the second (`pusher.roles` notes it). Changes nothing."""

import hashlib

from audiobus.bus import Bus


def role_key(bus: Bus, address: str) -> str:
    """Where the role of the bucket at this address is noted: the key says nothing about it."""
    return bus.keys.homecoming_role(hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16])


async def has_another(bus: Bus, address: str) -> bool:
    """Whether pushers have, or had within a day, another bucket beside the one at this address. BusUnavailableError."""
    return bool(await bus.command("EXISTS", role_key(bus, address)))
