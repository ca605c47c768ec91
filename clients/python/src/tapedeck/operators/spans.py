"""How operators' commands write times and lengths for people."""

from datetime import UTC, datetime


def moment(ms: int) -> str:
    """Unix ms as RFC 3339 with milliseconds, UTC."""
    whole = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ms % 1000:03d}Z"


def length(seconds: float) -> str:
    """`0.250 s`, `42.0 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 10:
        return f"{seconds:.3f} s"
    if seconds < 120:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 2 * 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def times(count: int) -> str:
    """`once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"


def several(count: int, one: str, more: str) -> str:
    """`1 entry`, `3 entries`."""
    return f"{count} {one if count == 1 else more}"


def short(text: str, most: int) -> str:
    """So many characters of a text at most, for a table; `--json` has it whole."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
