"""The waveform of a stretch of a conversation: what is kept of it read, the rest made, all joined.

Owns what is read and made side by side: memory holds the pixels, and a few minutes of audio at the most. Pixels of time in which nothing is
played are zero, and so are those of what cannot be read, which is counted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audiobus import Conversation
from audiocodec.errors import CodecError
from audiocodec.peaks import PeakRow
from audiostore.errors import StoreError
from servicekit.problem import ProblemError
from storage_api.audio_plan import Selection, check, plan
from storage_api.audio_stream import in_order
from storage_api.errors import BrokenAnswerError, UnreadableError, log_text
from storage_api.loading import Loader
from storage_api.passage import Passage, passages
from storage_api.pcm_rendering import form_of
from storage_api.recording import Recording, store_unavailable
from storage_api.services import Services
from storage_api.stored_object import StoredObject
from storage_api.timeline import Live, ObjectKey, Play
from storage_api.turns import in_turns, side_by_side
from storage_api.waveforms.keeping import Keeper, kept_names
from storage_api.waveforms.kept_peaks import KeptPeaks, fingerprint
from storage_api.waveforms.making import passage_peaks, peaks_of
from storage_api.waveforms.pixels import MAX_PIXELS, Pixels

if TYPE_CHECKING:
    from array import array

MAX_PLANS: Final = 3
"""How often it is drawn anew because objects turned out to be unreadable, and others may hold the same. After that they are left out."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A waveform."""

    pixels: Pixels
    numbers: "array[int]"
    """For each pixel and channel the smallest and the largest sample, a byte each."""
    missing: int
    """Objects and entries that cannot be read."""
    live_known: bool
    """Whether what waits to be stored is in it."""


async def draw(
    services: Services,
    conversation: Conversation,
    samples_per_pixel: int,
    start_48k: int | None,
    end_48k: int | None,
) -> Drawn:
    """The waveform, in the form of the recording's first run.

    ProblemError as for audio: 404, 422 `too_long`, 503.
    """
    recording, names = await _found(services, conversation)
    plans = 0
    while True:
        plans += 1
        selected = Selection.of(recording)
        planned = await asyncio.to_thread(plan, selected, start_48k, end_48k, fill_gaps=True)
        check(planned, strict=False, live_known=recording.tail is not None)
        pixels = Pixels.of(
            form_of(*recording.first_form), samples_per_pixel, planned.start_48k, planned.end_48k
        )
        if pixels.count > MAX_PIXELS:
            detail = f"{pixels.count} pixels; {MAX_PIXELS} are possible: give more samples_per_pixel, or start and end"
            raise ProblemError(422, "too_long", detail)
        drawing = Drawing(services, recording, pixels, await _keeper(services, recording, names))
        await _unavailable_where_it_fails(drawing.run())
        if not drawing.refused or plans == MAX_PLANS:
            break
        recording = await services.recordings.judged_again(recording)
        names = await kept_names(services.bucket.store, conversation, services.metrics)
    silent_until = min(pixels.end_48k, recording.extent_48k[1])
    await services.workers.run(drawing.add_silence, planned.start_48k, silent_until)
    numbers = await services.workers.run(drawing.row.numbers)
    missing = planned.missing + drawing.refused + drawing.broken
    return Drawn(pixels, numbers, missing, recording.tail is not None)


async def _found(services: Services, conversation: Conversation) -> tuple[Recording, list[str] | None]:
    """The recording, and the names of what is kept of it: listed side by side, for each listing takes the bucket its time."""
    try:
        async with asyncio.TaskGroup() as tasks:
            finding = tasks.create_task(services.recordings.find(conversation))
            listing = tasks.create_task(kept_names(services.bucket.store, conversation, services.metrics))
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    return finding.result(), listing.result()


async def _keeper(services: Services, recording: Recording, names: list[str] | None) -> Keeper:
    bucket = services.bucket
    clear = await services.protection_of(recording) == "standard"
    puts = recording.tail is not None
    keeper = Keeper(
        bucket.store,
        bucket.keys.ring,
        services.bus,
        recording.conversation,
        services.metrics,
        clear=clear,
        puts=puts,
    )
    await keeper.sort(names, recording.objects)
    return keeper


async def _unavailable_where_it_fails(work: Awaitable[None]) -> None:
    """ProblemError 503 for what may work at the next try."""
    try:
        await work
    except StoreError as error:
        raise store_unavailable(error) from error
    except BrokenAnswerError as error:
        detail = "audio moved while it was looked for; try again"
        raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "1"}) from error


class Drawing:
    """Fills one row of pixels."""

    def __init__(self, services: Services, recording: Recording, pixels: Pixels, keeper: Keeper) -> None:
        self._workers = services.workers
        self._shared = services.drawn
        self._recording = recording
        self._loader = Loader(services.recordings, recording, services.workers)
        self._pixels = pixels
        self._keeper = keeper
        self._form = pixels.form
        self.row = PeakRow(pixels.first_block, pixels.count, self._form.channels, pixels.blocks_per_pixel)
        self.refused = 0
        """Objects that turned out to be unreadable, and are known to be from now on."""
        self.broken = 0
        """Those whose packets do not decode."""
        self._failed: list[Play] = []

    async def run(self) -> None:
        """Reads and makes. BrokenAnswerError, StoreError, ProblemError."""
        waiting = await self._add_kept()
        jobs = [self._object_job(stored, plays) for stored, plays in waiting]
        jobs += [self._live_job(passage) for passage in await asyncio.to_thread(self._live)]
        async with aclosing(in_order(jobs)) as made:
            async for pieces in made:
                for first_block, peaks in pieces:
                    self.row.add(first_block, peaks)

    def add_silence(self, start_48k: int, end_48k: int) -> None:
        """Zeros from `start_48k` to `end_48k` where nothing is played, or could be."""
        frames = self._form.frames
        for gap in self._recording.timeline.holes(start_48k, end_48k):
            self.row.add_silence(frames(gap.start_48k), frames(gap.end_48k))
        for play in self._failed:
            self.row.add_silence(frames(play.start_48k), frames(play.end_48k))

    async def _add_kept(self) -> list[tuple[StoredObject, list[Play]]]:
        """Adds what is kept; the objects of which nothing is, with their plays."""
        found: dict[ObjectKey, KeptPeaks | None] = {}

        async def read(one: tuple[StoredObject, list[Play]]) -> None:
            stored, plays = one
            found[stored.key] = await self._keeper.read(stored, fingerprint(stored, plays, self._form))

        touched = await asyncio.to_thread(self._objects)
        # For as many at a time as an hour has minutes: a bucket takes as long for one as for all of them.
        await side_by_side([one async for one in in_turns(touched) if self._keeper.keeps(one[0])], read)
        waiting = []
        async for stored, plays in in_turns(touched):
            kept = found.get(stored.key)
            if kept is None:
                waiting.append((stored, plays))
            else:
                self.row.add(kept.first_block, kept.peaks)
        return waiting

    def _objects(self) -> list[tuple[StoredObject, list[Play]]]:
        """The objects that play anything in the pixels' time, each with all its plays, whenever."""
        found: dict[ObjectKey, list[Play]] = {}
        for play in self._recording.timeline.plays:
            source = play.piece.source
            if not isinstance(source, Live):
                found.setdefault(source.key, []).append(play)
        start, end = self._pixels.start_48k, self._pixels.end_48k
        return [
            (self._recording.by_key[key], plays)
            for key, plays in found.items()
            if any(play.start_48k < end and play.end_48k > start for play in plays)
        ]

    def _live(self) -> list[Passage]:
        window = self._recording.timeline.window(self._pixels.start_48k, self._pixels.end_48k)
        return list(passages(play for play in window.plays if isinstance(play.piece.source, Live)))

    def _object_job(
        self, stored: StoredObject, plays: list[Play]
    ) -> Callable[[], Awaitable[list[tuple[int, bytes]]]]:
        async def make() -> list[tuple[int, bytes]]:
            print_of_it = fingerprint(stored, plays, self._form)
            key = (self._recording.conversation, stored.key, stored.info.crc32c, print_of_it)
            try:
                kept = await self._shared.of(key, lambda: self._made(stored, plays, print_of_it))
            except UnreadableError:
                self.refused += 1
                self._failed += plays
                return []
            except CodecError as error:
                self._broken(plays, error)
                return []
            return [(kept.first_block, kept.peaks)]

        return make

    async def _made(self, stored: StoredObject, plays: list[Play], print_of_it: bytes) -> KeptPeaks:
        """The peaks of an object, kept if they may be. Errors as `peaks_of`."""
        row = await peaks_of(plays, self._form, self._loader, self._workers)
        kept = KeptPeaks(self._form, row.first_block, row.peaks, print_of_it)
        await self._keeper.keep(stored, kept)
        return kept

    def _live_job(self, passage: Passage) -> Callable[[], Awaitable[list[tuple[int, bytes]]]]:
        async def make() -> list[tuple[int, bytes]]:
            try:
                return await passage_peaks(passage, self._form, self._loader, self._workers)
            except UnreadableError:  # of what it was stored as meanwhile
                self.refused += 1
                self._failed += passage.plays
            except CodecError as error:
                self._broken(passage.plays, error)
            return []

        return make

    def _broken(self, plays: list[Play] | tuple[Play, ...], error: CodecError) -> None:
        self.broken += 1
        self._failed += plays
        log.error("audio of a waveform does not decode", extra={"reason": log_text(error)})
