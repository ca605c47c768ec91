"""Connections to Redis, be it one server, a sentinels' master or a cluster, with every hidden retry off.

redis-py retries ten times by default; a reply lost after the server had done its work then does the work twice. Writers
here never retry below the script that makes a repeat harmless. Readers that block have a client of their own, whose socket
time-out lies above the blocking time.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from redis import exceptions as redis_errors
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from audiobus.cluster import Cluster
from audiobus.errors import (
    BadUrlError,
    BusContractError,
    BusFullError,
    BusRefusedError,
    BusUnavailableError,
    NotReplicatedError,
)
from audiobus.packing import PackingConnection
from audiobus.pool import PromptPool
from audiobus.redis_url import Kind, RedisUrl
from audiobus.refusals import Refusals
from audiobus.sentinel import master_pool

Client: TypeAlias = "Redis | RedisCluster"

CONNECT_TIMEOUT_S = 2.0
COMMAND_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 32
MAX_NODE_CONNECTIONS = 512
"""To one node of a cluster: redis-py's pool does not wait there, it refuses what comes when all are in use."""

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
    except redis_errors.RedisError as error:
        # Bytes that are no RESP: a proxy speaks for a server that is away, or another service has its address now.
        raise BusUnavailableError(f"{doing}: what answered is no Redis: {error}") from error


def translate_response(doing: str, error: Exception) -> BusUnavailableError | BusContractError:
    """The error of this package for one that redis-py raised, or read as a reply."""
    if isinstance(error, NotReplicatedError):
        return NotReplicatedError(f"{doing}: {error}")
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
        BadUrlError: see `RedisUrl.parse`.
    """
    return RedisUrl.parse(url).kind is Kind.CLUSTER


def wrong_address(setting: str, url: str) -> Iterator[str]:
    """What is wrong with an address, one line at the most, by the name of its setting. Nothing is connected to, and no password is told."""
    try:
        address = RedisUrl.parse(url)
        # What redis-py makes of options it says only as it connects: each command would fail with it.
        kind = UnixDomainSocketConnection if "path" in address.options else Connection
        for options in (address.options, address.sentinel_options):
            (SSLConnection if address.tls else kind)(**options)
    except (BadUrlError, TypeError, ValueError, redis_errors.RedisError) as error:
        yield f"{setting}: {error}"


def open_client(url: str, *, blocking_s: float = 0.0) -> Client:
    """A client that connects on first use.

    Args:
        url: see `audiobus.redis_url`.
        blocking_s: the longest that one of its commands blocks on purpose; its socket time-out lies above.

    Raises:
        BadUrlError: the address cannot be used.
    """
    address = RedisUrl.parse(url)
    timeouts: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": COMMAND_TIMEOUT_S + blocking_s,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
    }
    if address.kind is Kind.CLUSTER:
        return _cluster(address, timeouts)
    if address.kind is Kind.SENTINEL:
        pool: BlockingConnectionPool = master_pool(
            address, wait_s=COMMAND_TIMEOUT_S, max_connections=MAX_CONNECTIONS, **timeouts
        )
        return Redis.from_pool(pool)
    pool = PromptPool.from_url(
        url,
        connection_class=PackingConnection,  # TLS and unix sockets have a class of their own, which packs in Python
        max_connections=MAX_CONNECTIONS,
        timeout=COMMAND_TIMEOUT_S,
        **timeouts,
    )
    return Redis.from_pool(pool)


def _cluster(address: RedisUrl, timeouts: dict[str, Any]) -> Cluster:
    common = {**timeouts, **address.options, **({"ssl": True} if address.tls else {})}
    try:
        return Cluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
            max_connections=MAX_NODE_CONNECTIONS,
            # A shard that is away must not stop the others; whether it does is the servers' own setting.
            require_full_coverage=False,
            # Each moved slot is noted by itself. redis-py would close every connection after five, under the commands that use them.
            reinitialize_steps=0,
            **common,
        )
    except (TypeError, redis_errors.RedisClusterException) as error:
        raise BadUrlError(f"redis+cluster://: {error}") from error
