"""How long an ogg answer will be, and where in it one can begin, from what its sounds take: most of them need not be opened for it.

Owns the rehearsal of a rendering: the same sounds in the same order, counted instead of written. What a run takes stands in its object's
metadata, where the writer of the object put it. Pure but for `ogg_length`, which opens the few objects of which not all is played.
"""

import asyncio
import functools
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from audiocodec.errors import CodecError
from audiocodec.ogg import OggOpusWriter, OpusHead, OpusTags, PackedPackets, Paged, paged
from audiocodec.ogg.page import HEADER_BYTES
from audiocodec.silence import silent_packets
from audiocodec.span import Span
from audiostore.batch import BatchFacts
from audiostore.errors import StoreError
from storage_api.audio_plan import AudioPlan, Planned
from storage_api.errors import BrokenAnswerError, UnreadableError
from storage_api.loading import Loaded, Loader
from storage_api.ogg_rendering import OggRendering, Standing, packet_samples
from storage_api.passage import Passage, Sound
from storage_api.recording import Recording
from storage_api.timeline import Live, Older
from storage_api.workers import Workers

MAX_OPENED: Final = 8
"""So many objects are opened for a length, beside those that are fetched ahead anyway. Where it takes more, there is none."""


@dataclass(frozen=True, slots=True)
class ToldSound:
    """A sound that was not fetched."""

    span: Span
    """Without packets."""
    paged: Paged
    preroll: tuple[bytes, ...] = ()


PartSounds: TypeAlias = Sequence[Sound | ToldSound]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place between two pages at which the answer can be gone on with."""

    at_byte: int
    part: int
    """Of the plan: what comes next, or their number where nothing but silence does."""
    sound: int
    """Which of the part's sounds comes next."""
    standing: Standing | None
    """None before the first page."""


@dataclass(frozen=True, slots=True)
class OggLength:
    """What is known of an answer before it is made."""

    size: int
    """Bytes."""
    marks: tuple[Mark, ...]
    """In their order."""
    told: Mapping[int, Sequence[Paged]]
    """By part: what its sounds must take, because metadata said so, or because they did when they were counted."""

    def before(self, at_byte: int) -> Mark:
        """The last mark that is not after this byte, which is one of the answer's."""
        return self.marks[bisect_right(self.marks, at_byte, key=lambda mark: mark.at_byte) - 1]


async def ogg_length(
    rehearsal: "Rehearsal", audio: AudioPlan, recording: Recording, loader: Loader, workers: Workers
) -> OggLength | None:
    """The length of the plan's answer; None where it takes too much to know it. `rehearsal` is as the rendering will be.

    SourceGoneError: an object is not there any more.
    """
    told = await asyncio.to_thread(_all_told, recording, audio)
    if told is None:
        return None
    try:
        async with asyncio.TaskGroup() as tasks:
            fetching = {
                index: tasks.create_task(_fetched(loader, part))
                for index, part in enumerate(audio.parts)
                if index not in told
            }
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    parts: list[PartSounds] = []
    for index in range(len(audio.parts)):
        sounds = told[index] if index in told else fetching[index].result()
        if sounds is None:
            return None
        parts.append(sounds)
    try:
        return await workers.run(rehearsal.length, parts, audio)
    except CodecError:
        return None  # it will break off where this is


def _all_told(recording: Recording, audio: AudioPlan) -> dict[int, list[ToldSound]] | None:
    """The sounds of all parts that need not be opened, by part; None where too many must be, or where audio has to be encoded first."""
    told: dict[int, list[ToldSound]] = {}
    opened = 0
    for index, part in enumerate(audio.parts):
        if isinstance(part.passage.source, Older):
            return None
        # The first sound has its pre-roll before it, of which nobody told.
        known = _told(recording, part.passage) if index else None
        if known is not None:
            told[index] = known
        elif part.sounds is None and not _waits_here(recording, part):
            opened += 1
    return told if opened <= MAX_OPENED else None


def check_told(sounds: Sequence[Loaded], told: Sequence[Paged] | None) -> None:
    """BrokenAnswerError where sounds take something else than was told of them: everything after them would be shifted."""
    if told is not None and [_takes(sound) for sound in sounds] != list(told):
        raise BrokenAnswerError("the packets of an object are not as long as was told")


def _takes(sound: Loaded) -> Paged | None:
    return _paged(sound) if isinstance(sound, Sound) else None


def _paged(sound: Sound | ToldSound) -> Paged:
    if isinstance(sound, ToldSound):
        return sound.paged
    if sound.packed is not None:
        return sound.packed.paged
    return paged((len(packet), packet_samples(packet)) for packet in sound.span.packets)


def _told(recording: Recording, passage: Passage) -> list[ToldSound] | None:
    """The sounds of a passage as its object's metadata tells them; None where it does not, or not all of a run is played."""
    source = passage.source
    if isinstance(source, Live | Older) or not all(play.whole for play in passage.plays):
        return None
    facts = recording.by_key[source.key].verdict.facts
    if not isinstance(facts, BatchFacts) or facts.pages is None:
        return None
    return [ToldSound(play.piece.span, facts.pages[play.piece.source.index]) for play in passage.plays]


def _waits_here(recording: Recording, part: Planned) -> bool:
    """Whether it is of the live tail, and in memory."""
    if recording.tail is None or not isinstance(part.passage.source, Live):
        return False
    return all(recording.tail.chunks[play.piece.source.index].span.packets for play in part.passage.plays)


async def _fetched(loader: Loader, part: Planned) -> list[Sound] | None:
    try:
        loaded = part.sounds if part.sounds is not None else await loader.load(part.passage)
    except (UnreadableError, BrokenAnswerError, StoreError):
        return None  # the answer tells it
    sounds = [sound for sound in loaded if isinstance(sound, Sound)]
    return sounds if len(sounds) == len(loaded) else None


class Rehearsal(OggRendering):
    """A rendering that writes nothing."""

    def length(self, parts: Sequence[PartSounds], audio: AudioPlan) -> OggLength:
        """The length of the file of these sounds. CodecError: they are none."""
        self._marks: list[Mark] = [Mark(0, 0, 0, None)]
        for self._part, sounds in enumerate(parts):
            for self._sound, sound in enumerate(sounds):
                self._mark()
                for _ in self.sound(sound, audio.start_48k):  # type: ignore[arg-type]
                    pass
        self._part, self._sound = len(parts), 0
        if audio.fill_gaps:
            for _ in self.silence_until(audio.start_48k, audio.end_48k):
                pass
        self.finish()
        size = self._count.bytes
        marks = tuple(mark for mark in self._marks if mark.at_byte < size)
        told = {index: [_paged(sound) for sound in sounds] for index, sounds in enumerate(parts)}
        return OggLength(size, marks, told)

    def _new_writer(self, head: OpusHead, tags: OpusTags) -> "Count":
        self._count = Count(head, tags, self._serial)
        return self._count

    def _mark(self) -> None:
        if self._writer is None:
            return
        count = self._count
        count.break_page()
        standing = Standing(self._pre_skip, count.pages, count.granule, self._clock, self._padding)
        self._marks.append(Mark(count.bytes, self._part, self._sound, standing))

    def _played(self, sound: Sound | ToldSound) -> Iterator[bytes]:
        if isinstance(sound, Sound):
            yield from super()._played(sound)
        elif sound.paged.pages:
            span = sound.span
            self._skip(sound.paged, span.lead + span.samples + span.trim)
            self._padding = span.trim

    def _silent(self, samples: int) -> Iterator[bytes]:
        self._mark()
        self._skip(_silence_takes(samples, self._channels), samples)
        yield from ()

    def _skip(self, takes: Paged, samples: int) -> None:
        self._count.skip(takes, samples)
        self._clock += samples


@functools.lru_cache(maxsize=1024)
def _silence_takes(samples: int, channels: int) -> Paged:
    return paged((len(packet), packet_samples(packet)) for packet in silent_packets(samples, channels))


class Count:
    """Counts as OggOpusWriter writes."""

    def __init__(self, head: OpusHead, tags: OpusTags, serial: int) -> None:
        self._headers = OggOpusWriter(head, tags, serial)
        self._group: list[tuple[int, int]] = []
        self.pages = 0
        self.bytes = 0
        self.granule = 0

    def start(self) -> bytes:
        """Two pages of headers."""
        self.pages, self.bytes = 2, len(self._headers.start())
        return b""

    def packet(self, data: bytes, samples: int) -> bytes:
        """A packet."""
        self._group.append((len(data), samples))
        self.granule += samples
        return b""

    def packets(self, packets: Sequence[bytes], durations: Sequence[int]) -> bytes:
        """Packets, and how long they are."""
        self._group += zip(map(len, packets), durations, strict=True)
        self.granule += sum(durations)
        return b""

    def packed(self, packets: PackedPackets) -> Sequence[bytes]:
        """Packets of one duration. Only their last page may be gone on with."""
        first, samples = 0, packets.samples
        if not self._group:
            first = packets.last_page
            whole = packets.sizes[:first]
            pages = first // packets.page_packets
            self._add(Paged(pages, pages * HEADER_BYTES + first + sum(whole)))
        self._group += ((size, samples) for size in packets.sizes[first:])
        self.granule += len(packets) * samples
        return ()

    def break_page(self) -> None:
        """The next packet begins a page."""
        self._add(paged(self._group))
        self._group.clear()

    def skip(self, takes: Paged, samples: int) -> None:
        """Packets that begin a page, after which the next one does as well."""
        self.break_page()
        self._add(takes)
        self.granule += samples

    def finish(self, trim: int = 0) -> bytes:
        """The end, which takes nothing more."""
        del trim
        self.break_page()
        return b""

    def _add(self, takes: Paged) -> None:
        self.pages += takes.pages
        self.bytes += takes.bytes
