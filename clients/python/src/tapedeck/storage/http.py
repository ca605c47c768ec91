"""Requests as httpx sends them, and the httpx clients of our own: what both drivers share."""

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import httpx

from tapedeck.addresses import is_loopback
from tapedeck.errors import BadRequestError, ClientSetupError
from tapedeck.storage.caller import Caller
from tapedeck.storage.plan import Request

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds for each wait: to connect, for a connection of the pool, to send, for the next bytes."""


def client_options(base_url: str, timeout: httpx.Timeout | float) -> dict[str, Any]:
    """What a client of our own is made with: HTTP/2 where h2 is installed and the server speaks it, no redirects."""
    return {
        "timeout": timeout,
        "http2": find_spec("h2") is not None,
        "follow_redirects": False,
        "trust_env": not is_loopback(base_url),  # no proxy belongs in between on one machine
    }


def built(
    http: httpx.Client | httpx.AsyncClient, caller: Caller, request: Request, user_agent: str
) -> httpx.Request:
    """The request with the token.

    Raises ClientSetupError, of a client that is closed as well; BadRequestError where it is too long for an address.
    """
    if http.is_closed:
        raise ClientSetupError("the client is closed", hint="make a new one, or close it later")
    headers = {
        "User-Agent": user_agent,
        "Accept-Encoding": "identity",  # lengths and ranges are of the very bytes
        "Authorization": caller.authorization(),
        **dict(request.headers),
    }
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    try:
        return http.build_request(
            request.method,
            caller.base_url + request.path,
            params=request.query or None,
            headers=headers,
            content=request.body,
            timeout=_patience(http.timeout, request.answer_s),
        )
    except httpx.InvalidURL as error:
        raise BadRequestError("what is asked for is too long for an address") from error


def full_user_agent(given: str | None) -> str:
    """The caller's own name first."""
    return f"{given} {_own_name()}" if given else _own_name()


def _patience(timeout: httpx.Timeout, answer_s: float | None) -> httpx.Timeout:
    if answer_s is None or timeout.read is None:
        return timeout
    return httpx.Timeout(
        connect=timeout.connect, read=max(timeout.read, answer_s), write=timeout.write, pool=timeout.pool
    )


@cache
def _own_name() -> str:
    return f"tapedeck-python/{version('tapedeck')}"
