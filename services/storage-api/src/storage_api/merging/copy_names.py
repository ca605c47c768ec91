"""Under which names the copy of an object may lie in another conversation. Pure.

The first is its own file name. Where other contents have that, the second time in it grows by a millisecond, or the only one of an object that
has but one: readers hold a batch to its start, and the end in a name is only about when it ends.
"""

import re
from collections.abc import Iterator
from typing import Final

from audiobus import Conversation
from audiostore.legacy import parse_audio_name
from audiostore.names import conversation_prefix, timestamp

TRIES: Final = 1000
"""Names of one object: as many recordings may begin and end at the same millisecond."""

_FILE: Final = re.compile(r"((?:[0-9]+\.[0-9]{3}-)?)([0-9]+)\.([0-9]{3})(\..+)", re.ASCII)


def copy_names(name: str, source: Conversation, target: Conversation) -> Iterator[str]:
    """In the order in which they are tried; `name` lies below the source's prefix."""
    prefix = conversation_prefix(*target)
    file = name.removeprefix(conversation_prefix(*source))
    yield prefix + file
    match = _FILE.fullmatch(file) if parse_audio_name(prefix + file) is not None else None
    for more in range(1, TRIES):
        if match is None:
            yield f"{prefix}{file}.{more}"
        else:
            last_ms = int(match[2]) * 1000 + int(match[3]) + more
            yield f"{prefix}{match[1]}{timestamp(last_ms)}{match[4]}"
