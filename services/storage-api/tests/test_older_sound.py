"""Older audio as PCM: its samples lie on one grid, whatever it is cut into."""

import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_api.older_sound import OlderSound, cut_out, join, nearest, stretches
from storage_api.passage import passages
from storage_api.pcm_rendering import PcmForm, pcm_block
from storage_api.timeline import older_piece, timeline

T0 = 1_700_000_000_000
START = T0 * 48


def noise(samples: int, seed: int = 1) -> bytes:
    chance = random.Random(seed)
    return array("h", [chance.randint(-20_000, 20_000) for _ in range(samples)]).tobytes()


def loaded(objects: dict[str, bytes], starts_ms: dict[str, int], start: int, end: int) -> list[OlderSound]:
    """The sounds of these objects from `start` to `end`."""
    pieces = [older_piece(name, starts_ms[name], len(pcm) // 2 * 3, 3) for name, pcm in objects.items()]
    plays = timeline(pieces).window(start, end).plays
    return [
        join(passage, {play: cut_out(play, objects[play.piece.source.name]) for play in stretches(passage)})
        for passage in passages(plays)
    ]


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    overlap_ms=st.integers(0, 9),
    cut=st.tuples(st.integers(0, 15_000), st.integers(1, 15_000)),
)
def test_objects_that_follow_one_another_are_as_one(lengths, overlap_ms, cut):
    """However a recording lies in objects, and wherever it is cut: the same samples, to the nearest."""
    whole = noise(sum(lengths) * 16 + 160)
    objects, starts, at = {}, {}, 0
    for number, length in enumerate(lengths):
        name = f"{number}"
        end = at + length + (overlap_ms if number + 1 < len(lengths) else 10)
        objects[name], starts[name] = whole[at * 32 : end * 32], T0 + at
        at += length
    total = len(whole) // 2 * 3
    start, end = sorted(min(value, total) for value in cut)
    sounds = loaded(objects, starts, START + start, START + end)
    played = b"".join(sound.played for sound in sounds)
    first, last = nearest(start), nearest(end)
    if sum(sound.samples for sound in sounds) >= 3:
        assert played == whole[2 * first : 2 * last]
    position = 0
    for sound in sounds:
        block = pcm_block(sound, position, PcmForm(16_000, 1))
        assert block.first_frame == nearest(position)
        assert len(block.pcm) // 2 == nearest(position + sound.samples) - nearest(position)
        position += sound.samples
    assert position == end - start or not sounds


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_lengths_at_any_rate_add_up(rate, monkeypatch):
    monkeypatch.setattr("storage_api.passage.MAX_OLDER_SAMPLES", 48_000)
    objects = {"0": noise(1_000), "1": noise(16_000 * 2), "2": noise(777)}
    starts = {"0": T0, "1": T0 + 62, "2": T0 + 2_062}
    for form in (PcmForm(rate, 1), PcmForm(rate, 2)):
        sounds = loaded(objects, starts, START + 17, START + 2_100 * 48)
        assert [sound.samples for sound in sounds] == [2_983, 48_000, 47_976, 1_824]
        position = frames = 0
        for sound in sounds:
            block = pcm_block(sound, position, form)
            assert block.first_frame == frames
            frames += len(block.pcm) // form.frame_bytes
            position += sound.samples
        assert frames == form.frames(position)


def test_both_channels_are_alike():
    (sound,) = loaded({"0": noise(1_600)}, {"0": T0}, START, START + 4_800)
    both = array("h", pcm_block(sound, 0, PcmForm(16_000, 2)).pcm)
    assert both[::2] == both[1::2] == array("h", noise(1_600))


def test_at_the_very_edge_the_last_sample_stands_for_what_was_rounded_away():
    sound = OlderSound(START, 3, b"\1\2", nearest(START))
    assert pcm_block(sound, 0, PcmForm(16_000, 1)).pcm == b"\1\2"
    assert pcm_block(sound, 1, PcmForm(16_000, 1)).pcm == b"\1\2"
    assert len(pcm_block(sound, 2, PcmForm(48_000, 1)).pcm) == 6
    assert OlderSound(START, 1, b"\1\2", nearest(START)).played == b"\1\2"
