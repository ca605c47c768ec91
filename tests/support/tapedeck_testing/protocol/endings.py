"""What must have been said before each close code: docs/listen-protocol.md, `error` and `going_away`.

The page says that `error` comes before every abnormal close. 1012 at SIGTERM is no fault of anybody's: it is announced by
`going_away`, which says when to come back. Every other code that says what was wrong has its `error`, with one of the codes that can
be its reason. Owns that reading of the page. `SocketClient.closed` holds every close of these tests to it.
"""

from collections.abc import Sequence
from typing import Any, Final

GOING_AWAY: Final = 1012
REASONS: Final[dict[int, frozenset[str]]] = {
    1003: frozenset({"bad_parameter"}),
    1007: frozenset({"bad_audio", "bad_parameter"}),
    1009: frozenset({"too_big"}),
    1011: frozenset({"internal"}),
    1013: frozenset({"unavailable"}),
    4400: frozenset({"bad_parameter"}),
    4401: frozenset({"unauthorized", "token_expired"}),
    4403: frozenset({"forbidden", "storing_off"}),
    4404: frozenset({"conversation_deleted"}),
    4409: frozenset({"replaced", "merging"}),
    4429: frozenset({"limit"}),
}
SILENT: Final = frozenset({1000, 1006})
"""Done, and the line just broke."""


def check_announced(code: int, heard: Sequence[dict[str, Any]]) -> None:
    """Raises AssertionError where what was heard, oldest first, does not announce the close."""
    if code in SILENT:
        return
    if code == GOING_AWAY:
        assert any(message["type"] == "going_away" for message in heard), (
            f"{code} without `going_away`: {heard}"
        )
        return
    assert code in REASONS, f"the page knows no {code}: {heard}"
    errors = [message["code"] for message in heard if message["type"] == "error"]
    assert errors, f"{code} without `error`: {heard}"
    assert errors[-1] in REASONS[code], f"{code} after {errors[-1]}"
