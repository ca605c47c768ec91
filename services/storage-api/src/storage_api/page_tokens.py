"""Page tokens: opaque, and good only for the request that they came from. Pure.

A token is no secret and grants nothing: it says where in an ordered list to go on, and every request is authorised by itself.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from servicekit.problem import ProblemError

T = TypeVar("T")

MAX_TOKEN_LENGTH: Final = 1024
_DIGEST_BYTES: Final = 12
_VERSION: Final = "1"


def write_page_token(path: str, query: Mapping[str, str], position: object) -> str:
    """A token for what follows `position` in the list that this path and query (but for page size and token) name."""
    raw = _digest(path, query) + msgspec.msgpack.encode(position)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_page_token(path: str, query: Mapping[str, str], token: str, position: type[T]) -> T:
    """The position in the token. ProblemError 400 `bad_page_token`: it is none, or another request's."""
    if len(token) <= MAX_TOKEN_LENGTH and token.isascii():
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            if raw[:_DIGEST_BYTES] == _digest(path, query):
                return msgspec.msgpack.decode(raw[_DIGEST_BYTES:], type=position)
        except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # told below, with every other token that is none
    raise ProblemError(
        400, "bad_page_token", "page_token is not one that this very request gave; begin again without it"
    )


def _digest(path: str, query: Mapping[str, str]) -> bytes:
    bound = sorted((name, value) for name, value in query.items() if name not in ("page_token", "page_size"))
    text = repr((_VERSION, path, bound))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES]
