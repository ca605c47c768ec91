"""The last lines of a child's log, for people: services log JSON, Redis and what fails early plain text.

Owns how much of a log is read, and what of a line is told. Reads only.
"""

import os
from pathlib import Path
from typing import Any, Final

import msgspec

TAIL_LINES: Final = 8
TAIL_BYTES: Final = 65_536
"""So much from the end is looked at: a line with a traceback in it takes some thousands."""
MOST_CHARACTERS: Final = 400
"""Of one line that is told."""


def last_lines(log: Path, since: int) -> list[str]:
    """The last ones from the byte `since` on, shortened, each once; none where the log cannot be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            since = min(since, size)
            begin = max(size - TAIL_BYTES, since)
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    if begin > since and len(lines) > 1:
        del lines[0]  # its beginning was not read
    # A child that ends again and again says the same each time.
    return list(dict.fromkeys(told(line) for line in lines[-TAIL_LINES:]))


def told(line: str) -> str:
    """What a line says: of one in JSON its message, the reason, and the last line of a traceback."""
    try:
        record = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.MsgspecError:
        record = {}
    parts = [record.get(name) for name in ("message", "reason", "exception")]
    words = [part.strip().rpartition("\n")[2] for part in parts if isinstance(part, str) and part.strip()]
    text = ": ".join(words) if words else line
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
