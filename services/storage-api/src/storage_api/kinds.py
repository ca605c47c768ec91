"""The kinds of operations that this build carries out: the only place that knows them all, as `routes` knows all routes.

A new kind is a line here. Kinds import `operations`, which knows none of them.
"""

from collections.abc import Callable, Mapping
from typing import Final

from storage_api.deletion.notes import KIND as DELETE_USER_AUDIO
from storage_api.deletion.user_audio import UserAudio
from storage_api.merging.merge import KIND as MERGE_CONVERSATIONS
from storage_api.merging.merge import Merge
from storage_api.operations.turn import Kind
from storage_api.services import Services

KINDS: Final[Mapping[str, Callable[[Services], Kind]]] = {
    DELETE_USER_AUDIO: UserAudio,
    MERGE_CONVERSATIONS: Merge,
}
"""By name, what makes one over the services."""


def kinds_of(services: Services) -> dict[str, Kind]:
    """The kinds over these services."""
    return {name: make(services) for name, make in KINDS.items()}
