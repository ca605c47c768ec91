"""Single-use tickets: for browsers, which cannot put a header on a WebSocket.

A ticket stands in Redis for 30 s under the hash of itself, and is taken by GETDEL: whoever comes second finds nothing.
"""

import hashlib
import secrets
from typing import Final

import msgspec

from audiobus import Bus
from servicekit.auth import Claims

TICKET_S: Final = 30
TICKET_LENGTH_LIMIT: Final = 128


class Tickets:
    """Issues and takes tickets."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def issue(self, claims: Claims) -> str:
        """A new ticket for who has proved this.

        Raises:
            BusUnavailableError: Redis is away.
        """
        ticket = secrets.token_urlsafe(32)
        await self._bus.command("SET", self._key(ticket), msgspec.json.encode(claims), "EX", TICKET_S)
        return ticket

    async def take(self, ticket: str) -> Claims | None:
        """Who it was issued to; None for one that is unknown, expired or used.

        Raises:
            BusUnavailableError: Redis is away.
        """
        if len(ticket) > TICKET_LENGTH_LIMIT:
            return None
        value = await self._bus.command("GETDEL", self._key(ticket))
        return msgspec.json.decode(value, type=Claims) if value else None

    def _key(self, ticket: str) -> str:
        return f"{self._bus.keys.prefix}ticket:{hashlib.sha256(ticket.encode()).hexdigest()}"
