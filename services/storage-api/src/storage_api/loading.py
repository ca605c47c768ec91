"""From a passage to its packets, or to its PCM where older objects hold it, wherever they are by now.

Owns the fetch of one passage, and the second look for who wants one: an object that is gone when it is fetched was merged or deleted since it
was listed, so the conversation is looked at again and the same stretch of time taken from what is there now.
"""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

from audiobus.errors import BusUnavailableError
from audiocodec.span import preroll_after
from audiostore.batch import Batch
from audiostore.key_ring import KeyRing
from audiostore.legacy import AudioName
from audiostore.packed_batch import PackedBatch
from storage_api import reading
from storage_api.errors import BrokenAnswerError, SourceGoneError
from storage_api.older_sound import OlderSound, cut_out, join, stretches
from storage_api.passage import Passage, Sound, narrow, passages
from storage_api.recording import Recording, Recordings
from storage_api.timeline import Live, ObjectKey, Older, Play, Stored
from storage_api.workers import Workers

MAX_LOOKS: Final = 3
"""How often a stretch is looked for again before the answer breaks."""
QUICK_BYTES: Final = 256 * 1024
"""Objects up to this size may be opened on the event loop, where their packets need not be parted: a minute of speech, a third of a millisecond."""
QUICK_PACKETS: Final = 8192
"""And if they hold no more packets, as `audiocodec.ogg.packed` counts them."""


Loaded: TypeAlias = Sound | OlderSound


class Loader:
    """Fetches passages of a recording."""

    @property
    def recording(self) -> Recording:
        """Whose passages it fetches."""
        return self._recording

    @property
    def keys_version(self) -> int:
        """Of the keys that open its objects now."""
        return self._recordings.bucket.keys.version

    def __init__(
        self,
        recordings: Recordings,
        recording: Recording,
        workers: Workers,
        *,
        packed: bool = False,
        whole_preroll: bool = False,
    ) -> None:
        """`packed`: sounds may come with their packets not parted. `whole_preroll`: what is cut out of an object decodes to the very samples of the whole."""
        self._whole_preroll = whole_preroll
        self._packed = packed
        self._recordings = recordings
        self._recording = recording
        self._workers = workers

    def bytes_of(self, passage: Passage) -> int:
        """What is fetched for the passage, about."""
        source = passage.source
        if isinstance(source, Stored):
            return self._recording.by_key[source.key].size
        bytes_a_second = 32_000 if isinstance(source, Older) else 4_000
        return passage.samples // 48_000 * bytes_a_second

    async def load(self, passage: Passage) -> list[Loaded]:
        """The sounds of the passage, in order, out of the very objects and entries that it names: what a tag was given for.

        SourceGoneError: they are not there any more. UnreadableError: its object cannot be read. BrokenAnswerError: nor can the live tail.
        StoreError.
        """
        source = passage.source
        if isinstance(source, Older):
            return [await self._older(passage)]
        if isinstance(source, Live):
            tail = self._recording.tail
            assert tail is not None  # noqa: S101 - only where there is a tail are there plays in it
            try:
                spans = await tail.load(self._recordings.bus, self._recording.conversation, passage)
            except BusUnavailableError as error:
                raise BrokenAnswerError(f"the live tail cannot be read any more: {error}") from error
            return [*await self._workers.run(tail.sounds, passage, spans)]
        stored = self._recording.by_key[source.key]
        packed = self._packed and all(play.whole for play in passage.plays)
        bucket = self._recordings.bucket
        if packed:
            how, quick = partial(packed_sounds, passage), partial(quick_sounds, passage)
            sounds = await bucket.opened(stored, how, quick)
        else:
            parted = partial(sounds_of, passage, whole_preroll=self._whole_preroll)
            sounds = await bucket.opened(stored, parted)
        if sounds is None:
            detail = "its packets are not those its facts tell of"
            raise bucket.refuse(stored, "not_a_batch", detail)
        return [*sounds]

    async def load_wherever(self, passage: Passage, looks: int = MAX_LOOKS) -> list[Loaded]:
        """What is played at the time of the passage, wherever it lies by now: of the same audio, but not surely to the last bit.

        UnreadableError, BrokenAnswerError, StoreError as `load`; BrokenAnswerError also where it keeps moving. ProblemError where a second
        look finds the conversation deleted.
        """
        try:
            return await self.load(passage)
        except SourceGoneError as error:
            if not looks:
                raise BrokenAnswerError(f"{error}, at every look") from error
            return await self._look_again(passage, looks - 1)

    async def _older(self, passage: Passage) -> OlderSound:
        """Its objects side by side, each read once; of each only what is needed stays."""
        wanted: dict[ObjectKey, list[Play]] = {}
        for play in stretches(passage):
            assert isinstance(play.piece.source, Older)  # noqa: S101 - `passages` never mixes sources
            wanted.setdefault(play.piece.source.key, []).append(play)

        async def pieces(key: ObjectKey, plays: list[Play]) -> dict[Play, bytes]:
            pcm = await self._recordings.bucket.older(self._recording.by_key[key])
            return {play: cut_out(play, pcm) for play in plays}

        try:
            async with asyncio.TaskGroup() as tasks:
                reading = [tasks.create_task(pieces(key, plays)) for key, plays in wanted.items()]
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        return join(passage, {play: pcm for task in reading for play, pcm in task.result().items()})

    async def _look_again(self, passage: Passage, looks: int) -> list[Loaded]:
        recording = await self._recordings.look(self._recording.conversation)
        now = recording.timeline.window(passage.plays[0].start_48k, passage.plays[-1].end_48k)
        loader = Loader(self._recordings, recording, self._workers, whole_preroll=self._whole_preroll)
        sounds: list[Loaded] = []
        for part in passages(now.plays):
            sounds += await loader.load_wherever(part, looks)
        return sounds


def sounds_of(
    passage: Passage, name: AudioName, data: bytes, ring: KeyRing, *, whole_preroll: bool = False
) -> list[Sound] | None:
    """The sounds of a passage out of its whole object, else as `stored_sounds`. UnreadableError."""
    return stored_sounds(reading.open_batch(name, data, ring), passage, whole_preroll=whole_preroll)


def packed_sounds(passage: Passage, name: AudioName, data: bytes, ring: KeyRing) -> list[Sound] | None:
    """The same, their packets not parted where that can be. All that the object holds is played, and wholly. UnreadableError."""
    batch = reading.open_packed(name, data, ring)
    return stored_sounds(batch, passage) if isinstance(batch, Batch) else _unparted(batch, passage)


def quick_sounds(passage: Passage, name: AudioName, data: bytes, ring: KeyRing) -> list[Sound] | None:
    """The same where it takes a millisecond at the most; None where `packed_sounds` has to be asked. UnreadableError."""
    if len(data) > QUICK_BYTES:
        return None
    batch = reading.open_quickly(name, data, ring, QUICK_PACKETS)
    return None if batch is None else _unparted(batch, passage)


def _unparted(batch: PackedBatch, passage: Passage) -> list[Sound] | None:
    if [play.piece.span for play in passage.plays] != [batch.span]:
        return None
    return [Sound(batch.span, batch.preroll, batch.packets)]


def stored_sounds(batch: Batch, passage: Passage, *, whole_preroll: bool = False) -> list[Sound] | None:
    """The sounds of a passage out of its batch; None where the batch is not the one that its facts told of."""
    sounds = []
    for play in passage.plays:
        source, facts = play.piece.source, play.piece.span
        assert isinstance(source, Stored)  # noqa: S101 - `passages` never mixes sources
        if source.index >= len(batch.spans) or replace(batch.spans[source.index], packets=()) != facts:
            return None
        span, preroll = batch.spans[source.index], batch.preroll
        for before, after in zip(batch.spans[: source.index], batch.spans[1:], strict=False):
            goes_on = (before.epoch, before.end_offset) == (after.epoch, after.first_offset)
            preroll = preroll_after(preroll, before) if goes_on and not after.starts else ()
        sounds.append(narrow(span, preroll, play.start_48k, play.end_48k, whole_preroll=whole_preroll))
    return sounds
