"""`tapedeck settings`."""

from typing import Annotated, Any, Final

import msgspec
import typer

from tapedeck.commands.terminal import (
    JsonOption,
    TokenOption,
    UrlOption,
    UserOption,
    print_json,
    print_table,
)
from tapedeck.errors import UsageError
from tapedeck.operators.spans import short
from tapedeck.storage_types import Protection
from tapedeck.system import System

MOST_DIGITS: Final = 16
"""Of a limit: the API takes up to 2^53 - 1."""
_Limit = Annotated[int, msgspec.Meta(le=2**53 - 1)]
_KINDS: Final[dict[str, tuple[Any, str]]] = {
    "protection": (Protection, "standard or enhanced"),
    "store_audio": (bool, "true or false"),
    "daily_limit_ms": (
        _Limit | None,
        "ms of audio a UTC day, 0 for no limit, null for the one that holds for everybody",
    ),
}
_EXAMPLES: Final = {"protection": "enhanced", "store_audio": "false", "daily_limit_ms": "3600000"}


def settings(
    *,
    change: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="set NAME=VALUE",
            help="protection=standard or enhanced; store_audio=true or false; daily_limit_ms=N, 0 for no limit, null for"
            " the one that holds for everybody.",
            show_default=False,
        ),
    ] = None,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Show what is set for a user, or change some of it; what is not named stays. Only services may change it."""
    from tapedeck.commands.storage import storage_client  # noqa: PLC0415 - not needed for --help
    from tapedeck.storage import administering  # noqa: PLC0415 - not needed for --help

    given = _given(change or [])
    system = System(url, token, user)
    with storage_client(system) as client:
        if given is None:
            found = client.settings(system.uid)
        else:
            asked = administering.change_settings(system.uid, given)
            found = client.driver.run(asked.plan(client.driver.caller))
    if json:
        print_json(found)
        return
    values = msgspec.to_builtins(found)
    rows = [
        [name, value if isinstance(value, str) else msgspec.json.encode(value).decode()]
        for name, value in values.items()
    ]
    print_table(["setting", "value"], rows, empty="")


def _given(words: list[str]) -> dict[str, object] | None:
    """What shall be another, as the API takes it; None where nothing is to change. Raises UsageError."""
    if not words:
        return None
    verb, *pairs = words
    if verb != "set" or not pairs:
        raise UsageError(
            f"{' '.join(words)!r} changes no settings", hint="`tapedeck settings set NAME=VALUE…` does"
        )
    given: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"{pair!r} is no NAME=VALUE", hint="as in daily_limit_ms=3600000")
        if name in given:
            raise UsageError(f"{name} is given twice")
        given[name] = _value(name, text)
    return given


def _value(name: str, text: str) -> object:
    """As the API takes it. Raises UsageError for what is no setting, and for what it cannot be."""
    if name not in _KINDS:
        raise UsageError(f"there is no setting {name!r}", hint=f"there are {', '.join(_KINDS)}")
    kind, said = _KINDS[name]
    try:
        return msgspec.convert(None if text == "null" else _plain(text), kind)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{name} cannot be {short(repr(text), 60)}", hint=f"it is {said}: {name}={_EXAMPLES[name]}"
        ) from error


def _plain(text: str) -> object:
    """Whole numbers, true and false as such, anything else as text."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= MOST_DIGITS else text
