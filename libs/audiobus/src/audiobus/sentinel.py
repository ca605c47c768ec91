"""A master that sentinels know: who it is now is asked whenever a connection is made.

Owns what a failover means for a pool: connections to the former master end with an error, which the caller sees as Redis being away,
and the next one leads to the new master. Nothing is retried here. As Redis' guide for clients of Sentinel has it, a server is asked
for its role before it is used: sentinels that were cut off may name a master that is none any more, and a replica would answer reads
with what it had.
"""

import math
from typing import Any, Final, cast

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff

from audiobus.packing import PackingConnection
from audiobus.redis_url import RedisUrl

SENTINEL_TIMEOUT_S: Final = 1.0
"""They answer from memory; one that hangs is passed over after this."""


class _MasterConnection(PackingConnection, SentinelManagedConnection):
    """To whoever is the master when it is made."""

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own signature
        """Says hello, and asks for the role."""
        await super().on_connect_check_health(check_health)
        await _must_be_master(self)


class _MasterTlsConnection(SentinelManagedSSLConnection):
    """The same over TLS, packed in Python."""

    async def on_connect_check_health(self, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 - redis-py's own signature
        """Says hello, and asks for the role."""
        await super().on_connect_check_health(check_health)
        await _must_be_master(self)


async def _must_be_master(connection: Connection) -> None:
    await connection.send_command("ROLE", check_health=False)
    try:
        role = await connection.read_response()
    except redis_errors.NoPermissionError:
        return  # a user without the right to ask: a replica will refuse what is written
    if bytes(role[0]) != b"master":
        raise redis_errors.ConnectionError(
            f"{connection.host}:{connection.port} is no master: a failover is under way"
        )


class MasterPool(SentinelConnectionPool, BlockingConnectionPool):
    """redis-py's pool of connections to a sentinels' master, but one that waits for a connection, as for a single server."""

    async def get_master_address(self) -> tuple[str, int]:
        """Who is the master now, as the first sentinel has it that answers and sees it up.

        Raises:
            MasterNotFoundError: none knows one, or none answers.
            AuthenticationError: those that answer refuse this process.
        """
        try:
            address: tuple[str, int] = await cast("Any", super()).get_master_address()
        except MasterNotFoundError as error:
            # redis-py's text holds its whole connections.
            about = f"no sentinel names a master {self.service_name!r} that is up"
            if "AuthenticationError" in str(error):
                raise redis_errors.AuthenticationError(
                    f"{about}: some refuse this process, see sentinel_username and sentinel_password in the address"
                ) from error
            raise MasterNotFoundError(about) from error
        return address

    async def aclose(self) -> None:
        """Closes its connections, and those to the sentinels."""
        await super().aclose()
        await self.sentinel_manager.aclose()


def master_pool(url: RedisUrl, *, wait_s: float, **connection: Any) -> MasterPool:
    """The pool of a client.

    Args:
        url: of kind `SENTINEL`.
        wait_s: how long to wait for a connection while all are in use.
        connection: what every connection to the master is made with.
    """
    timeout = min(SENTINEL_TIMEOUT_S, connection.get("socket_connect_timeout", math.inf))
    sentinels = cast("Any", Sentinel)(
        url.hosts,
        sentinel_kwargs={
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "ssl": url.tls,
            **url.sentinel_options,
        },
    )
    pool: MasterPool = cast("Any", MasterPool)(
        url.service,
        sentinels,
        connection_class=_MasterTlsConnection if url.tls else _MasterConnection,
        timeout=wait_s,
        **connection,
        **url.options,
    )
    return pool
