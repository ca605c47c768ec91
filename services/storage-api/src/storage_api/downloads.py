"""How many answers with audio are made and sent at a time; `slots` shares them out among users. A service may have them all."""

from contextlib import AbstractContextManager
from typing import Final

from storage_api.access import Actor, caller_of
from storage_api.metrics import StorageMetrics
from storage_api.slots import Slots

MAX_DOWNLOADS: Final = 32
"""Of one process."""


class Downloads(Slots):
    """The places of one process."""

    def __init__(self, metrics: StorageMetrics, limit: int = MAX_DOWNLOADS) -> None:
        super().__init__("downloads", limit, metrics.downloads.set)

    def place(self, actor: Actor, uid: str) -> AbstractContextManager[None]:
        """One of them for audio of `uid`, while inside. ProblemError 503 `busy`."""
        return self.slot(caller_of(actor, uid), shared=actor.kind == "user")
