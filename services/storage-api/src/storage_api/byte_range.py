"""The `Range` header over an answer of known length (RFC 9110 §14). Pure."""

import re
from typing import Final

from servicekit.problem import ProblemError

_ONE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes asked for, end excluded; None for all of them.

    What is no single range of bytes is ignored, as the RFC lets a server do. ProblemError 416 where none of it exists.
    """
    match = _ONE.match(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= end:
        detail = f"the answer has {size} bytes"
        raise ProblemError(416, "range_not_satisfiable", detail, headers={"Content-Range": f"bytes */{size}"})
    return start, end
