"""How many answers with audio are made and sent at a time; `slots` shares them out."""

from typing import Final

from storage_api.metrics import StorageMetrics
from storage_api.slots import Slots

MAX_DOWNLOADS: Final = 32
"""Of one process."""


class Downloads(Slots):
    """The places of one process."""

    def __init__(self, metrics: StorageMetrics, limit: int = MAX_DOWNLOADS) -> None:
        super().__init__("downloads", limit, metrics.downloads.set)
