"""The JWKS of user tokens: fetched in the background, one fetch at a time, the last good set kept.

Owns when to fetch. What is in a set is `keys`' business. A token with an unknown key id (keys were rotated) waits for a
fetch that begins after it came. Tokens make one begin at most once in `COOLDOWN_S`, so that made-up key ids cannot hammer the
issuer; and only a few wait, so that they cannot fill this process while the issuer hangs. And what `/readyz` says of it: as long as no set was
ever got every user token is refused, and nobody is to be sent here.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from servicekit.errors import AuthError, KeySourceError
from servicekit.health import Health
from servicekit.jwks_metrics import JwksMetrics
from servicekit.keys import VerificationKey, jwks_keys
from servicekit.secret import shown_address

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

REFRESH_S: Final = 300.0
RETRY_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)  # after so many failures in a row; jittered
COOLDOWN_S: Final = 2.0
FETCH_TIMEOUT_S: Final = 5.0
MAX_JWKS_BYTES: Final = 256 * 1024
MAX_WAITING: Final = 64
"""Tokens that wait for a fetch. One more is judged by a set that is no older than the cooldown, or cannot be checked now."""
CHECK: Final = "user token keys"
"""In `/readyz?verbose`."""
HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Nothing compressed: what it unpacks to could not be bounded before it is unpacked."""


class _Attempt:
    """One fetch, from before it begins."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.good = False
        """It has brought a set."""


class Jwks:
    """The key set at an address, kept fresh while inside `async with`."""

    def __init__(
        self,
        url: str,
        metrics: JwksMetrics,
        health: Health | None = None,
        *,
        refresh_s: float = REFRESH_S,
        cooldown_s: float = COOLDOWN_S,
    ) -> None:
        self._url = url
        self.source = shown_address(url)
        """The address, as it may be told."""
        self._health = health
        if health is not None:
            health.expect(CHECK)
        self._metrics = metrics
        metrics.watch()
        self._refresh_s = refresh_s
        self._cooldown_s = cooldown_s
        self._keys: tuple[VerificationKey, ...] = ()  # the last good set; empty until one was fetched
        self._wanted = asyncio.Event()  # a token needs the next fetch soon
        self._under_way: _Attempt | None = None
        self._next = _Attempt()
        self._good = False  # the last attempt has brought a set
        self._ended_at = float("-inf")  # loop time when the last attempt ended
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to fetch; does not wait for the first set, so that a service starts while the issuer is away."""
        self._task = asyncio.create_task(self._keep_fresh(), name="jwks")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop fetching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def keys(self, key_id: str | None) -> Sequence[VerificationKey]:
        """The set that can verify a token with this `kid`: where it does not know it, as it was fetched after this call.

        AuthError `unavailable` where no set could be fetched, or none since: whether the issuer has such a key is not known.
        """
        if not self._knows(key_id):
            cool = asyncio.get_running_loop().time() - self._ended_at >= self._cooldown_s
            if not self._good and not cool:
                raise _unavailable("the last fetch failed")
            if self._waiting < MAX_WAITING:
                await self._wait_for(key_id)
            elif cool:
                raise _unavailable("too many tokens wait for them")
        return self._keys

    async def _wait_for(self, key_id: str | None) -> None:
        """Waits for the fetch that is under way, and where it does not bring the key, for one that begins later.

        AuthError `unavailable` where one of them fails.
        """
        attempts = [self._next] if self._under_way is None else [self._under_way, self._next]
        self._waiting += 1
        try:
            async with asyncio.timeout(self._cooldown_s + 2 * FETCH_TIMEOUT_S):
                for attempt in attempts:
                    if attempt is self._next:
                        self._wanted.set()
                    await attempt.ended.wait()
                    if not attempt.good:
                        raise _unavailable("the fetch failed")
                    if self._knows(key_id):
                        return
        except TimeoutError as error:
            log.warning("waited in vain for the JWKS", extra={"source": self.source})
            raise _unavailable("the fetch does not end") from error
        finally:
            self._waiting -= 1

    def _knows(self, key_id: str | None) -> bool:
        return any(key_id is None or key.key_id is None or key.key_id == key_id for key in self._keys)

    async def _keep_fresh(self) -> None:
        """Fetch, and again after a while or when a token asks, for ever."""
        # Beside the event loop: it reads the certificates of the whole world, some 50 ms.
        async with await asyncio.to_thread(_client) as client:
            await self._fetch_for_ever(client)

    async def _fetch_for_ever(self, client: "httpx.AsyncClient") -> None:
        failures = 0
        while True:
            attempt = self._under_way = self._next
            self._next = _Attempt()
            self._wanted.clear()
            try:
                self._keys = jwks_keys(await self._fetch(client), self.source)
            except KeySourceError as error:
                pause_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                failures += 1
                self._metrics.failed()
                self._tell_failed(failures, str(error))
                log.warning(
                    "could not fetch the JWKS",
                    extra={
                        "source": self.source,
                        "reason": str(error),
                        "keys_kept": len(self._keys),
                        "retry_s": pause_s,
                    },
                )
            else:
                pause_s = self._refresh_s
                failures = 0
                attempt.good = True
                self._metrics.fetched()
                if self._health is not None:
                    self._health.ok(CHECK)
            self._good = attempt.good
            self._ended_at = asyncio.get_running_loop().time()
            self._under_way = None
            attempt.ended.set()
            await self._pause(pause_s * random.uniform(0.8, 1.0))  # noqa: S311 - jitter, no secret

    def _tell_failed(self, failures: int, reason: str) -> None:
        """One failure says nothing where there is a set; another comes within a second."""
        if self._health is None:
            return
        if not self._keys:
            self._health.fail(CHECK, f"none was ever fetched, so every user token is refused: {reason}")
        elif failures > 1:
            self._health.warn(CHECK, f"the last good set is kept, and cannot be fetched anew: {reason}")

    async def _pause(self, most_s: float) -> None:
        """Until it is time to fetch again: earlier where a token asks, but not before the cooldown is over."""
        try:
            async with asyncio.timeout(most_s):
                await self._wanted.wait()
                cool_at = self._ended_at + self._cooldown_s
                await asyncio.sleep(cool_at - asyncio.get_running_loop().time())
        except TimeoutError:
            pass  # nobody asked: the usual refresh

    async def _fetch(self, client: "httpx.AsyncClient") -> bytes:
        """The document; KeySourceError for whatever went wrong. Redirects are not followed: keys come only from here."""
        import httpx  # noqa: PLC0415 - only who has a JWKS needs it; `_client` has brought it along

        try:
            async with (
                asyncio.timeout(FETCH_TIMEOUT_S),
                client.stream("GET", self._url, headers=HEADERS) as response,
            ):
                if response.status_code != 200:
                    raise KeySourceError(f"{self.source} answered {response.status_code}", retryable=True)
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise KeySourceError(f"{self.source} answered compressed, which was not asked for")
                document = bytearray()
                async for part in response.aiter_raw():
                    document += part
                    if len(document) > MAX_JWKS_BYTES:
                        raise KeySourceError(
                            f"the JWKS at {self.source} is longer than {MAX_JWKS_BYTES} bytes"
                        )
                return bytes(document)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            # An address that is none is told by httpx with all that is in it.
            text = "" if isinstance(error, httpx.InvalidURL) else f" {error}"
            raise KeySourceError(f"{self.source}: {type(error).__name__}{text}", retryable=True) from error


def _unavailable(reason: str) -> AuthError:
    return AuthError("unavailable", f"the keys of user tokens could not be fetched: {reason}")


def _client() -> "httpx.AsyncClient":
    """A client for all fetches. Blocks: for a thread."""
    import httpx  # noqa: PLC0415 - 0.1 s, and only who has a JWKS needs it

    # No connection is kept: the next fetch is minutes away.
    return httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, limits=httpx.Limits(max_keepalive_connections=0))
