"""Makes an input that breaks a promise smaller, for as long as it breaks the same one."""

import traceback
from collections.abc import Callable

MAX_TRIES = 20_000


def fault(check: Callable[[bytes], object], data: bytes) -> tuple[str, str, int] | None:
    """Kind and place of what goes wrong with this input: the error's type, and file and line where it was raised; None for nothing."""
    try:
        check(data)
    except Exception as error:  # noqa: BLE001 - whatever comes out of a parser is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, last.filename, last.lineno or 0
    return None


def shrink(check: Callable[[bytes], object], data: bytes) -> bytes:
    """The smallest input found that goes wrong in the same way; the input itself where it does not go wrong."""
    wanted = fault(check, data)
    if wanted is None:
        return data
    tries = 0
    size = max(1, len(data) // 2)
    while size and tries < MAX_TRIES:
        smaller = False
        at = 0
        while at < len(data) and tries < MAX_TRIES:
            tries += 1
            shorter = data[:at] + data[at + size :]
            if fault(check, shorter) == wanted:
                data, smaller = shorter, True
            else:
                at += size
        size = size if smaller and size > 1 else size // 2
    for at, byte in enumerate(data):
        if byte != 0 and tries < MAX_TRIES:
            tries += 1
            plainer = data[:at] + b"\0" + data[at + 1 :]
            data = plainer if fault(check, plainer) == wanted else data
    return data
