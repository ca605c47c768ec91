"""How obstore connects: time limits, no retries of its own, and plain HTTP only where the operator wrote it.

Owns no policy of retrying: that is `attempts`.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from audiostore.errors import StoreConfigurationError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20  # the longest silence on a connection
REQUEST_TIMEOUT_S = 50  # one request with its body; an operation's deadline lies above


def client_options(*, allow_http: bool) -> ClientConfig:
    """Time limits of each request."""
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
        "read_timeout": timedelta(seconds=READ_TIMEOUT_S),
        "timeout": timedelta(seconds=REQUEST_TIMEOUT_S),
    }


def no_retries() -> RetryConfig:
    """Off: obstore would hide that it tried again, and a hidden repeat of a create turns one's own success into a conflict."""
    return {"max_retries": 0}


def plain_http(endpoints: tuple[str, ...]) -> bool:
    """Whether one of these variables names an endpoint without TLS: whoever writes http:// means it.

    Raises StoreConfigurationError where one is no address: obstore would not refuse it, but break at the first request.
    """
    named = {name: os.environ[name] for name in endpoints if os.environ.get(name)}
    for name, url in named.items():
        if not _is_address(url):
            raise StoreConfigurationError(
                f"{name} is no address: write https://host[:port] or http://host[:port]"
            )
    return any(url.startswith("http://") for url in named.values())


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        parts.scheme in {"http", "https"}
        and port_fits
        and re.fullmatch(r"[A-Za-z0-9._:-]+", host) is not None
    )
