"""What `tapedeck doctor` found: its structs are those of `--json`. Pure."""

from typing import Literal

import msgspec

Level = Literal["ok", "note", "wrong"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    """What was looked at, in a word or two."""
    level: Level
    """`note`: nothing to do now, but good to know."""
    text: str
    hint: str = ""
    """What to do, where something is wrong."""


class Books(msgspec.Struct, frozen=True):
    """The sum over all conversations, in seconds of audio."""

    received: float = 0.0
    stored: float = 0.0
    waiting: float = 0.0
    dead: float = 0.0
    deleted: float = 0.0
    difference: float = 0.0


class Unbalanced(msgspec.Struct, frozen=True):
    """A conversation whose books do not close, or cannot be read."""

    conversation: str
    difference: float
    """Seconds; above 0 something was received and is nowhere, below 0 something is somewhere and was never received."""
    why: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """Everything that was found."""

    ok: bool
    findings: tuple[Finding, ...]
    conversations: int | None
    """Whose books were added up; None where none were read."""
    books: Books | None
    """None likewise."""
    unbalanced: tuple[Unbalanced, ...]


def fine(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def note(check: str, text: str, hint: str = "") -> Finding:
    """Nothing to do now."""
    return Finding(check, "note", text, hint)


def wrong(check: str, text: str, hint: str) -> Finding:
    """Somebody has to act."""
    return Finding(check, "wrong", text, hint)


def clocks(check: str, ahead_ms: int, whose: str) -> Finding:
    """How far another clock stands ahead of this machine's."""
    far = abs(ahead_ms)
    said = f"{whose} stands {far / 1000:.3f} s {'ahead of' if ahead_ms > 0 else 'behind'} this machine"
    if far > 5_000:
        hint = "set the clocks by NTP: tokens, due times and the start of recordings follow them"
        return wrong(check, said, hint)
    return note(check, said) if far > 1_500 else fine(check, said)
