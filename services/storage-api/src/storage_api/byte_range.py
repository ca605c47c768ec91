"""The `Range` header over an answer of known length (RFC 9110 §14). Pure."""

import re
from typing import Final

from servicekit.problem import ProblemError

_ONE: Final = re.compile(r"bytes=(\d*)-(\d*)\Z", re.ASCII | re.IGNORECASE)
_BEYOND: Final = 10**18
"""More bytes than there are: what has more digits is as good as this."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes asked for, end excluded; None for all of them.

    What is no single range of bytes is ignored, as the RFC lets a server do. ProblemError 416 where none of it exists.
    """
    match = _ONE.match(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    first, last = (_number(digits) if digits else None for digits in match.groups())
    if first is None:
        start, end = max(0, size - (last or 0)), size
    else:
        start, end = first, size if last is None else min(size, last + 1)
        if last is not None and last < first:
            return None
    if start >= end:
        detail = f"the answer has {size} bytes"
        raise ProblemError(416, "range_not_satisfiable", detail, headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= 18 else _BEYOND
