"""Connections to Redis, single or cluster, with every hidden retry off.

redis-py retries ten times by default; a reply lost after the server had done its work then does the work twice. Writers
here never retry below the script that makes a repeat harmless. Readers that block have a client of their own, whose socket
time-out lies above the blocking time.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import hiredis
from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from audiobus.errors import (
    BadUrlError,
    BusContractError,
    BusFullError,
    BusRefusedError,
    BusUnavailableError,
)
from audiobus.refusals import Refusals

Client: TypeAlias = "Redis | RedisCluster"

CONNECT_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 32
WAIT_MS = 1000
"""How long `WAIT` gives the replicas."""

_UNAVAILABLE = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ReadOnlyError,
    redis_errors.ClusterDownError,
    redis_errors.ClusterError,
    redis_errors.MasterDownError,
    redis_errors.TryAgainError,
    redis_errors.MovedError,
    redis_errors.RedisClusterException,
    OSError,
)
_UNAVAILABLE_CODES = re.compile(
    # Redis 6.2 wraps what a script met: "Error running script (call to …): @user_script:12: -OOM command not allowed …".
    r"(?:^|[ -])(?:MISCONF|NOREPLICAS|LOADING|MASTERDOWN|BUSY|UNBLOCKED|READONLY|CLUSTERDOWN) "
)
_REFUSED = (
    redis_errors.AuthenticationError,
    redis_errors.AuthorizationError,
    redis_errors.ExternalAuthProviderError,
    redis_errors.AuthenticationWrongNumberOfArgsError,
    redis_errors.NoPermissionError,
)
_REFUSED_TEXT = re.compile(
    # Redis up to 7.0 names no code for what a script may not do. One that wants a password reads no long command at all
    # ("Protocol error: unauthenticated multibulk length"), and closes the connection.
    r"(?:^|[ -])(?:NOAUTH|NOPERM|WRONGPASS) |The user executing the script can't |Protocol error: unauthenticated "
    # The cluster client wraps what it met at the last node ("Redis Cluster cannot be connected. …: Authentication required.").
    r"|: (?:Authentication required|invalid username-password pair|AUTH <password> called without any password)"
)
_refusals = Refusals()
"""One for the process: it is one cause, whoever meets it."""

_FULL_CODE = re.compile(r"(?:^|[ -])OOM ")


class PackingConnection(Connection):
    """A connection whose commands hiredis packs, as redis-py's own blocking client has it: a tenth of what Python takes."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """The command as RESP. Its name may have two words (`SCRIPT LOAD`), each a part of its own on the wire."""
        name, *rest = args
        words = name.split() if isinstance(name, bytes) else name.encode().split()
        return [hiredis.pack_command((*words, *rest))]


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turns redis-py's errors into this package's, once."""
    try:
        yield
    except (*_UNAVAILABLE, redis_errors.ResponseError) as error:
        raise translate_response(doing, error) from error
    except (AttributeError, RuntimeError) as error:
        # The cluster client, when a refresh of the topology closes a connection under a command (redis-py 8.1:
        # "'NoneType' object has no attribute 'writelines'").
        raise BusUnavailableError(f"{doing}: the connection was closed under it: {error}") from error


def translate_response(doing: str, error: Exception) -> BusUnavailableError | BusContractError:
    """The error of this package for one that redis-py raised, or read as a reply."""
    if isinstance(error, _REFUSED) or _REFUSED_TEXT.search(str(error)):
        _refusals.met(f"{doing}: {error}", time.monotonic())
        return BusRefusedError(f"{doing}: {error}")
    if isinstance(error, redis_errors.OutOfMemoryError) or _FULL_CODE.search(str(error)):
        return BusFullError(f"{doing}: {error}")
    if isinstance(error, _UNAVAILABLE) or _UNAVAILABLE_CODES.search(str(error)):
        return BusUnavailableError(f"{doing}: {error}")
    return BusContractError(f"{doing}: {error}")


def is_cluster(url: str) -> bool:
    """Whether the address names a Redis Cluster.

    Raises:
        BadUrlError: no scheme that this package knows.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss", "unix"):
        return False
    if scheme in ("redis+cluster", "rediss+cluster"):
        return True
    raise BadUrlError(f"{url!r}: the scheme must be redis://, rediss:// or redis+cluster://")


def open_client(url: str, *, blocking_s: float = 0.0) -> Client:
    """A client that connects on first use.

    Args:
        url: `redis://`, `rediss://`, `unix://`, `redis+cluster://` or `rediss+cluster://`.
        blocking_s: the longest that one of its commands blocks on purpose; its socket time-out lies above.
    """
    timeout = COMMAND_TIMEOUT_S + blocking_s
    if is_cluster(url):
        parts = urlsplit(url)
        plain = urlunsplit((parts.scheme.removesuffix("+cluster"), *parts[1:]))
        cluster: RedisCluster = RedisCluster.from_url(
            plain,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
        )
        return cluster
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            connection_class=PackingConnection,  # TLS and unix sockets have a class of their own, which packs in Python
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            max_connections=MAX_CONNECTIONS,
            timeout=COMMAND_TIMEOUT_S,
        )
    except ValueError as error:
        raise BadUrlError(f"{url!r}: {error}") from error
    return Redis.from_pool(pool)
