"""What to do next after an error of the storage API: by its code, else by the status. Texts only."""

from collections.abc import Mapping

_OF_CODES: Mapping[str, str] = {
    "dead_letters": "`tapedeck dead list UID/CID` shows them; retry or drop them, then ask again",
    "flush_timeout": "storing goes on; ask again in a moment",
    "merge_timeout": "ask again when pushers run and the bucket answers",
    "merging": "ask again when that merge is done",
    "too_many_operations": "ask again when one of them is done",
    "unreadable": "`tapedeck ls CID` shows which and why; with its timestamp it can be deleted as a whole",
}
_OF_STATUSES: Mapping[int, str] = {
    401: "give a valid token with --token or TAPEDECK_TOKEN (`tapedeck token` makes one in dev mode)",
    403: "this token may not do that",
    404: "`tapedeck ls` shows what there is (--user says whose)",
    503: "try again in a moment",
}


def remedy(code: str, status: int = 0) -> str:
    """One sentence; empty where nobody knows."""
    return _OF_CODES.get(code) or _OF_STATUSES.get(status, "")
