"""What an ogg answer takes, foretold, and its pieces."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.ogg import Paged, paged
from audiocodec.span import Span
from storage_api.audio_plan import AudioPlan
from storage_api.errors import BrokenAnswerError
from storage_api.ogg_length import OggLength, Rehearsal, ToldSound, check_told
from storage_api.ogg_rendering import OggRendering, packet_samples
from storage_api.passage import Sound

START = 1_700_000_000_000 * 48
SPAN = st.tuples(
    st.lists(st.integers(3, 600), max_size=120),
    st.integers(0, 312),
    st.integers(0, 648),
    st.sampled_from([0, 0, 1, 60, 119, 960, 5_000, 123_457, 61 * 48_000]),
)


def made(kind: type[OggRendering], *, fill_gaps: bool) -> OggRendering:
    return kind(channels=1, sample_rate=16_000, comments=[("A", "b")], serial=7, fill_gaps=fill_gaps)


def sounds_of(drawn) -> list[Sound]:
    sounds, at = [], START
    for sizes, lead, trim, gap in drawn:
        packets = tuple(b"\x48" + bytes([size % 251]) * (size - 1) for size in sizes)
        lead, trim = (lead, trim) if packets else (0, 0)  # noqa: PLW2901 - a span without packets has neither
        at += gap + lead
        samples = max(0, len(packets) * 960 - lead - trim)
        trim = len(packets) * 960 - lead - samples  # noqa: PLW2901 - as it comes out
        span = Span("c", 1, 0, 1, 0, at, samples, lead, trim, False, packets)
        sounds.append(Sound(span, (b"\x48preroll",) if not sounds else ()))
        at += samples + trim
    return sounds


def plan(sounds: list[Sound], start: int, end: int, *, fill_gaps: bool) -> AudioPlan:
    return AudioPlan((), start, end, fill_gaps, 0, 0)


def takes(sound: Sound) -> Paged:
    return paged((len(packet), packet_samples(packet)) for packet in sound.span.packets)


def write(sounds: list[Sound], audio: AudioPlan, rendering: OggRendering) -> bytes:
    pages = [page for sound in sounds for page in rendering.sound(sound, audio.start_48k)]
    if audio.fill_gaps:
        pages += rendering.silence_until(audio.start_48k, audio.end_48k)
    return b"".join([*pages, rendering.finish()])


@settings(deadline=None, max_examples=50)
@given(
    st.lists(SPAN, min_size=1, max_size=5).filter(lambda drawn: len(drawn[0][0]) > 1),
    st.booleans(),
    st.sampled_from([0, 1, 100, 48_000, 70 * 48_000]),
    st.sampled_from([0, 77, 48_001, 61 * 48_000]),
)
def test_the_length_is_that_of_the_file_which_can_be_gone_on_with_at_every_mark(
    drawn, fill_gaps, early, late
):
    sounds = sounds_of(drawn)
    start = sounds[0].start_48k - early
    audio = plan(sounds, start, sounds[-1].start_48k + sounds[-1].samples + late, fill_gaps=fill_gaps)
    whole = write(sounds, audio, made(OggRendering, fill_gaps=fill_gaps))
    told = [sounds[0], *(ToldSound(replace(sound.span, packets=()), takes(sound)) for sound in sounds[1:])]
    rehearsal = made(Rehearsal, fill_gaps=fill_gaps)
    length = rehearsal.length([[sound] for sound in told], audio)
    assert length.size == len(whole)
    assert length.marks[0].at_byte == 0
    for mark in length.marks[1:]:
        resumed = made(OggRendering, fill_gaps=fill_gaps).resume(mark.standing)
        assert write(sounds[mark.part :], audio, resumed) == whole[mark.at_byte :]


def test_a_day_of_silence_costs_nothing():
    (first, last) = sounds_of([([60] * 50, 0, 0, 0), ([60] * 50, 0, 0, 24 * 3600 * 48_000)])
    audio = plan([], START, last.start_48k + last.samples, fill_gaps=True)
    length = made(Rehearsal, fill_gaps=True).length([[first], [last]], audio)
    assert len(length.marks) > 24 * 60
    assert length.before(length.size - 1).part == 1
    assert length.before(length.size // 2).standing is not None


def test_the_mark_before_a_byte():
    sounds = sounds_of([([60] * 50, 0, 0, 0)] * 3)
    audio = plan(sounds, START, sounds[-1].start_48k + 48_000, fill_gaps=True)
    length: OggLength = made(Rehearsal, fill_gaps=True).length([sounds], audio)
    assert [mark.sound for mark in length.marks] == [0, 1, 2]
    second = length.marks[1].at_byte
    assert [length.before(at).sound for at in (0, second - 1, second, second + 1, length.size - 1)] == [
        0, 0, 1, 1, 2,
    ]  # fmt: skip


def test_what_metadata_told_wrongly_is_found_out():
    (sound,) = sounds_of([([60] * 50, 0, 0, 0)])
    check_told([sound], None)
    check_told([sound], [takes(sound)])
    for wrong in ([], [Paged(1, 1)], [takes(sound)] * 2):
        with pytest.raises(BrokenAnswerError):
            check_told([sound], wrong)
