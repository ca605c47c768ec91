"""Reading a request's body: never more than its limit, never longer than its time.

Owns nothing but that. Hypercorn bounds neither: a client that stops in the middle of a body would hold its handler for ever.
"""

import asyncio
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from servicekit.problem import ProblemError

T = TypeVar("T")

MAX_BODY_BYTES: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0


async def read_body(
    request: Request, *, max_bytes: int = MAX_BODY_BYTES, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """The whole body; ProblemError 413 `too_big`, 408 `too_slow`, 400 `bad_request` (the client went away)."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > max_bytes:
        raise _too_big(max_bytes)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise _too_big(max_bytes)
    except TimeoutError as error:
        raise ProblemError(408, "too_slow", f"the body did not come within {timeout_s:g} s") from error
    except ClientDisconnect as error:
        raise ProblemError(400, "bad_request", "the body ended before its end") from error
    return bytes(body)


async def read_json(
    request: Request, shape: type[T], *, max_bytes: int = MAX_BODY_BYTES, no_body: T | None = None
) -> T:
    """The body as JSON of a msgspec type; `no_body`: what it stands for where there is none.

    ProblemError: as `read_body`, and 400 `bad_json` that says where it is wrong.
    """
    body = await read_body(request, max_bytes=max_bytes)
    if not body and no_body is not None:
        return no_body
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(400, "bad_json", str(error)) from error


def _too_big(max_bytes: int) -> ProblemError:
    return ProblemError(413, "too_big", f"a body may have up to {max_bytes} bytes")
