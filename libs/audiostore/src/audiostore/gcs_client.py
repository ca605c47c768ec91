"""Google's client library, tamed: how it connects, how long it tries, and what its errors mean.

Owns everything that knows google-cloud-storage's habits but the calls themselves. It must not know what is stored.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

# Read when the library is used: without it, 3.17 asks for the bucket's metadata in the background on every 404.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

import requests
import urllib3
from google.api_core.exceptions import (
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RetryError,
)
from google.auth.exceptions import GoogleAuthError, ResponseError, TransportError
from google.auth.exceptions import TimeoutError as AuthTimeoutError
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from audiostore.errors import (
    AlreadyExistsError,
    AudiostoreError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    StoreError,
    TransientStoreError,
)
from audiostore.gcs_lines import Lines
from audiostore.threads import under_way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from audiostore.attempts import Patience

CONNECTIONS = 64  # threads, and connections kept: one for each thread, none thrown away
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0  # the longest silence on a connection
TIMEOUT = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)

_CODE = re.compile(r"([a-z_]{1,40}):", re.ASCII)
_REFUSED = frozenset({401, 403})
_LATER = frozenset({408, 429, 500, 502, 503, 504})


class Attempts:
    """The retries of one operation: handed to the library as `retry`.

    `repeated` is true once an attempt failed in a way that may have done its work (reply lost, 5xx): from then on "taken" may
    mean taken by ourselves.
    """

    def __init__(self, patience: Patience) -> None:
        self.repeated = False
        self._patience = patience
        self._began_at = time.monotonic()
        self._retry = DEFAULT_RETRY.with_delay(
            initial=patience.first_pause_s, multiplier=2.0, maximum=patience.longest_pause_s
        ).with_timeout(patience.begin_for_s)

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call with retries around it, as google.api_core.retry.Retry gives it."""
        wrapped: Callable[..., Any] = self._retry(call, on_error=self._note)
        return wrapped

    def _note(self, error: Exception) -> None:
        self.repeated = True
        call = under_way()
        if call is not None and call.given_up:
            raise error  # nobody waits for another attempt
        # The library knows one time for all errors.
        if time.monotonic() - self._began_at > self._patience.tries_for_s(slow=_is_silence(error)):
            raise error


def connect() -> Client:
    """A client with a connection for each thread. Raises StoreConfigurationError without credentials.

    STORAGE_EMULATOR_HOST (with or without scheme) is honoured, then without credentials.
    """
    emulator = os.environ.get("STORAGE_EMULATOR_HOST", "").rstrip("/")
    options = None
    if emulator:
        options = {"api_endpoint": emulator if "://" in emulator else f"http://{emulator}"}
    try:
        client = Client(project=None, client_options=options)
        session = client._http  # noqa: SLF001 — the library documents no other way to its session
    except (GoogleAuthError, OSError, ValueError) as error:
        raise StoreConfigurationError(
            f"open gs://: no usable Google credentials ({error}); run on a service account, set GOOGLE_APPLICATION_CREDENTIALS, "
            "or STORAGE_EMULATOR_HOST for an emulator"
        ) from error
    adapter = Lines(pool_connections=2, pool_maxsize=CONNECTIONS, pool_block=True)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    _settle(session, client._connection.API_BASE_URL)  # noqa: SLF001 — the same
    return client


def _settle(session: requests.Session, url: str) -> None:
    """Has the session look for proxies and certificates in the environment now, once, and not with each request: a third of what a put costs."""
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify, session.cert = found["proxies"], found["verify"], found["cert"]
    session.trust_env = False


@contextmanager
def translated(doing: str, *, missing: str) -> Iterator[None]:
    """The library's errors in, StoreErrors out; `missing` says what a 404 means here: "object" or "bucket".

    What is made of an answer belongs inside too: a number that is none is the answer's fault.
    """
    try:
        yield
    except AudiostoreError:
        raise  # ours already, from the reading of an answer
    except PreconditionFailed as error:
        raise AlreadyExistsError(f"{doing}: the name is taken") from error
    except NotFound as error:
        raise _not_found(doing, missing) from error
    except GoogleAPICallError as error:
        raise _by_status(doing, error.code, error.message) from error
    except InvalidResponse as error:
        raise _by_status(doing, error.response.status_code, "unexpected answer") from error
    except DataCorruption as error:
        raise ChecksumError(
            f"{doing}: the bytes that came do not have the checksum that the bucket names"
        ) from error
    except GoogleAuthError as error:
        raise _without_token(doing, error) from error
    except (RetryError, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        met = error.cause if isinstance(error, RetryError) else error
        raise TransientStoreError(
            f"{doing}: the bucket cannot be reached ({type(error).__name__})", slow=_is_silence(met)
        ) from error
    except Exception as error:  # the library's boundary: it trusts each answer, and breaks on odd ones with whatever its own code meets then
        raise TransientStoreError(
            f"{doing}: the bucket's answer makes no sense ({type(error).__name__})"
        ) from error


def _is_silence(error: Exception | None) -> bool:
    """Whether the bucket took the connection, and then nothing came for too long."""
    causes = (error, *(error.args if error else ()))  # requests wraps what urllib3 met
    silences = (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)
    return any(isinstance(cause, silences) for cause in causes)


def _not_found(doing: str, missing: str) -> StoreError:
    if missing == "bucket":
        return StoreConfigurationError(
            f"{doing}: there is no such bucket, or it is not to be seen; create it or correct TAPEDECK_STORE_URL"
        )
    return NotFoundError(f"{doing}: no such object")


def _without_token(doing: str, error: GoogleAuthError) -> StoreError:
    """Credentials that Google refuses (a key that was revoked, an account that is gone) are the operator's; who gives tokens may also be away."""
    text = f"{doing}: no access token ({type(error).__name__}"
    away = error.retryable or isinstance(error, TransportError | AuthTimeoutError | ResponseError)
    # The metadata server's answers come wrapped, and say nothing of whether trying again helps.
    if away or isinstance(error.__cause__, TransportError):
        return TransientStoreError(f"{text})")
    # Of the answer only its code, such as invalid_grant: the rest may be anything.
    code = _CODE.match(str(error.args[0])) if error.args else None
    return StoreConfigurationError(
        f"{text}{f', {code[1]}' if code else ''}): Google refuses the credentials; give others, or the account its rights back"
    )


def _by_status(doing: str, status: int | None, message: str) -> StoreError:
    text = f"{doing}: the bucket answered {status} ({message[:200]})"
    if status in _REFUSED:
        return StoreConfigurationError(
            f"{text}; the service account needs roles/storage.objectUser on the bucket"
        )
    return TransientStoreError(text) if status in _LATER else StoreError(text)
