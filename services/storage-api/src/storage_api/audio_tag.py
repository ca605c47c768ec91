"""The entity tag of an audio answer: equal tags, equal bytes (RFC 9110 §8.8.1).

Owns what an answer's bytes follow from: the objects and entries that are played, by name, size and checksum, what of them is played, how
it is rendered and, where something is decoded or encoded, by what. Fetches nothing. Where a backend lists no checksums, names and sizes must do: objects are written once.
"""

import hashlib
import platform
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from audiobus import ConversationState
from audiocodec import libopus
from storage_api.audio_format import Format
from storage_api.audio_plan import AudioPlan
from storage_api.live_tail import LiveTail
from storage_api.recording import Recording
from storage_api.timeline import Live, Older, Play, Source

TAG_HEX_DIGITS: Final = 32
"""128 bits."""
CODE_CHOSEN_BY: Final = frozenset(
    ("sse", "sse2", "sse4_1", "avx", "avx2", "fma", "neon", "asimd", "asimddp", "avx512f")
)
"""As Linux calls them."""


def audio_tag(recording: Recording, audio_plan: AudioPlan, form: Format, *rendering: object) -> str:
    """Strong and quoted. `rendering`: all that the bytes follow from beside plan, form and machine, as JSON can say it."""
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        digest.update(msgspec.json.encode(values))

    if form != "ogg" or any(isinstance(part.passage.source, Older) for part in audio_plan.parts):
        add(*codec())
    add(_build(), *recording.conversation, recording.first_form, form, *rendering)
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
def codec() -> tuple[object, ...]:
    """What decodes, encodes and resamples here: another library, or another processor, may round otherwise. LibopusError."""
    opus = libopus.load()
    return (opus.source, opus.version, version("av"), platform.machine(), _processor())


def _processor() -> list[str]:
    """Which instructions there are that codecs choose their code by; empty where the system does not tell."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", told, re.MULTILINE)
    return sorted(set(flags[1].split()) & CODE_CHOSEN_BY) if flags else []


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
        before = recording.tail.right_before(source.index)
        return ("live", str(recording.tail.chunks[source.index].id), *map(str, before))
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
