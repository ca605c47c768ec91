"""Ids of the wire: how they look in schemas, and the ids of dead letters."""

import base64
import re
from typing import Final

from audiobus import Conversation, EntryId
from servicekit.problem import ProblemError

ID_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"
"""`servicekit.ids.valid_id`, as JSON Schema says it."""
_LETTER: Final = re.compile(r"[A-Za-z0-9_-]{1,480}", re.ASCII)


def letter_id(conversation: Conversation, entry: EntryId) -> str:
    """The id of a dead letter: opaque, and safe in a path."""
    return base64.urlsafe_b64encode(f"{conversation.tag}/{entry}".encode()).decode().rstrip("=")


def read_letter_id(text: str) -> tuple[Conversation, EntryId]:
    """What it names. ProblemError 400 `bad_id`: it is none that `letter_id` made."""
    named = _named(text) if _LETTER.fullmatch(text) else None
    if named is None or not named[0].possible or letter_id(*named) != text:
        raise ProblemError(400, "bad_id", "that is no id of a dead letter: take it from the list")
    return named


def _named(text: str) -> tuple[Conversation, EntryId] | None:
    try:
        tag, _, entry = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().rpartition("/")
        return Conversation.from_tag(tag), EntryId.parse(entry)
    except ValueError:  # binascii.Error and UnicodeDecodeError are some
        return None
