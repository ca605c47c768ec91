"""The entity tag of an audio answer: equal tags, equal bytes (RFC 9110 §8.8.1).

Owns what an answer's bytes follow from: the objects and entries that are played, by name, size and checksum, what of them is played, and how
it is rendered. Fetches nothing. Where a backend lists no checksums, names and sizes must do: objects are written once.
"""

import hashlib
from functools import cache
from importlib.metadata import version
from typing import Final

import msgspec

from audiobus import ConversationState
from storage_api.audio_plan import AudioPlan
from storage_api.live_tail import LiveTail
from storage_api.recording import Recording
from storage_api.timeline import Live, Play, Source

TAG_HEX_DIGITS: Final = 32
"""128 bits."""


def audio_tag(recording: Recording, audio_plan: AudioPlan, *rendering: object) -> str:
    """Strong and quoted. `rendering`: all that the bytes follow from beside the plan, as JSON can say it."""
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        digest.update(msgspec.json.encode(values))

    add(_build(), *recording.conversation, recording.first_form, *rendering)
    add(audio_plan.start_48k, audio_plan.end_48k, audio_plan.fill_gaps)
    live = False
    for part in audio_plan.parts:
        around = (part.passage.before, *part.passage.plays, part.passage.after)
        for play in around:
            add(*(_played(recording, play) if play else ()))
            live = live or (play is not None and isinstance(play.piece.source, Live))
    if live and recording.tail is not None:
        add(*_before_the_tail(recording.tail))
    return f'"{digest.hexdigest()[:TAG_HEX_DIGITS]}"'


@cache
def _build() -> str:
    """Another build may render otherwise."""
    return version("tapedeck-storage-api")


def _played(recording: Recording, play: Play) -> tuple[object, ...]:
    span = play.piece.span
    numbers = (span.run_start_ms, span.first_sample, span.samples, span.lead, span.trim, span.starts)
    return (
        *_of(recording, play.piece.source),
        (span.conversation, span.epoch, span.first_offset, span.end_offset, *numbers),
        play.start_48k,
        play.end_48k,
    )


def _of(recording: Recording, source: Source) -> tuple[object, ...]:
    """What tells these bytes from all others."""
    if isinstance(source, Live):
        assert recording.tail is not None  # noqa: S101 - only where there is a tail are there plays in it
        return ("live", str(recording.tail.chunks[source.index].id))
    stored = recording.by_key[source.key]
    info = stored.info.beside if stored.second and stored.info.beside else stored.info
    return (info.name, info.size, info.crc32c, source.index)


def _before_the_tail(tail: LiveTail) -> tuple[object, ...]:
    """Out of what the packets come that are decoded before the tail's first: they change when a part of it is stored."""
    return (str(tail.chunks[0].id), *_kept(tail.state))


def _kept(state: ConversationState) -> tuple[object, ...]:
    kept = state.preroll
    if kept is None:
        return ()
    packets = hashlib.sha256(b"".join(kept.packets)).hexdigest()
    return (kept.epoch, kept.next_offset, kept.run_start_ms, kept.next_sample, packets)
