"""A merge as it is asked for over the wire (storage-api.md)."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from storage_api.wire_operators import Id

MAX_SOURCES: Final = 64
"""Conversations in one merge."""


class MergeConversations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall become one."""

    sources: Annotated[list[Id], Meta(min_length=1, max_length=MAX_SOURCES)]
    """Conversations of the user; one that is named twice counts once."""
    target: Id
    """What they go into: it may be there, be recorded into, and be among the sources."""
    delete_sources: bool
    """Whether the sources go away. `false`: they stay, and go on."""
