"""No request changes a connection from HTTP/1.1 to HTTP/2: that is for who begins with HTTP/2 (RFC 9113 §3.3), by prior knowledge or TLS.

`Upgrade: h2c` is obsolete (RFC 9113 §3.1). Behind a proxy that hands such a header on, it opens a tunnel in which the proxy sees no further request;
and in Hypercorn 0.18 settings that are none end it with an error of ours. It is ignored (RFC 9110 §7.8).
"""

from functools import wraps
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def ignore_upgrades_to_http_2() -> None:
    """Teaches Hypercorn so. May be called again."""
    from h11 import Request  # noqa: PLC0415 - as where it is served
    from hypercorn.protocol.h11 import H11Protocol  # noqa: PLC0415 - as above

    protocol = cast("Any", H11Protocol)
    checks: Callable[[Any, Request], Awaitable[None]] = protocol._check_protocol  # noqa: SLF001 - there is no other way in
    if hasattr(checks, "__wrapped__"):
        return

    @wraps(checks)
    async def checks_the_rest(self: Any, request: Request) -> None:
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        rest = Request(
            method=request.method, headers=headers, target=request.target, http_version=request.http_version
        )
        await checks(self, rest)

    protocol._check_protocol = checks_the_rest  # noqa: SLF001 - as above
