"""An HTTP answer to a handshake that is refused, as bytes: problem+json, and the end of the connection.

Pure but for the clock of `Date`. Must not decide what is refused.
"""

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from servicekit.problem import MEDIA_TYPE, REQUEST_ID_HEADER, problem_body, request_id

HTTP_2_REFUSED: Final = bytes.fromhex("000000040000000000 000008070000000000000000000000000d")
"""Empty settings, and a GOAWAY that says HTTP_1_1_REQUIRED (RFC 9113 §6.5, §6.8, §7)."""
_CODES: Final = {404: "not_found", 408: "too_slow", 431: "too_big"}


def refusal(
    status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """The whole answer. `code` is the problem's; by default that of the status."""
    body = problem_body(status, code or _CODES.get(status, "bad_request"), message)
    fields = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Date": formatdate(usegmt=True),
        **(headers or {}),
    }
    if status == HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = "Bearer"  # RFC 9110 §11.6.1
    if request_id():
        fields[REQUEST_ID_HEADER] = request_id()
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode("latin-1") + body
