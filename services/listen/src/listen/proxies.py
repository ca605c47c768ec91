"""Whose address a client's is, where proxies stand before this server: `X-Forwarded-For`, as far as it can be trusted.

Pure. Only what a trusted proxy has written counts: each appends the address that it saw, so the list is read from its right end.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOPS_LIMIT: Final = 32
"""Entries that are looked at: a list has one for each proxy, and a client can write into its left end what it likes."""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks in which proxies of the operator's stand."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """`10.0.0.0/8, 2001:db8::/32, 192.0.2.1`. ValueError says what is wrong."""
        try:
            return cls(tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip()))
        except ValueError:
            raise ValueError("must be networks such as 10.0.0.0/8, with commas") from None

    def client_of(self, peer: str, forwarded_for: str | None) -> str:
        """The rightmost address that is no trusted proxy's.

        Args:
            peer: the other end of the TCP connection; "" where it is not known.
            forwarded_for: the `X-Forwarded-For` header, several of them joined with commas.
        """
        address = _address(peer)
        if address is None:
            return peer
        hops = forwarded_for.rsplit(",", HOPS_LIMIT)[-HOPS_LIMIT:] if forwarded_for and self.networks else []
        while hops and self._trusts(address):
            nearer = _address(hops.pop().strip())
            if nearer is None:
                break  # what is left of it was written by nobody who is trusted
            address = nearer
        return str(address)

    def certain(self, client: str, forwarded_for: str | None) -> bool:
        """Whether `client`, which `client_of` answered, is an address that the client cannot have chosen, and is no proxy's.

        Where no proxy is named, a header may come from one that nobody has told of, with many clients behind it; where some
        are, a header of anybody else is the client's own invention, and its own address counts. A proxy that is trusted, and
        does not say whom it speaks for, may speak for anybody.
        """
        if not self.networks:
            return forwarded_for is None
        address = _address(client)
        return address is not None and not self._trusts(address)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return ",".join(map(str, self.networks))


def _address(text: str) -> Address | None:
    """An address, perhaps with a port behind it, as some proxies write it; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
