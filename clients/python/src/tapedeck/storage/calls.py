"""Calls: one request and how its answer is read; paths, and how times and names are written in them. Pure."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from tapedeck.errors import BadRequestError
from tapedeck.storage.answers import decoded
from tapedeck.storage.plan import Plan, Request
from tapedeck.storage.retries import Again

if TYPE_CHECKING:
    from tapedeck.storage.caller import Caller

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

Moment = datetime | str | float
"""A time: a datetime with its zone, RFC 3339, or unix seconds."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and what its answer is."""

    request: Request
    read: Callable[[httpx.Response, bytes], T]
    """Of the head and the whole body of a success."""
    again: Again

    def plan(self, caller: "Caller") -> Plan[T]:
        """Carry it out."""
        return caller.carry_out(self)


def call(
    kind: type[S],
    method: str,
    path: str,
    query: Mapping[str, str | None] | None = None,
    *,
    body: object = None,
    again: Again = "always",
    answer_s: float | None = None,
) -> Call[S]:
    """A call that answers a struct; what is None in the query is left out."""
    request = Request(
        method,
        path,
        given(query or {}),
        body=None if body is None else msgspec.json.encode(body),
        answer_s=answer_s,
    )
    return Call(request, lambda response, content: decoded(response, content, kind), again)


def with_live(plain: Call[S]) -> Call[S]:
    """The same call, whose struct says in `live_known` what the header said."""

    def read(response: httpx.Response, content: bytes) -> S:
        return msgspec.structs.replace(plain.read(response, content), live_known=live_known(response))

    return Call(plain.request, read, plain.again)


def live_known(response: httpx.Response) -> bool:
    """Whether what waits to be stored is in the answer (`Tapedeck-Live`)."""
    return bool(response.headers.get("Tapedeck-Live") != "unavailable")


def given(query: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """The query without what is None."""
    return tuple((name, value) for name, value in query.items() if value is not None)


def user_path(uid: str, rest: str = "") -> str:
    """Of a user. Raises BadRequestError for an empty name."""
    return f"/v1/users/{segment(uid)}{rest}"


def conversation_path(uid: str, conversation_id: str, rest: str = "") -> str:
    """Of a conversation. Raises BadRequestError for an empty name."""
    return user_path(uid, f"/conversations/{segment(conversation_id)}{rest}")


def segment(name: str) -> str:
    """A name as one segment of a path, whatever is in it; BadRequestError where it is empty."""
    if not name:
        raise BadRequestError("an empty name names nothing")
    try:
        return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")
    except UnicodeEncodeError as error:
        raise BadRequestError("a name has half a character in it") from error


def moment(value: Moment | None) -> str | None:
    """As the API takes it. BadRequestError: a datetime without zone, a number that is none."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise BadRequestError("a time needs its zone: datetime.now(UTC), or .astimezone()")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if not math.isfinite(value) or value < 0:
        raise BadRequestError(f"{value} is no unix time")
    return f"{value:.6f}"


def moments(values: Iterable[Moment]) -> str | None:
    """A list of times; None where there is none. TypeError: one text."""
    return ",".join(filter(None, (moment(value) for value in several(values, "timestamps")))) or None


def several(values: Iterable[T], name: str) -> list[T]:
    """What was given as `name`, as a list. TypeError: one text, which would be taken for as many as it has letters."""
    if isinstance(values, str | bytes | bytearray):
        raise TypeError(f"{name} are several, and a text is one: give it in a list")
    return list(values)
