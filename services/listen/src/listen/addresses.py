"""Clients' addresses: what of one is counted as one client, and which say for sure who connects.

Pure. Must not know where an address came from: the handshake does.
"""

import ipaddress
from typing import Final

IPV6_PREFIX: Final = 64
"""The smallest network that one subscriber gets (RFC 6177): all its addresses are one client."""


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 network of an IPv6 address; "" where it is no address."""
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(found), IPV6_PREFIX), strict=False))
    return "" if found is None else str(found)


def is_public(address: str) -> bool:
    """Whether it is an address of the open internet.

    A private one may be that of a load balancer or of a node behind which everybody is: nothing that locks out may rest on it.
    """
    found = _parsed(address)
    return found is not None and found.is_global


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])  # without the zone of a link-local one
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
