"""How many sockets there may be: in the process, of an address, of a user, and in their handshake. Counts, and refuses.

What is counted goes away with what it counts: there is never an entry of nobody. Must not know sockets.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from listen.addresses import network_of
from listen.comeback import FULL_S, retry_after_s
from listen.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be of each, in this process."""

    sockets: int = 5_000
    of_user: int = 20
    of_address: int = 0
    """Of an IPv4 address, or a /64 network of IPv6; 0: no limit."""
    handshakes: int = 1_000
    """Sockets whose client is not known yet."""


class Places:
    """The places of one process."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._count = 0
        self._admitted = 0
        self._apart = 0
        """Of those in their handshake, the ones that are counted elsewhere meanwhile."""
        self._of_user: Counter[str] = Counter()
        self._of_network: Counter[str] = Counter()

    def __len__(self) -> int:
        """Places taken, those in their handshake too."""
        return self._count

    @property
    def admitted(self) -> int:
        """Places whose client was let in."""
        return self._admitted

    @property
    def handshakes(self) -> int:
        """Places whose client is not known yet, but for those that stand apart."""
        return self._count - self._admitted - self._apart

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Holds a place, from the handshake on. `address` is the client's; "" where it is not known, which is not counted.

        Raises:
            RefusedError: 503, this process is full; 429, the address has too many.
        """
        limits = self._limits
        if self._count - self._apart >= limits.sockets:
            raise _full()
        if self.handshakes >= limits.handshakes:
            raise RefusedError(
                503,
                "unavailable",
                "too many clients are connecting at this moment",
                retry_after_s=retry_after_s(FULL_S),
                reason="handshakes",
            )
        network = network_of(address) if limits.of_address else ""
        if network and self._of_network[network] >= limits.of_address:
            raise RefusedError(
                429,
                "limit",
                f"an address has at most {limits.of_address} sockets here",
                retry_after_s=retry_after_s(FULL_S),
                reason="sockets_of_address",
            )
        self._count += 1
        if network:
            self._of_network[network] += 1
        try:
            yield
        finally:
            self._count -= 1
            if network:
                _give_back(self._of_network, network)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Whoever holds a place stands in nobody's way for a while: somebody else bounds how many do (`strangers`)."""
        self._apart += 1
        try:
            yield
        finally:
            self._apart -= 1

    def full(self, uid: str) -> bool:
        """Whether all places of a user are taken."""
        return self._of_user.get(uid, 0) >= self._limits.of_user

    @contextmanager
    def place_of(self, uid: str, *, replaces: bool = False) -> Iterator[None]:
        """Holds one of a user's places, within a place of the process: its handshake is over.

        `replaces`: the user has a socket here in the conversation that this one names, which goes as soon as this one is open,
        and stays if it is not let in. Till then both are there: of a user whose sockets are all being replaced, up to twice as
        many as the limit.

        Raises:
            RefusedError: 429, the user has too many sockets; 503, this process is full by now (who stood apart comes in here).
        """
        limit = self._limits.of_user
        if self._of_user[uid] >= (2 * limit if replaces else limit):
            raise RefusedError(
                429,
                "limit",
                f"a user has at most {limit} sockets here",
                retry_after_s=retry_after_s(FULL_S),
                reason="sockets_of_user",
            )
        if self._admitted >= self._limits.sockets:
            raise _full()
        self._of_user[uid] += 1
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1
            _give_back(self._of_user, uid)


def _full() -> RefusedError:
    return RefusedError(
        503,
        "unavailable",
        "this server has no room for more sockets",
        retry_after_s=retry_after_s(FULL_S),
        reason="sockets",
    )


def _give_back(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
