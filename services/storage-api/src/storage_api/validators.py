"""Entity tags as requests send them: `If-None-Match` and `If-Range` (RFC 9110 §13.1). Pure."""

import re
from typing import Final

_TAG: Final = re.compile(r'[ \t]*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|\Z)')
_EMPTY: Final = re.compile(r"[ \t]*,")


def listed(lines: list[str]) -> str | None:
    """A header that is a list, of however many lines it came in (RFC 9110 §5.3); None where there is none."""
    return ", ".join(lines) if lines else None


def still_stands(if_match: str | None, tag: str) -> bool:
    """Whether this very answer is one of those that alone the client will take (RFC 9110 §13.1.1): strong tags only."""
    return if_match is None or any(
        one.strip(" \t") in ("*", tag) for one in re.findall(r'(?:W/)?"[^"]*"|[^,]+', if_match)
    )


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the client has this very answer: `tag`, strong and quoted, is in its list, or it takes any.

    What is no list of tags names none. Weak tags count as strong ones do, as the RFC wants it here.
    """
    if if_none_match is None:
        return False
    if if_none_match.strip(" \t") == "*":
        return True
    at, found = 0, False
    while at < len(if_none_match):
        match = _TAG.match(if_none_match, at)
        if match is not None:
            found = found or match[1] == tag
        else:
            match = _EMPTY.match(if_none_match, at)
        if match is None:
            return False
        at = match.end()
    return found


def range_holds(if_range: str | None, tag: str) -> bool:
    """Whether `Range` is of this very answer. A date never holds: there is no `Last-Modified`; nor does a weak tag."""
    return if_range is None or if_range.strip(" \t") == tag
