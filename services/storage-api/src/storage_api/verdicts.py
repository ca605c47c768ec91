"""What was found out about objects, remembered: they are written once, so it never changes.

Owns the bounded memory, and the log line and the count of each object that cannot be read, once each time it is found out.
"""

import logging
from collections import OrderedDict
from typing import Final, TypeAlias

from audiostore.store import ObjectInfo
from storage_api.errors import log_text
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import Verdict

REMEMBERED_OBJECTS: Final = 50_000
"""Objects whose facts are kept in memory, and as many that cannot be read: a month of batches, or three days of older chunks of 5 s; 1 KiB
each at the most. A conversation of more than these is looked at anew each time."""

log = logging.getLogger(__name__)

_Memory: TypeAlias = OrderedDict[tuple[str, int, int | None], Verdict]


class Verdicts:
    """The verdicts of one store's objects."""

    def __init__(self, metrics: StorageMetrics) -> None:
        self._metrics = metrics
        self._known: _Memory = OrderedDict()
        # Apart from the rest: a defect that only a whole read shows must not be forgotten because much else was looked at.
        self._refused: _Memory = OrderedDict()
        self._keys: object = None

    def recall(self, info: ObjectInfo) -> Verdict | None:
        """What is known of the object; None where nothing is."""
        key = _key(info)
        for memory in (self._refused, self._known):
            if (verdict := memory.get(key)) is not None:
                memory.move_to_end(key)
                return verdict
        return None

    def remember(self, info: ObjectInfo, verdict: Verdict, detail: str = "") -> Verdict:
        """The verdict that stands: this one, or that the object cannot be read, where it was read meanwhile."""
        if verdict.reason is None and (refused := self.recall(info)) is not None and refused.reason:
            return refused  # its head looks well
        if verdict.reason is not None:
            self._metrics.unreadable[verdict.reason].inc()
            log.warning(
                "an object cannot be read", extra={"reason": verdict.reason, "detail": log_text(detail)}
            )
        memory = self._known if verdict.reason is None else self._refused
        memory[_key(info)] = verdict
        if len(memory) > REMEMBERED_OBJECTS:
            memory.popitem(last=False)
        return verdict

    def keys_are(self, keys: object) -> None:
        """Forgets what could not be read for want of a key, where these are others than last time."""
        if keys == self._keys:
            return
        self._keys = keys
        for key in [key for key, verdict in self._refused.items() if verdict.reason == "no_key"]:
            del self._refused[key]


def _key(info: ObjectInfo) -> tuple[str, int, int | None]:
    return info.name, info.size, info.crc32c
