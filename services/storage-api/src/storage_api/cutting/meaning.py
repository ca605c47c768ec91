"""What a time of a request means: the audio that was chosen by it, told so that it is found again wherever it lies by then. Pure."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from audiobus import EntryId
from audiobus.errors import BadEntryError
from audiobus.meant import VERSION, Audio, Meant, decode_meant
from audiocodec.span import Span
from storage_api.chunks import ChunkRow
from storage_api.cutting.stretches import Stretches
from storage_api.cutting.wanted import Wanted
from storage_api.timeline import Stored

MOST_AUDIO: Final = 24
"""Stretches that are noted of one time. Of a batch with more the rest is found by its name alone."""


def meant_by(rows: Iterable[ChunkRow], at_ms: int, known: Meant | None = None) -> Meant:
    """What a time means by which these were chosen, and what it meant before. `at_ms`: now, unix ms."""
    names = set(known.names if known else ())
    entries = set(known.entries if known else ())
    audio = audio_in([known] if known else [])
    for row in rows:
        if row.stored is not None:
            names.add(row.name)
        else:
            entries.add(row.name)
        for span in spans_of(row):
            audio.add_span(span)
    return _meant(names, entries, audio, at_ms)


def letters_meant(letters: Mapping[EntryId, Span], at_ms: int) -> dict[int, Meant]:
    """By when they begin, unix ms, what these dead letters are."""
    found: dict[int, tuple[set[str], Stretches]] = {}
    for entry_id, span in letters.items():
        entries, audio = found.setdefault(span.start_ms, (set(), Stretches()))
        entries.add(str(entry_id))
        audio.add_span(span)
    return {start_ms: _meant((), entries, audio, at_ms) for start_ms, (entries, audio) in found.items()}


def _meant(names: Collection[str], entries: Collection[str], audio: Stretches, at_ms: int) -> Meant:
    told = sorted(Audio(*run, start, end) for run, start, end in audio)
    return Meant(VERSION, at_ms, tuple(sorted(names)), tuple(sorted(entries)), tuple(told[:MOST_AUDIO]))


def renamed(
    meant: Mapping[int, bytes], new: Mapping[str, Collection[str]], deleted: Collection[str]
) -> dict[int, Meant]:
    """Of these notes, by time, those that name an object of which some is about to lie under other names: with these, too.

    `new`: by the object's name. `deleted`: names of which the notes need tell no more.
    """
    moving = {name: names for name, names in new.items() if names}
    found = {}
    for at_ms, data in meant.items() if moving else ():
        with suppress(BadEntryError):  # of another version: that says by itself what becomes of it
            one = decode_meant(data)
            more = {name for old in one.names for name in moving.get(old, ())}
            if more:
                names = more.union(one.names).difference(deleted)
                found[at_ms] = replace(one, names=tuple(sorted(names)))
    return found


def audio_in(meant: Iterable[Meant]) -> Stretches:
    """All that is noted of them."""
    audio = Stretches()
    for one in meant:
        for piece in one.audio:
            run = (piece.conversation, piece.epoch, piece.run_start_ms)
            audio.add(run, piece.first_sample, piece.end_sample)
    return audio


def spans_of(row: ChunkRow) -> list[Span]:
    """What is in it, as far as it is told which run that belongs to."""
    if row.stored is not None:
        return [piece.span for piece in row.stored.pieces if isinstance(piece.source, Stored)]
    if row.live is not None:
        return [row.live.span]
    return [row.unheard.span] if row.unheard is not None and row.unheard.span is not None else []


class There:
    """What is there, to be compared with what was meant."""

    def __init__(self, rows: Iterable[ChunkRow]) -> None:
        self._rows = list(rows)
        self._by_name: dict[str, list[ChunkRow]] = {}
        self._audio = Stretches()
        for row in self._rows:
            self._by_name.setdefault(row.name, []).append(row)
            for span in spans_of(row):
                self._audio.add_span(span)

    def holds(self, meant: Meant) -> bool:
        """Whether any of it is there."""
        runs = audio_in([meant])
        if self._named(meant, runs):
            return True
        return any(self._audio.last_end(run, start, end) is not None for run, start, end in runs)

    def of(self, meant: Collection[Meant]) -> tuple[list[ChunkRow], Stretches]:
        """What of it goes as a whole, and the audio that goes wherever else it lies."""
        audio = audio_in(meant)
        wanted = Wanted(audio=audio)
        waiting = [row for row in self._rows if row.live is not None and wanted.covers_span(row.live.span)]
        named = [row for one in meant for row in self._named(one, audio_in([one]))]
        for row in named:
            # Of what could not be read then, and can be now, too.
            for span in spans_of(row):
                audio.add_span(span)
        return [*named, *waiting], audio

    def _named(self, meant: Meant, runs: Stretches) -> list[ChunkRow]:
        """What is there under its names. What holds none of its audio is another recording that came to have one, in the other bucket or later."""
        found = (row for name in (*meant.names, *meant.entries) for row in self._by_name.get(name, ()))
        return [row for row in found if not meant.audio or _may_hold(row, runs)]


def _may_hold(row: ChunkRow, audio: Stretches) -> bool:
    """Whether some of it is in it, or nothing tells."""
    spans = spans_of(row)
    return not spans or any(audio.within(span) for span in spans)
