"""Failed authentication, by address: who guesses tokens or tickets is answered without a look at them, for a while.

Only what no key ever signed counts, never a token that has expired: a fleet whose tokens end behind one address locks nobody
out. Bounded in time and memory; an address that could be many clients' must not be given (`addresses.is_public`). Must not
look at a clock: `now` is given.
"""

from collections import OrderedDict
from typing import Final

from listen.addresses import network_of
from listen.comeback import GUESSING_S, retry_after_s
from listen.errors import RefusedError

FAILURES: Final = 20
"""So many may come at once."""
WITHIN_S: Final = 10.0
"""And so many again within this time, evenly."""
NETWORKS_LIMIT: Final = 4_096
"""Remembered; the one whose last failure is the oldest is forgotten first."""

_EACH_S: Final = WITHIN_S / FAILURES


class FailedAuth:
    """What is remembered of failures."""

    def __init__(self) -> None:
        self._clear_at_s: OrderedDict[str, float] = OrderedDict()
        """For each network, when all its failures are forgiven (a leaky bucket: GCRA, ITU-T I.371)."""

    def __len__(self) -> int:
        return len(self._clear_at_s)

    def check(self, address: str, now_s: float) -> None:
        """Lets a client try. `address` "" is never held back.

        Raises:
            RefusedError: 429, too many failures came from its network.
        """
        network = network_of(address)
        if self._clear_at_s.get(network, 0.0) - now_s > WITHIN_S - _EACH_S:
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
        if not network:
            return
        self._clear_at_s[network] = max(now_s, self._clear_at_s.get(network, 0.0)) + _EACH_S
        self._clear_at_s.move_to_end(network)
        if len(self._clear_at_s) > NETWORKS_LIMIT:
            self._clear_at_s.popitem(last=False)
