"""Failed authentication, by address: who guesses tokens or tickets is answered without a look at them, for a while.

Only what no key ever signed counts, never a token that has expired: a fleet whose tokens end behind one address locks nobody
out. Bounded in time and memory; an address that could be many clients' must not be given (`addresses.is_public`). Must not
look at a clock: `now` is given.
"""

from typing import Final

from listen.addresses import network_of
from listen.comeback import GUESSING_S, retry_after_s
from listen.errors import RefusedError
from listen.leaky_buckets import LeakyBuckets

FAILURES: Final = 20
"""So many may come at once."""
WITHIN_S: Final = 10.0
"""And so many again within this time, evenly."""
NETWORKS_LIMIT: Final = 4_096
"""Remembered; the one whose last failure is the oldest is forgotten first."""


class FailedAuth:
    """What is remembered of failures."""

    def __init__(self) -> None:
        self._networks = LeakyBuckets(FAILURES, WITHIN_S, NETWORKS_LIMIT)

    def __len__(self) -> int:
        return len(self._networks)

    def check(self, address: str, now_s: float) -> None:
        """Lets a client try. `address` "" is never held back.

        Raises:
            RefusedError: 429, too many failures came from its network.
        """
        if self._networks.full(network_of(address), now_s):
            raise RefusedError(
                429,
                "limit",
                "too many tokens from this address were not valid",
                retry_after_s=retry_after_s(GUESSING_S),
                reason="failed_auth",
            )

    def failed(self, address: str, now_s: float) -> None:
        """A token or ticket of this client was none of ours."""
        network = network_of(address)
        if network:
            self._networks.add(network, now_s)
