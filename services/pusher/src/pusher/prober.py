"""The prober: sees by itself that a bucket is back, where no conversation of this process is left to try.

Others may have stored all that waited, and then nobody here would ask the bucket again: this pusher would count it as away for ever. Owns what
such a try is, and that nothing of it stays: first a look at the audio's names, then an object put beside them, for only a put shows that puts
work. Whether it is time is the circuit's to say; conversations come first.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from audiostore.errors import StoreError
from audiostore.names import ROOT
from pusher.buckets import Buckets
from pusher.circuit import Probe
from pusher.guarded_store import GuardedStore, without_names
from servicekit.ending import end
from servicekit.stop import Stop

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
PREFIX: Final = f"{ROOT}.tapedeck-probe-"
"""Of the objects that are put: where the audio goes, as rights may hang on that, and no id of a user begins with a dot."""
PUT_BYTES: Final = 64 * 1024
"""At least: a full disk takes an empty file. Where larger objects failed, as many as those had (`GuardedStore.proof_bytes`)."""
LANDS_MS: Final = 120_000
"""A put whose reply never came has landed by then, or never will."""
TIDY_MS: Final = 60_000
"""Between two times that what was put is taken away."""
STALE_MS: Final = 3_600_000
"""What other processes have put before that, they left: they were killed."""
LAST_WORD_S: Final = 1.0
"""For tries under way, and for taking away what was put, at the end."""


@dataclass(slots=True)
class _Left:
    """What may lie in a bucket. One name for all tries until it is gone: however many fail, one object is left at most."""

    name: str
    tried_ms: int
    tidy_ms: int = 0
    """When it is to be taken away, unix ms."""


@dataclass(slots=True)
class Prober:
    """Tries until it is asked to stop."""

    buckets: Buckets
    rng: random.Random = field(default_factory=random.Random)
    _left: dict[GuardedStore, _Left] = field(default_factory=dict)
    _trying: set[GuardedStore] = field(default_factory=set)
    _tidying: set[GuardedStore] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: Stop) -> None:
        """A look at each circuit every second. At the end, what was put is taken away where the bucket works."""
        while not stop.is_set():
            for bucket in self.buckets.all:
                self.look(bucket)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=min(LAST_WORD_S, stop.remaining_s()))
            await end(self._tasks)
        for bucket in [*self._left]:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._tidy(bucket), min(LAST_WORD_S, stop.remaining_s()))

    def look(self, bucket: GuardedStore) -> None:
        """Begins a try, if the bucket counts as away and no conversation has used its turn; or takes away what such a try has put.

        One try of each bucket at a time: those that hang must leave conversations their turns.
        """
        now_ms, left = bucket.now_ms(), self._left.get(bucket)
        if not bucket.circuit.closed:
            probe = None if bucket in self._trying else bucket.circuit.probe(now_ms, patient=True)
            if probe is not None:
                self._trying.add(bucket)
                self._begin(self._try(bucket, probe), "trying a bucket")
        elif left is not None and bucket not in self._tidying and not 0 < left.tidy_ms - now_ms <= TIDY_MS:
            self._begin(self._tidy(bucket), "tidying a bucket")

    def _begin(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _try(self, bucket: GuardedStore, probe: Probe) -> None:
        """Asks for a name, then puts an object: the bucket tells its circuit what came of it. The top of a task."""
        try:
            async for _ in bucket.list(ROOT):
                break
            now_ms = bucket.now_ms()
            fresh = _Left(f"{PREFIX}{now_ms}-{uuid.uuid4().hex}", now_ms)
            left = self._left.setdefault(bucket, fresh)
            left.tried_ms, left.tidy_ms = now_ms, 0
            data = self.rng.randbytes(max(PUT_BYTES, bucket.proof_bytes))
            await bucket.put(left.name, data, content_type="application/octet-stream", metadata={})
        except StoreError as error:
            # Also that the name is taken: by an earlier try, whose reply was lost. That is an answer.
            log.debug("the %s bucket was tried", bucket.name, extra={"error": without_names(error)})
        except Exception:
            # A defect, ours or a library's: the next try comes.
            log.critical("trying a bucket broke", exc_info=True)
        finally:
            self._trying.discard(bucket)
            bucket.circuit.end(probe)

    async def _tidy(self, bucket: GuardedStore) -> None:
        """Takes away what was put, and what pushers that were killed have left. The top of a task.

        Where that is refused, the circuit is told nothing: the bucket takes audio, and opening it would bring the next try.
        """
        left, now_ms = self._left[bucket], bucket.now_ms()
        left.tidy_ms = now_ms + TIDY_MS
        self._tidying.add(bucket)
        try:
            await bucket.untold.delete(left.name)
            if not 0 <= now_ms - left.tried_ms < LANDS_MS:
                for name in [info.name async for info in bucket.untold.list(PREFIX)]:
                    if is_stale(name, now_ms):
                        await bucket.untold.delete(name)
                # Unless it was tried again meanwhile.
                if self._left[bucket].tidy_ms:
                    del self._left[bucket]
        except StoreError as error:
            log.warning(
                "what was put to try the %s bucket may still be there",
                bucket.name,
                extra={"error": without_names(error)},
            )
        except Exception:
            # A defect, ours or a library's: it is tried again.
            log.critical("tidying a bucket broke", exc_info=True)
        finally:
            self._tidying.discard(bucket)


def is_stale(name: str, now_ms: int) -> bool:
    """Whether an object of this name was put so long ago that nobody is going to take it away."""
    put_ms = name.removeprefix(PREFIX).partition("-")[0]
    return put_ms.isascii() and put_ms.isdigit() and now_ms - int(put_ms[:15]) > STALE_MS
