"""Kept waveforms of one conversation: listed, read, put, and taken back.

Owns the order that must hold: put, then look whether the audio is still there. Whoever deletes audio deletes what is derived from it
afterwards; so one of the two sees the other, and nothing is left of what was deleted. What a killed process left is found by whoever lists
next. Nothing is put where Redis cannot tell of deletions. A failure here costs time, never an answer.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from audiobus import Bus, Conversation
from audiobus.errors import BusUnavailableError
from audiostore import sealing
from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    KeyRingError,
    NotFoundError,
    SealError,
    StoreError,
    TooLargeError,
)
from audiostore.key_ring import KeyRing
from audiostore.store import Store
from audiostore.waveform_names import (
    CONTENT_TYPE,
    audio_name,
    conversation_waveforms,
    waveform_name,
    waveform_names,
)
from servicekit.ending import see_out
from storage_api.errors import UnreadableError, log_text
from storage_api.metrics import StorageMetrics
from storage_api.stored_object import StoredObject
from storage_api.turns import in_turns
from storage_api.waveforms.kept_peaks import KeptPeaks

MAX_ORPHANS: Final = 100
"""Left-overs that one request clears away."""

log = logging.getLogger(__name__)


async def kept_names(store: Store, conversation: Conversation, metrics: StorageMetrics) -> list[str] | None:
    """Names of the waveforms that are kept of the conversation; None where they cannot be listed, which is logged."""
    try:
        with metrics.bucket_request("list"):
            return [info.name async for info in store.list(conversation_waveforms(*conversation))]
    except StoreError as error:
        log.warning("kept waveforms cannot be listed", extra={"reason": log_text(error)})
        return None


class Keeper:
    """Keeps waveforms of one conversation, for one request."""

    def __init__(
        self,
        store: Store,
        ring: KeyRing,
        bus: Bus,
        conversation: Conversation,
        metrics: StorageMetrics,
        *,
        clear: bool,
        puts: bool,
    ) -> None:
        """`clear`: those of plain objects may be kept in the clear. `puts`: any may be kept."""
        self._store = store
        self._ring = ring
        self._bus = bus
        self._conversation = conversation
        self._metrics = metrics
        self._clear = clear
        self._puts = puts
        self._listed: set[str] = set()

    async def sort(self, names: Iterable[str] | None, objects: Iterable[StoredObject]) -> None:
        """Takes what is kept, as `kept_names` listed it before or after the objects were.

        What was derived from an object that is neither among these nor in the bucket goes.
        """
        self._listed = set()
        if names is None:
            self._puts = False  # it may be away
            return
        known = {stored.info.name for stored in objects}
        orphans = []
        async for name in in_turns(list(names)):
            audio = audio_name(name)
            if audio in known:
                self._listed.add(name)
            elif audio is not None:
                orphans.append((audio, name))
        with self._made_light_of("waveforms without audio cannot be cleared away"):
            for audio, name in orphans[:MAX_ORPHANS] if self._puts else ():
                if await self._audio_gone(audio):
                    await self._store.delete(name)

    def keeps(self, stored: StoredObject) -> bool:
        """Whether something is kept of it."""
        return self._keepable(stored) and bool(self._names(stored))

    async def read(self, stored: StoredObject, fingerprint: bytes) -> KeptPeaks | None:
        """What is kept of it with this fingerprint; None where that is nothing."""
        for name in self._names(stored):
            with self._made_light_of("a kept waveform cannot be read"):
                try:
                    with self._metrics.bucket_request("get"):
                        data = await self._store.get(name)
                except NotFoundError:
                    continue
                kept = self._opened(name, data)
                if kept.fingerprint == fingerprint:
                    return kept
        return None

    async def keep(self, stored: StoredObject, kept: KeptPeaks) -> None:
        """Keeps these peaks of the object, in place of any others. Not torn where its request is cancelled, however often: bucket calls have deadlines."""
        if not self._puts or not self._keepable(stored):
            return
        sealed = stored.name.sealed or not self._clear
        try:
            data = kept.encode()
            data = sealing.seal(data, self._ring, self._conversation.uid) if sealed else data
        except KeyRingError:
            return  # a plain object of a user who is enhanced by now, and there is no key: made each time
        putting = asyncio.create_task(self._put(stored, waveform_name(stored.info.name, sealed=sealed), data))
        await see_out(putting)
        putting.result()

    async def _put(self, stored: StoredObject, name: str, data: bytes) -> None:
        with self._made_light_of("a waveform cannot be kept"):
            for other in self._names(stored):
                await self._store.delete(other)
            try:
                with suppress(AlreadyExistsError):  # another process was as fast: it made the same
                    await self._store.put(name, data, content_type=CONTENT_TYPE, metadata={})
            finally:
                # Also where the put failed: it may have come about. What cannot be known to be there counts as deleted.
                gone = True
                try:
                    gone = await self._audio_gone(stored.info.name)
                finally:
                    if gone:
                        await self._store.delete(name)

    async def _audio_gone(self, name: str) -> bool:
        """Whether the object, or its conversation, is deleted. Where Redis does not tell, it counts as deleted. StoreError."""
        try:
            if await self._bus.tombstone(self._conversation):
                return True
        except BusUnavailableError:
            self._puts = False
            return True
        try:
            await self._store.head(name)
        except NotFoundError:
            return True
        return False

    def _names(self, stored: StoredObject) -> list[str]:
        return [name for name in waveform_names(stored.info.name) if name in self._listed]

    def _keepable(self, stored: StoredObject) -> bool:
        """Not where two buckets have its name: which of the two a kept one is of, its name does not say."""
        return not stored.second and stored.info.beside is None

    def _opened(self, name: str, data: bytes) -> KeptPeaks:
        if name == waveform_name(audio_name(name) or "", sealed=True):
            data = sealing.open_sealed(data, self._ring, self._conversation.uid)
        return KeptPeaks.decode(name, data)

    @contextmanager
    def _made_light_of(self, what: str) -> Iterator[None]:
        """Logs what goes wrong inside of it: kept waveforms can be made from the audio at any time."""
        try:
            yield
        except (ChecksumError, TooLargeError, SealError, UnreadableError) as error:
            log.warning(what, extra={"reason": log_text(error)})
        except StoreError as error:
            self._puts = False  # it may be away, or take nothing: one line for a request is enough
            log.warning(what, extra={"reason": log_text(error)})
