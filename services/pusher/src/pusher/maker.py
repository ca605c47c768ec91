"""The maker: builds and seals objects in threads of its own, so that the event loop goes on meanwhile.

Owns the threads and the way to the keys. What a file holds is `batch_builder`'s business, how it is sealed `audiostore.sealing`'s. Both
are short (milliseconds) and hold Python's lock for most of it: more threads than these would only slow the loop down.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, TypeVar

from audiobus.conversation import Conversation
from audiobus.cut import Stored
from audiobus.state import PreRoll
from audiostore import sealing
from audiostore.batch import BatchFile
from audiostore.key_ring import KeySource
from audiostore.sealed_batch import seal_batch
from audiostore.store import MAX_OBJECT_BYTES
from pusher.arrived import Arrived
from pusher.batch_builder import Built, build
from pusher.canary import UNFORESEEN, sings
from pusher.errors import BuildError, DefectError, NoKeyError, ObjectTooLargeError
from pusher.seam import LONGEST_SAMPLES

log = logging.getLogger(__name__)

THREADS: Final = 2

_R = TypeVar("_R")


class Maker:
    """Makes objects."""

    def __init__(self, keys: KeySource | None = None, *, most_bytes: int = MAX_OBJECT_BYTES) -> None:
        """`keys`: where the ring comes from that seals them; asked anew for each object. `most_bytes`: what stores take."""
        self.keys = keys or KeySource()
        self.most_bytes = most_bytes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="maker")

    async def make(
        self,
        conversation: Conversation,
        arrived: Sequence[Arrived],
        preroll: PreRoll | None,
        exclude: Sequence[Stored],
        *,
        sealed: bool,
        context_samples: int = LONGEST_SAMPLES,
    ) -> Built:
        """What `build` makes of these entries; with `sealed` its data are the sealed file, another one each time. `context_samples`: as for `build`.

        Raises:
            BuildError: no file can be made of them, or none that a store takes (ObjectTooLargeError).
            DefectError: no file can be made of any.
            NoKeyError: it must be sealed, and there is no key.
        """
        entries = tuple(arrived)  # the buffer may grow meanwhile

        def work() -> Built:
            built = _build(conversation, entries, preroll, exclude, context_samples)
            if sealed and built.batch:
                built = self._seal(conversation, built)
            if len(built.data) > self.most_bytes:
                raise ObjectTooLargeError(
                    f"entries {entries[0].id} to {entries[-1].id}: an object of {len(built.data)} bytes; {self.most_bytes} is the most"
                )
            return built

        return await self._run(work)

    async def close(self) -> None:
        """Waits for what is being made."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def _seal(self, conversation: Conversation, built: Built) -> Built:
        ring = self.keys.ring()
        if not ring:
            raise NoKeyError(
                "the audio must be sealed and there is no key: it waits in Redis; set TAPEDECK_ENCRYPTION_KEYS or "
                "TAPEDECK_ENCRYPTION_KEYS_FILE (`tapedeck keys new` makes an entry)"
            )
        sealed = seal_batch(BatchFile(built.data, built.metadata), ring, conversation.uid)
        return replace(built, data=sealed.data, content_type=sealing.CONTENT_TYPE, metadata=sealed.metadata)

    async def _run(self, work: Callable[[], _R]) -> _R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _build(
    conversation: Conversation,
    entries: Sequence[Arrived],
    preroll: PreRoll | None,
    exclude: Sequence[Stored],
    context_samples: int,
) -> Built:
    """What `build` makes of them; what nobody foresaw is theirs only where this build makes files of others."""
    try:
        return build(conversation.cid, entries, preroll, exclude, context_samples=context_samples)
    except UNFORESEEN as error:
        if not sings():
            raise DefectError(f"this build makes no files: {type(error).__name__}: {error}") from error
        log.exception("entries met a defect")
        raise BuildError(
            f"entries {entries[0].id} to {entries[-1].id}: {type(error).__name__}: {error}"
        ) from error
