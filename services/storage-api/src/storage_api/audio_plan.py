"""The plan of an audio answer: which passages, where each lies in the answer, how long it is, what is missing.

Owns the look ahead: the first objects are fetched before the first byte of the answer, so that what cannot be read is known in time
for its headers. What is promised here, length above all, the answer keeps or breaks off.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, compress
from typing import Final

from audiostore.errors import StoreError
from audiostore.legacy import samples_by_size
from servicekit.problem import ProblemError
from storage_api.checked_objects import CheckedObjects
from storage_api.errors import BrokenAnswerError, UnreadableError
from storage_api.loading import Loaded, Loader
from storage_api.passage import Passage, passages
from storage_api.recording import Recording, extent_48k, live_unavailable, store_unavailable
from storage_api.services import MISSING_HEADER
from storage_api.stored_object import StoredObject
from storage_api.timeline import Timeline
from storage_api.unheard import Placed

AHEAD_BYTES: Final = 3 * 1024 * 1024
"""Audio that is fetched before the first byte, and kept until it is played: about a quarter of an hour of speech, or two minutes of older audio."""
AHEAD_AT_ONCE: Final = 16
"""Passages that are fetched together: the first ones in any case."""
AHEAD_MOST: Final = 64
"""So many together, where by their sizes they are not too much: of a bucket that takes its time each further round of calls is a wait."""
WORTH_BYTES: Final = AHEAD_BYTES // 4
"""With less than this left of what may be fetched there is no further round."""
MAX_FILLED_SAMPLES: Final = 24 * 3600 * 48_000
"""The longest answer with gaps filled: a day."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A passage and where its first sample lies, in samples at 48 kHz since the answer's first."""

    passage: Passage
    position_48k: int
    sounds: tuple[Loaded, ...] | None = None
    """Its packets or PCM, where they were fetched already."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a recording is wanted: all of it, or some chunks."""

    timeline: Timeline
    unreadable: tuple[StoredObject, ...]
    unheard: tuple[Placed, ...]
    """What Redis holds and nobody can hear."""

    @classmethod
    def of(cls, recording: Recording) -> "Selection":
        """All of it."""
        return cls(recording.timeline, tuple(recording.unreadable), recording.unheard)

    @property
    def extent_48k(self) -> tuple[int, int]:
        """From its first sample to the end of its last, with what cannot be read; (0, 0) where no audio lies but in Redis, and none of it can be heard."""
        if not self.timeline.plays and not self.unreadable:
            return 0, 0
        return extent_48k(self.timeline, self.unreadable, self.unheard)


@dataclass(frozen=True, slots=True)
class AudioPlan:
    """What the answer will hold."""

    parts: tuple[Planned, ...]
    start_48k: int
    """Unix time of the first sample, at 48 kHz."""
    end_48k: int
    fill_gaps: bool
    missing: int
    """Objects, entries and dead letters that cannot be read."""
    lost: int
    """Those of them whose time nothing else plays, as far as is known."""

    @property
    def samples(self) -> int:
        """Length of the answer at 48 kHz."""
        if self.fill_gaps:
            return self.end_48k - self.start_48k
        return sum(part.passage.samples for part in self.parts)


def plan(selected: Selection, start_48k: int | None, end_48k: int | None, *, fill_gaps: bool) -> AudioPlan:
    """The plan before anything is fetched; without samples where nothing was recorded in that time. ProblemError 422 `too_long`."""
    first, last = selected.extent_48k
    start = first if start_48k is None else max(start_48k, first)
    end = last if end_48k is None else min(end_48k, last)
    if fill_gaps and end - start > MAX_FILLED_SAMPLES:
        detail = "more than 24 hours from start to end: give both, or, of audio, fill_gaps=false"
        raise ProblemError(422, "too_long", detail)
    window = selected.timeline.window(start, end)
    touched = [bad for bad in selected.unreadable if _touches(bad, start_48k, end_48k)]
    begun_ms = {play.piece.span.start_48k // 48 for play in selected.timeline.plays} if touched else set()
    lost = sum(1 for bad in touched if not _made_good(bad, selected.timeline, begun_ms, (start, end)))
    unheard = [one for one in selected.unheard if one.touches(start_48k, end_48k)]
    lost += sum(1 for one in unheard if not _heard_elsewhere(one, selected.timeline, (start, end)))
    parts = tuple(Planned(passage, 0) for passage in passages(window.plays))
    return _placed(
        AudioPlan(
            parts,
            start,
            end,
            fill_gaps,
            missing=len(touched) + len(unheard),
            lost=lost,
        )
    )


def check(audio: AudioPlan, *, strict: bool, live_known: bool) -> None:
    """Whether that can be answered.

    ProblemError: 502 `incomplete` where time is lost and `strict` asks for all; 404 `no_audio` where nothing is; 503 `live_unavailable`
    where nothing of it is stored, and what waits cannot be read.
    """
    if strict and (audio.lost or not live_known):
        extra = {"missing": audio.missing, "live": live_known}
        raise ProblemError(
            502, "incomplete", "not all of the audio can be read, and strict=true asks for all", extra=extra
        )
    if audio.samples <= 0:
        if not live_known:
            raise live_unavailable()
        detail = "nothing was recorded in that time"
        if audio.missing:
            detail += ", or nothing that can be read: see the chunks for the reasons"
        raise ProblemError(404, "no_audio", detail, headers={MISSING_HEADER: str(audio.missing)})


def _touches(bad: StoredObject, start_48k: int | None, end_48k: int | None) -> bool:
    """Whether it has any of this time. Of one whose length nobody knows the start counts."""
    if end_48k is not None and bad.start_48k >= end_48k:
        return False
    return start_48k is None or bad.end_48k > start_48k or bad.start_48k >= start_48k


def _made_good(
    bad: StoredObject, timeline: Timeline, begun_ms: set[int], window_48k: tuple[int, int]
) -> bool:
    """Whether other objects play all time in the window of one that cannot be read.

    Of one without a length, one that begins with it is taken for the same audio; what is known to be empty only must not lie in a hole.
    """
    start, end = max(bad.start_48k, window_48k[0]), min(bad.end_48k, window_48k[1])
    if start < end:
        return not timeline.holes(start, end)
    empty = (
        bad.name.codec == "pcm" and not bad.name.is_batch and samples_by_size(bad.name, bad.info.size) == 0
    )
    if empty and not bad.name.sealed and not timeline.holes(bad.start_48k, bad.start_48k + 1):
        return True
    return bad.start_48k // 48 in begun_ms


def _heard_elsewhere(one: Placed, timeline: Timeline, window_48k: tuple[int, int]) -> bool:
    """Whether all time in the window in which it may lie is played by others."""
    if one.earliest_48k is None or one.latest_48k is None:
        return False
    start, end = max(one.earliest_48k, window_48k[0]), min(one.latest_48k, window_48k[1])
    return start < end and not timeline.holes(start, end)


async def look_ahead(audio: AudioPlan, loader: Loader, checked: CheckedObjects | None) -> AudioPlan:
    """The plan with its first objects fetched, and without those that cannot be read; with `checked` all that are not in it are tried.

    SourceGoneError: one is not there any more. ProblemError 503 where the bucket does not answer.
    """
    parts: list[Planned] = []
    missing, left = 0, AHEAD_BYTES
    version = loader.keys_version if checked is not None else 0
    at_once = AHEAD_MOST if checked is None else AHEAD_AT_ONCE
    for at in range(0, len(audio.parts), at_once):
        group = audio.parts[at : at + at_once]
        if not at or left >= WORTH_BYTES:
            room = _room(group, loader, left, 0 if at else AHEAD_AT_ONCE)
        else:
            room = [False] * len(group)
        tried = [
            fits or (checked is not None and not checked.hold(loader.recording, part.passage, version))
            for part, fits in zip(group, room, strict=True)
        ]
        fetched = iter(await _fetched(loader, list(compress(group, tried))))
        for part, is_tried in zip(group, tried, strict=True):
            sounds = next(fetched) if is_tried else ()
            if sounds is None:
                missing += 1
                continue
            if is_tried and checked is not None:
                checked.add(loader.recording, part.passage, version)
            parts.append(replace(part, sounds=sounds if is_tried and left > 0 else None))
            left -= sum(sound.bytes_in_memory for sound in sounds)
    return _placed(
        replace(audio, parts=tuple(parts), missing=audio.missing + missing, lost=audio.lost + missing)
    )


def _room(group: Sequence[Planned], loader: Loader, left: int, in_any_case: int) -> list[bool]:
    """For each of them whether it would be kept, as far as its size is known: else it would be fetched twice. The first ones are `in_any_case`."""
    before = accumulate((loader.bytes_of(part.passage) for part in group[:-1]), initial=0)
    return [left > 0 and (number < in_any_case or size < left) for number, size in enumerate(before)]


async def _fetched(loader: Loader, group: Sequence[Planned]) -> list[tuple[Loaded, ...] | None]:
    async def fetch(passage: Passage) -> tuple[Loaded, ...] | None:
        try:
            return tuple(await loader.load(passage))
        except UnreadableError:
            return None  # counted, and known to the bucket's memory with its reason

    try:
        async with asyncio.TaskGroup() as tasks:
            fetching = [tasks.create_task(fetch(part.passage)) for part in group]
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        if isinstance(first, StoreError):
            raise store_unavailable(first) from errors
        if isinstance(first, BrokenAnswerError):
            detail = "audio moved while it was looked for; try again"
            raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "1"}) from errors
        raise first from errors
    return [task.result() for task in fetching]


def _placed(audio: AudioPlan) -> AudioPlan:
    """The plan with the position of every part: by the clock, or, where gaps are left out, one after another."""
    parts, position = [], 0
    for part in audio.parts:
        plays = part.passage.plays
        at = plays[0].start_48k - audio.start_48k if audio.fill_gaps else position
        parts.append(replace(part, position_48k=at))
        position += part.passage.samples
    return replace(audio, parts=tuple(parts))
