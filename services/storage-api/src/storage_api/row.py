"""One row of the table of routes: what a route takes, whom it is open to, and what it answers.

Pure data. Everything that must agree with the routes (Starlette's, OpenAPI, the labels of metrics, tests) is made from rows.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response

from servicekit.service_tokens import Scope
from storage_api.problem_codes import PROBLEM_CODES
from storage_api.slots import Places

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE"]
Handler = Callable[[Request], Awaitable[Response]]

METHODS: Final[tuple[Method, ...]] = ("GET", "HEAD", "POST", "PUT", "DELETE")

_PATH_ID: Final = re.compile(r"\{(\w+)\}")
_OF_ACCESS: Final = ("unauthorized", "token_expired", "forbidden", "not_found", "unavailable")
_OF_BODIES: Final = ("bad_request", "too_slow", "too_big")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header of the request that changes the answer."""

    name: str
    type: Any
    """What its text stands for, as msgspec takes types: `bool`, `Literal["ogg", "wav"]`, `Annotated[int, Meta(ge=1)]`."""
    description: str
    required: bool = False
    place: Literal["query", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is no JSON: its media types."""

    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """A header of an answer."""

    description: str
    always: bool = True
    """Whether each answer of its status has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method of one path."""

    method: Method
    path: str
    """With ids as `{uid}`: each is one part of the path, up to a slash or the colon before a verb."""
    name: str
    """Label of metrics and part of the operation's id: the same for all methods of a path, and for no other path."""
    handler: Handler
    scope: Scope | None
    """What a service token needs; None where no token is asked for. The handler checks it by `Access`."""
    or_scopes: tuple[Scope, ...] = ()
    """Any of these does as well."""
    summary: str
    """One line, without a full stop."""
    description: str = ""
    """More, where one line does not say it; Markdown."""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    """Type of the JSON that it takes."""
    body_required: bool = True
    """Whether a request without a body is refused."""
    answers: Mapping[int, Any]
    """By status: the type of the JSON, Media, or None for an answer without a body."""
    headers: Mapping[int, Mapping[str, Header]] = field(default_factory=dict)
    """By status, refusals among them: headers that are this route's own. Those that many have alike stand in `answer_headers`."""
    places: Places | None = None
    """What so many of are answered at a time; whoever is let in takes one. None where that is not bounded, or the handler sees to it."""
    codes: tuple[str, ...] = ()
    """Codes of PROBLEM_CODES that are this route's own: those that follow from what stands above are in `problems` anyway."""
    path_ids: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """KeyError for a code that is none."""
        object.__setattr__(self, "path_ids", tuple(_PATH_ID.findall(self.path)))
        for code in self.codes:
            PROBLEM_CODES[code]

    @property
    def operation_id(self) -> str:
        """`get_audio`."""
        return f"{self.method.lower()}_{self.name}"

    @property
    def problems(self) -> tuple[str, ...]:
        """Every code that it may answer with, sorted."""
        codes = {*self.codes, "internal"}
        if self.scope is not None:
            codes.update(_OF_ACCESS)
        if self.places is not None:
            codes.add("busy")
        if self.path_ids:
            codes.add("bad_id")
        if any(parameter.place == "query" for parameter in self.parameters):
            codes.add("bad_parameter")
        if self.body is not None:
            codes.update(_OF_BODIES)
        return tuple(sorted(codes))

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status that it may answer with, sorted."""
        return tuple(sorted({*self.answers, *(PROBLEM_CODES[code].status for code in self.problems)}))
