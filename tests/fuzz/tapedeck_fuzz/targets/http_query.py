"""What a request to storage-api brings: `Range`, `page_token`, and times."""

import base64
from random import Random

import msgspec

from servicekit.problem import ProblemError
from storage_api.byte_range import byte_range
from storage_api.moments import parse_moment, rfc3339, unix_seconds
from storage_api.page_tokens import read_page_token, write_page_token
from tapedeck_fuzz import edits, fields, msgpack_by_hand
from tapedeck_fuzz.target import Raw, Target, demand


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A position in a list, of the shape that the lists of storage-api use."""

    start_ms: int
    name: str


def check(data: bytes) -> int | None:
    """Three texts: a range, a token, a time. Only ProblemError (400, 416) or, for times, ValueError comes out."""
    header, token, moment = ((value or b"").decode("utf-8", "replace") for value in fields.split(data, 3))
    return len(data) if any((_range(header, len(token) * 7), _token(token), _moment(moment))) else None


def _range(header: str, size: int) -> bool:
    try:
        found = byte_range(header, size)
    except ProblemError as error:
        demand(error.status == 416, f"status {error.status}")
        return False
    if found is None:
        return False
    demand(0 <= found[0] < found[1] <= size, f"{found} of {size} bytes")
    return True


def _token(token: str) -> bool:
    try:
        place = read_page_token("/v1/list", {"state": "x"}, token, Place)
    except ProblemError as error:
        demand((error.status, error.code) == (400, "bad_page_token"), f"{error.status} {error.code}")
        return False
    again = write_page_token("/v1/list", {"state": "x"}, place)
    demand(read_page_token("/v1/list", {"state": "x"}, again, Place) == place, "another place comes back")
    return True


def _moment(text: str) -> bool:
    try:
        at = parse_moment(text)
    except ValueError:
        return False
    demand(at >= 0, "a time before 1970")
    demand(parse_moment(unix_seconds(at // 48)) == at // 48 * 48, "unix seconds that say another time")
    if at // 48_000 < 253_402_300_800:  # the year 10000
        demand(parse_moment(rfc3339(at)) == at // 48 * 48, "RFC 3339 that says another time")
    return True


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """One of the three changed; the token from inside, with the digest that this request needs."""
    values = fields.split(data, 3)
    if values[1] and random.randrange(2):
        inside = base64.urlsafe_b64decode(write_page_token("/v1/list", {"state": "x"}, 0) + "==")[:12]
        try:
            old = base64.urlsafe_b64decode(values[1] + b"==")[12:]
        except ValueError:
            old = msgspec.msgpack.encode([1, "n"])
        values[1] = base64.urlsafe_b64encode(inside + msgpack_by_hand.mutate(old, random, raw)).rstrip(b"=")
        return fields.join(values)
    at = random.randrange(3)
    values[at] = edits.numbers_in((values[at] or b"").decode("utf-8", "replace"), random).encode(
        "utf-8", "replace"
    )
    return fields.join(values)


TARGET = Target(
    check,
    mutate,
    words=(b"bytes=", b"bytes=-5", b"2026-11-21T01:28:50.250Z", b"1795224530.250", b"+02:00"),
)
