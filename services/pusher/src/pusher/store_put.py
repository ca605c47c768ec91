"""Store, then finish: the one place where audio leaves Redis.

The order must hold. `finish` deletes the only other copy, so it comes after the store has confirmed the whole object, or said that an
object of that name holds the same runs, and is whole. A crash anywhere between leaves the cut standing, and whoever finds it makes the
same object again under the same name. The tombstone is looked at on both sides of the put: before it, to put nothing that was
deleted; after it, because a deletion may have listed the bucket while the put was on its way. And whoever finds that the cut stands no more looks
whether its object must not be there: a process may have been paused before its put for longer than anybody sweeps.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from audiobus.bus import Bus
from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiobus.deletions import drop_cut, gone
from audiobus.replacing import not_counting
from audiostore.batch import Batch
from audiostore.errors import AlreadyExistsError, NotFoundError, StoreError, TransientStoreError
from audiostore.key_ring import KeyRing
from audiostore.sealing import MAGIC
from audiostore.store import Store
from pusher.batch_builder import Built
from pusher.bucket_search import holds
from pusher.errors import UnsealedError
from pusher.object_facts import object_facts, same_runs
from pusher.protection import sealed_by
from pusher.reason import HURRIED
from pusher.wholeness import is_just, whole_batch

log = logging.getLogger(__name__)


class Outcome(Enum):
    """What came of a cut."""

    STORED = auto()
    """The object is there and the entries are gone."""
    FOUND = auto()
    """The same, but an earlier try had put it."""
    NOTHING_TO_PUT = auto()
    """The entries are gone; none needed an object."""
    TAKEN = auto()
    """The name holds other runs: the cut needs another name."""
    DAMAGED = auto()
    """The name holds an object that says it is ours, and is not what was sent. `store_then_finish` gives the cut up for that, and answers OVERTAKEN."""
    DELETED = auto()
    """A tombstone stands: nothing stays in the bucket."""
    MARKED = auto()
    """Its user has deleted what they recorded up to now: the buffer must be cleared first. The cut stands, its object may be there."""
    OVERTAKEN = auto()
    """The cut no longer stands: somebody else has finished it, or it was given up just now, because its object is damaged."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A cut that stands, and what it comes to."""

    conversation: Conversation
    cut: Cut
    raw: bytes
    """The cut as it stands in Redis, byte for byte."""
    built: Built
    ring: KeyRing
    """Opens an object that has the name already."""
    before_ms: int = 0
    """The user's tombstone by which the buffer was cleared before, unix ms; 0 for none."""
    just_cut: bool = False
    """It was written down a moment ago, by a script that found no tombstone: that was the look before the put."""
    look_first: bool = False
    """Nobody could look, before the cut, what lies in this bucket: it may hold the same audio, perhaps under other names."""


async def store_then_finish(bus: Bus, store: Store, prepared: Prepared, now_ms: int) -> Outcome:
    """Puts the object and, only then, settles its entries.

    Raises:
        StoreError: it is not known to be stored; nothing was settled.
        CannotTellError: something lies there under that name that only a missing key can open; nothing was settled.
        BusUnavailableError: it may be settled or not; do the same again.
    """
    outcome = await _store(bus, store, prepared, now_ms)
    if outcome in _IS_THERE and not await _finish(bus, prepared, now_ms):
        outcome = Outcome.OVERTAKEN
    if outcome in (Outcome.OVERTAKEN, Outcome.MARKED):
        await _remove_what_must_not_stay(bus, store, prepared)
    return outcome


_IS_THERE = (Outcome.STORED, Outcome.FOUND, Outcome.NOTHING_TO_PUT)


async def _finish(bus: Bus, prepared: Prepared, now_ms: int) -> bool:
    """Settles the entries; False where the cut stands no more."""
    built = prepared.built
    return await bus.finish(
        prepared.conversation,
        prepared.raw,
        last=prepared.cut.last_id,
        preroll=built.preroll,
        samples=built.samples,
        ends=built.ends,
        now_ms=now_ms,
        hurried=prepared.cut.reason in HURRIED,
    )


async def _remove_what_must_not_stay(bus: Bus, store: Store, prepared: Prepared) -> None:
    """Takes the object away again if it was deleted, or its name given up with its cut: nobody relies on what has such a name."""
    name = prepared.cut.name
    if name and name in await gone(bus, prepared.conversation, confirmed=True):
        await store.delete(name)


async def _store(bus: Bus, store: Store, prepared: Prepared, now_ms: int) -> Outcome:
    """Sees to it that the object is there. STORED and FOUND mean that it is, whole."""
    batch, name = prepared.built.batch, prepared.cut.name
    if batch is None or not name:
        return Outcome.NOTHING_TO_PUT
    if sealed_by(prepared.cut) and not prepared.built.data.startswith(MAGIC):
        raise UnsealedError(f"the object {name.rpartition('/')[2]} must be sealed and is not")
    # A user's tombstone since then is met after the put: the buffer is cleared, and the object is one of those that must not stay.
    if not prepared.just_cut and (deleted := await _deleted(bus, prepared)) is not None:
        return deleted
    if prepared.look_first and await _lies_there(bus, store, prepared, batch):
        return Outcome.FOUND
    try:
        outcome = await put(store, name, prepared.built, prepared.ring)
    except StoreError:
        # It may be there all the same, and if the cut stands no more, nobody comes again to see.
        with suppress(StoreError):
            await _remove_what_must_not_stay(bus, store, prepared)
        raise
    if outcome is Outcome.DAMAGED:
        # It is not taken away here: a pusher that was paused in the middle of that could take away what another has put in its place.
        # Its name is given up with the cut instead, and nobody needs what has such a name.
        await drop_cut(bus, prepared.conversation, prepared.raw, name, now_ms)
        return Outcome.OVERTAKEN
    if outcome is not Outcome.TAKEN and (deleted := await _deleted(bus, prepared)) is not None:
        if deleted is Outcome.DELETED:
            await store.delete(name)
        return deleted
    return outcome


async def put(store: Store, name: str, built: Built, ring: KeyRing) -> Outcome:
    """Puts the object, create-only: STORED; or what has the name already: FOUND, TAKEN or DAMAGED.

    Raises:
        StoreError: it is not known to be there.
        CannotTellError: only a missing key could tell what lies there.
    """
    try:
        await store.put(name, built.data, content_type=built.content_type, metadata=built.metadata)
    except AlreadyExistsError:
        return await _what_lies_there(store, name, built, ring)
    return Outcome.STORED


async def _what_lies_there(store: Store, name: str, built: Built, ring: KeyRing) -> Outcome:
    """FOUND, TAKEN or DAMAGED: what has the name that `built` should have.

    Raises:
        TransientStoreError: nothing that could be seen.
        StoreError, CannotTellError: it could not be looked at.
    """
    batch = built.batch
    try:
        info = await store.head(name)
        facts = await object_facts(store, info, ring)
        if batch is None or not same_runs(facts, batch):
            return Outcome.TAKEN
        if is_just(info, built.data) or same_runs(await whole_batch(store, info, ring), batch):
            # It is no rest of what is cut out, which may be taken away again: no cut gets an announced name, and while it stands its name is not announced.
            return Outcome.FOUND
    except NotFoundError as error:
        # Being removed, by another pusher whose answer was garbled, or a bucket that cannot be seen for now. Under another name it
        # could come to lie there twice.
        raise TransientStoreError(
            "the name was taken, and then nothing was to be seen there: tried again"
        ) from error
    log.error("an object is damaged: its audio is stored anew", extra={"object": name.rpartition("/")[2]})
    return Outcome.DAMAGED


async def _lies_there(bus: Bus, store: Store, prepared: Prepared, batch: Batch) -> bool:
    """Whether the bucket holds the same audio, perhaps under other names."""
    # What lies under these names is about to be deleted.
    without = await gone(bus, prepared.conversation)
    unsure = partial(not_counting, bus, prepared.conversation)
    held = await holds(
        store, prepared.ring, prepared.conversation, batch.spans, without=without, unsure=unsure
    )
    return held is not None


async def _deleted(bus: Bus, prepared: Prepared) -> Outcome | None:
    """What was deleted since the buffer was cleared."""
    found = await bus.marks(prepared.conversation)
    if found.deleted:
        return Outcome.DELETED
    return Outcome.MARKED if found.before_ms > prepared.before_ms else None
