"""The address of Redis, taken apart: one server, a cluster, or a master that sentinels know. Pure.

    redis://[user:password@]host[:port][/db]                                   rediss:// for TLS, unix:///path
    redis+cluster://[user:password@]host[:port][,host[:port]…]                 rediss+cluster://
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db]   rediss+sentinel://

What redis-py takes as options after `?` is taken here too; `sentinel_username` and `sentinel_password` are the sentinels' own.
No text of an error holds a password.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from audiobus.errors import BadUrlError

SCHEMES: Final = "redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://"
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_OURS: Final = ("sentinel_username", "sentinel_password")


class Kind(Enum):
    """What answers at an address."""

    SINGLE = "single"
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


_KINDS: Final = {
    "redis": Kind.SINGLE,
    "rediss": Kind.SINGLE,
    "unix": Kind.SINGLE,
    "redis+cluster": Kind.CLUSTER,
    "rediss+cluster": Kind.CLUSTER,
    "redis+sentinel": Kind.SENTINEL,
    "rediss+sentinel": Kind.SENTINEL,
}


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """One address."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    """The server; where the cluster is asked first; or the sentinels."""
    service: str
    """What the sentinels call the master; empty for the others."""
    tls: bool
    options: dict[str, Any] = field(default_factory=dict, repr=False)
    """What redis-py takes: `username`, `password`, `db`, `ssl_ca_certs` and the like."""
    sentinel_options: dict[str, Any] = field(default_factory=dict, repr=False)
    """`username` and `password` of the sentinels, and the TLS options, which are the same for both."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address in a URL.

        Raises:
            BadUrlError: no scheme that this package knows, no host, no service, or an option that does not parse.
        """
        parts = urlsplit(text)
        kind = _KINDS.get(parts.scheme)
        if kind is None:
            raise BadUrlError(f"an address of Redis that begins with {parts.scheme!r}: it must be {SCHEMES}")
        path = [part for part in parts.path.split("/") if part]
        service = ""
        if kind is Kind.SENTINEL:
            if not path:
                raise BadUrlError(
                    f"{parts.scheme}://: the master's name is missing, as in host:26379/mymaster"
                )
            service, *path = path
            if path and not path[0].isdigit():
                raise BadUrlError(
                    f"{parts.scheme}://: after the master's name comes the number of the database"
                )
        hosts = () if parts.scheme == "unix" else _hosts(parts, kind)
        query = parse_qsl(parts.query)
        plain = parts._replace(
            scheme=parts.scheme.partition("+")[0],
            netloc=_first_host(parts.netloc),
            path=parts.path if kind is Kind.SINGLE else "/" + "/".join(path),
            query=urlencode([pair for pair in query if pair[0] not in _OURS]),
        )
        try:
            options: dict[str, Any] = dict(parse_url(plain.geturl()))
        except ValueError as error:
            raise BadUrlError(f"{parts.scheme}://: {error}") from error
        for one in ("host", "port", "connection_class"):
            options.pop(one, None)
        sentinel = {name: value for name, value in options.items() if name.startswith("ssl_")}
        sentinel |= {name.removeprefix("sentinel_"): value for name, value in query if name in _OURS}
        return cls(kind, hosts, service, parts.scheme.startswith("rediss"), options, sentinel)


def _first_host(netloc: str) -> str:
    user, at, hosts = netloc.rpartition("@")
    return user + at + hosts.partition(",")[0]


def _hosts(parts: SplitResult, kind: Kind) -> tuple[tuple[str, int], ...]:
    default = SENTINEL_PORT if kind is Kind.SENTINEL else REDIS_PORT
    named = parts.netloc.rpartition("@")[2].split(",")
    if len(named) > 1 and kind is Kind.SINGLE:
        raise BadUrlError(f"{parts.scheme}://: one host, not {len(named)}; a cluster is redis+cluster://")
    found = []
    for name in named:
        one = urlsplit(f"//{name}")
        try:
            host, port = one.hostname, one.port
        except ValueError as error:
            raise BadUrlError(f"{parts.scheme}://: {name!r}: {error}") from error
        if not host:
            raise BadUrlError(f"{parts.scheme}://: a host is missing")
        found.append((host, port or default))
    return tuple(found)
