"""The address of Redis, taken apart: one server, a cluster, or a master that sentinels know. Pure.

    redis://[user:password@]host[:port][/db]                                   rediss:// for TLS, unix:///path
    redis+cluster://[user:password@]host[:port][,host[:port]…]                 rediss+cluster://
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db]   rediss+sentinel://

Options after `?` are `redis_options`'; `sentinel_username` and `sentinel_password` are the sentinels' own. No text of an error holds a password.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from redis.asyncio.connection import parse_url

from audiobus.errors import BadUrlError
from audiobus.redis_options import KNOWN, SENTINELS_OWN, check_options, database

SCHEMES: Final = "redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://"
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_PORT: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:\s]*)(:(?P<port>[0-9]{0,5}))?", re.ASCII)


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
_AT_LAST: Final = {
    Kind.SINGLE: re.compile(r"/?(?P<db>[^/]*)"),
    Kind.CLUSTER: re.compile(r"/?(?P<db>)"),
    Kind.SENTINEL: re.compile(r"/(?P<service>[^/]+)(/(?P<db>[^/]*))?/?"),
}
"""What follows the hosts."""


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
            BadUrlError: no scheme that this package knows, no host, no service, no such database, or an option that is not known or does not parse.
        """
        try:
            parts = urlsplit(text)
        except ValueError:  # its text has the whole address
            raise BadUrlError(
                "an address of Redis that cannot be read: percent-encode user and password"
            ) from None
        kind = _KINDS.get(parts.scheme)
        if kind is None:
            raise BadUrlError(f"an address of Redis that begins with {parts.scheme!r}: it must be {SCHEMES}")
        try:
            return cls._of(kind, parts)
        except BadUrlError as error:
            raise BadUrlError(f"{parts.scheme}://: {error}") from error.__cause__

    @classmethod
    def _of(cls, kind: Kind, parts: SplitResult) -> Self:
        of_unix, tls = parts.scheme == "unix", parts.scheme.startswith("rediss")
        query = parse_qsl(parts.query, keep_blank_values=True)
        if parts.fragment or ("@" not in parts.netloc and not of_unix and _cut_short(parts.path, query)):
            raise BadUrlError("/, ? and # in a user or a password are written %2F, %3F and %23")
        if of_unix and parts.netloc.rpartition("@")[2]:
            raise BadUrlError(
                "the path of the socket begins with a third slash, as in unix:///run/redis.sock"
            )
        hosts = () if of_unix else _hosts(parts, kind)
        check_options(query, tls=tls, sentinels=kind is Kind.SENTINEL, databases=kind is not Kind.CLUSTER)
        service, path = ("", parts.path) if of_unix else _behind_the_hosts(parts, kind)
        if path.strip("/") and not of_unix and any(name == "db" for name, _ in query):
            raise BadUrlError("the database is named twice, in the path and as an option")
        plain = parts._replace(
            scheme=parts.scheme.partition("+")[0],
            netloc=_first_host(parts.netloc),
            path=path,
            query=urlencode([pair for pair in query if pair[0] not in SENTINELS_OWN]),
        )
        try:
            options: dict[str, Any] = dict(parse_url(plain.geturl()))
        except ValueError as error:
            raise BadUrlError(str(error)) from error
        if of_unix and not options.get("path"):
            raise BadUrlError("the path of the socket is missing, as in unix:///run/redis.sock")
        for one in ("host", "port", "connection_class"):
            options.pop(one, None)
        sentinel = {name: value for name, value in options.items() if name.startswith("ssl_")}
        sentinel |= {name.removeprefix("sentinel_"): value for name, value in query if name in SENTINELS_OWN}
        return cls(kind, hosts, service, tls, options, sentinel)


def _cut_short(path: str, query: Sequence[tuple[str, str]]) -> bool:
    """Whether a password ends where they begin: nothing of them is to be told then."""
    return (
        "@" in path
        or any("@" in value for name, value in query if name not in KNOWN)
        or any("@" in name for name, _ in query)
    )


def _behind_the_hosts(parts: SplitResult, kind: Kind) -> tuple[str, str]:
    """The service that sentinels know, empty where there are none, and the path that redis-py reads a database from."""
    if kind is Kind.SENTINEL and not parts.path.strip("/"):
        raise BadUrlError("the master's name is missing, as in host:26379/mymaster")
    found = _AT_LAST[kind].fullmatch(parts.path)
    if found is None and kind is Kind.CLUSTER:
        raise BadUrlError("a cluster has one database: nothing comes after its hosts")
    number = None if found is None else found["db"]
    if found is None or (number and not database(number)):
        after = "after the master's name" if kind is Kind.SENTINEL else "after the host"
        raise BadUrlError(f"{after} comes the number of the database, or nothing")
    return found.groupdict().get("service") or "", f"/{number or ''}"


def _first_host(netloc: str) -> str:
    user, at, hosts = netloc.rpartition("@")
    return user + at + hosts.partition(",")[0]


def _hosts(parts: SplitResult, kind: Kind) -> tuple[tuple[str, int], ...]:
    default = SENTINEL_PORT if kind is Kind.SENTINEL else REDIS_PORT
    named = parts.netloc.rpartition("@")[2].split(",")
    if len(named) > 1 and kind is Kind.SINGLE:
        raise BadUrlError(f"one host, not {len(named)}; a cluster is redis+cluster://")
    found = []
    for name in named:
        one = _PORT.fullmatch(name)
        port = int(one["port"] or default) if one else 0
        if one is None or not 0 < port < 65536:
            raise BadUrlError(f"{name[:100]!r}: it must be host or host:port, with a port from 1 to 65535")
        host = one["host"].strip("[]").lower()
        if not host:
            raise BadUrlError("a host is missing")
        found.append((host, port))
    return tuple(found)
