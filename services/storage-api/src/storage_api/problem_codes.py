"""Every code that an error of this service's HTTP may carry: its status, and what it means to a client.

Clients decide by codes, so none changes its meaning or its status. A code stands here before a row of the table names it.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ProblemCode:
    """One code."""

    status: int
    meaning: str
    """Goes into the OpenAPI description: a phrase, without a full stop."""


PROBLEM_CODES: Final[dict[str, ProblemCode]] = {
    "bad_id": ProblemCode(400, "an id in the path is none"),
    "bad_json": ProblemCode(400, "the body is no JSON of what is asked for"),
    "bad_page_token": ProblemCode(400, "the page token is not one that this request gave"),
    "bad_parameter": ProblemCode(400, "a query parameter, named by `parameter`, cannot be taken"),
    "bad_request": ProblemCode(400, "the body ended before its end"),
    "busy": ProblemCode(
        503,
        "too much of this is under way, by everybody or by this caller; `Retry-After` says when to try again",
    ),
    "dead_letters": ProblemCode(409, "a source has audio that could not be stored, and would lose it"),
    "deleting": ProblemCode(503, "something else of the conversation is just being deleted; try again"),
    "flush_timeout": ProblemCode(504, "not everything is stored yet; it goes on"),
    "forbidden": ProblemCode(403, "the service token has not the scope, or only services may do this"),
    "incomplete": ProblemCode(502, "not all of the audio can be read, and `strict=true` asks for all"),
    "internal": ProblemCode(500, "something went wrong on the server; tell its operator the `request_id`"),
    "live_unavailable": ProblemCode(503, "what waits to be stored cannot be reached at the moment"),
    "merge_timeout": ProblemCode(504, "of an operation: its sources could not be stored and copied in time"),
    "merging": ProblemCode(409, "the conversation is part of a merge"),
    "method_not_allowed": ProblemCode(405, "the path has not this method; `Allow` names those it has"),
    "no_audio": ProblemCode(404, "there is no audio in what was asked for"),
    "not_acceptable": ProblemCode(406, "`Accept` takes none of the media types that there are"),
    "not_found": ProblemCode(404, "it is not there, or not for this token"),
    "not_retryable": ProblemCode(409, "nobody can store this dead letter"),
    "precondition_failed": ProblemCode(412, "the audio is another than that of `If-Match`"),
    "range_not_satisfiable": ProblemCode(416, "the range begins after the end"),
    "store_unavailable": ProblemCode(503, "the bucket cannot be reached at the moment"),
    "token_expired": ProblemCode(401, "the token has expired"),
    "too_big": ProblemCode(413, "the body is longer than it may be"),
    "too_long": ProblemCode(422, "it is longer than one answer may be"),
    "too_many_operations": ProblemCode(
        429,
        "as many operations of this kind are under way for the user as may be; `Retry-After` says when to try again",
    ),
    "too_slow": ProblemCode(408, "the body did not come in time"),
    "unauthorized": ProblemCode(401, "there is no token, or none that is good here"),
    "unavailable": ProblemCode(503, "tokens, or audio that is on its way, cannot be checked at the moment"),
    "unreadable": ProblemCode(409, "an object that holds some of it cannot be read: nothing was cut out"),
}
