"""What was found out about objects, remembered: they are written once, so what they hold never changes.

That one cannot be read may: its key is put right, or another takes its place under its name. So this is doubted after a while, where
no checksum of what lies there tells that it is the same object, where it may be the line, and where the keys changed. Owns the bounded memory, and the log line
and the count of each object that cannot be read, once each time it is found out.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from audiostore.store import ObjectInfo
from storage_api.errors import log_text
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import Verdict

REMEMBERED_OBJECTS: Final = 50_000
"""Objects whose facts are kept in memory, and as many that cannot be read: a month of batches, or three days of older chunks of 5 s; 1 KiB
each at the most. A conversation of more than these is looked at anew each time."""
FIRST_BELIEVED_S: Final = 1.0
BELIEVED_S: Final = 60.0
"""So long an object that cannot be read is not looked at again: at first, and, doubled each time that it still cannot be, at the most."""

log = logging.getLogger(__name__)

_Key: TypeAlias = tuple[str, int, int | None]


@dataclass(frozen=True, slots=True)
class _Refusal:
    verdict: Verdict
    until_s: float | None
    """Doubted from then on; None where only other keys can change it."""
    believed_s: float = FIRST_BELIEVED_S
    """How long that was from when it was found out."""
    doubted: bool = False
    """Whether the keys changed since, or what else it stands on."""


class Verdicts:
    """The verdicts of one store's objects. `clock` gives seconds that only go forward."""

    def __init__(self, metrics: StorageMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._known: OrderedDict[_Key, Verdict] = OrderedDict()
        # Apart from the rest: a defect that only a whole read shows must not be forgotten because much else was looked at.
        self._refused: OrderedDict[_Key, _Refusal] = OrderedDict()
        self._keys: object = None

    def recall(self, info: ObjectInfo) -> Verdict | None:
        """What is known of the object; None where nothing is, or it is in doubt."""
        key = _key(info)
        if (refusal := self._refused.get(key)) is not None:
            self._refused.move_to_end(key)
            return None if self._in_doubt(refusal) else refusal.verdict
        if (verdict := self._known.get(key)) is not None:
            self._known.move_to_end(key)
        return verdict

    def knows(self, info: ObjectInfo) -> bool:
        """Whether `recall` has an answer. That it was asked makes none of them younger."""
        key = _key(info)
        if (refusal := self._refused.get(key)) is not None:
            return not self._in_doubt(refusal)
        return key in self._known

    def in_doubt(self, info: ObjectInfo) -> bool:
        """Whether the object could not be read, and may be readable now: then its head alone is not believed."""
        refusal = self._refused.get(_key(info))
        return refusal is not None and self._in_doubt(refusal)

    def hand_over(self, infos: Iterable[ObjectInfo], to: "Verdicts") -> None:
        """Where such an object could not be read, `to` is told so, as a doubt, and what it knows of it counts no more; nothing stays here."""
        if not self._refused:
            return
        for info in infos:
            key = _key(info)
            if (refusal := self._refused.pop(key, None)) is not None:
                to._known.pop(key, None)  # noqa: SLF001 - its own kind
                to._refused[key] = replace(refusal, doubted=True)  # noqa: SLF001
                _bound(to._refused)  # noqa: SLF001

    def remember(self, info: ObjectInfo, verdict: Verdict, detail: str = "") -> Verdict:
        """The verdict that stands: this one, or that the object cannot be read, where it was read meanwhile."""
        key = _key(info)
        before = self._refused.get(key)
        if verdict.reason is None:
            if before is not None and not self._in_doubt(before):
                return before.verdict  # its head looks well
            self._refused.pop(key, None)
            self._known[key] = verdict
            _bound(self._known)
            return verdict
        if before is None or before.verdict.reason != verdict.reason:
            self._metrics.unreadable[verdict.reason].inc()
            log.warning(
                "an object cannot be read", extra={"reason": verdict.reason, "detail": log_text(detail)}
            )
        self._known.pop(key, None)
        told = info.crc32c is not None and not info.claimed and not verdict.passing
        believed_s = FIRST_BELIEVED_S
        if before is not None and before.verdict.reason == verdict.reason:
            believed_s = (
                min(BELIEVED_S, 2 * before.believed_s) if self._in_doubt(before) else before.believed_s
            )
        until_s = None if told else self._clock() + believed_s
        self._refused[key] = _Refusal(verdict, until_s, believed_s)
        self._refused.move_to_end(key)
        _bound(self._refused)
        return verdict

    def doubt(self, info: ObjectInfo) -> None:
        """It is looked at again at once, unless a checksum tells that it is the same: a pusher may be about to put it right in place."""
        refusal = self._refused.get(_key(info))
        if refusal is not None and refusal.until_s is not None:
            self._refused[_key(info)] = replace(refusal, doubted=True)

    def keys_are(self, keys: object) -> None:
        """Doubts what a key may open, where the keys are others than last time: a wrong key cannot be told from damage."""
        if keys == self._keys:
            return
        self._keys = keys
        for key, refusal in self._refused.items():
            if refusal.verdict.reason in {"no_key", "damaged"}:
                self._refused[key] = replace(refusal, doubted=True)

    def _in_doubt(self, refusal: _Refusal) -> bool:
        return refusal.doubted or (refusal.until_s is not None and self._clock() >= refusal.until_s)


def _key(info: ObjectInfo) -> _Key:
    return info.name, info.size, info.crc32c


def _bound(memory: OrderedDict[_Key, Verdict] | OrderedDict[_Key, _Refusal]) -> None:
    if len(memory) > REMEMBERED_OBJECTS:
        memory.popitem(last=False)
