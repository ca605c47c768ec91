"""Addresses of services, as clients need them."""

import ipaddress
from urllib.parse import urlencode, urlsplit, urlunsplit


def listen_address(url: str, query: dict[str, str]) -> str:
    """The address of a session: `url` may be the service's (ws://host:port) or carry a path and query of its own."""
    parts = urlsplit(url)
    path = parts.path if parts.path not in ("", "/") else "/v4/listen"
    both = "&".join(part for part in (parts.query, urlencode(query)) if part)
    return urlunsplit((parts.scheme, parts.netloc, path, both, ""))


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine, where no proxy belongs in between."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
