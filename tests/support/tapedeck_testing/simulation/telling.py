"""How commands and replies are told in a trace: no audio, no digests."""

from functools import cache
from importlib import resources
from typing import Any

from audiobus.script import script


def told(value: Any) -> str:
    """Words of a command, or a reply, for the trace: no audio, no digests."""
    match value:
        case bytes():
            return (
                value.decode("ascii", "replace")
                if len(value) <= 60 and value.isascii()
                else f"<{len(value)}>"
            )
        case str() if len(value) >= 40:
            return script_names().get(value, value if len(value) == 40 else f"<{len(value)}>")
        case str():
            return value
        case list() | tuple():
            return f"({' '.join(told(one) for one in value[:14])}{' …' if len(value) > 14 else ''})"
        case _:
            return str(value)


@cache
def script_names() -> dict[str, str]:
    """What each script is called, by digest."""
    names = (path.name for path in resources.files("audiobus").joinpath("lua").iterdir())
    scripts = (script(name.removesuffix(".lua")) for name in names if name.endswith(".lua"))
    return {name: one.name for one in scripts for name in (one.digest, one.source)}
