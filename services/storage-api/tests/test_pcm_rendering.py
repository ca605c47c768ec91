"""PCM: where each stretch lies, and how long it is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.ogg import PackedPackets
from audiocodec.span import join
from storage_api.passage import Sound, narrow
from storage_api.pcm_rendering import BLOCK_BYTES, PcmForm, form_of, pcm_block, pcm_blocks, silence


@given(
    st.sampled_from([8_000, 12_000, 16_000, 24_000, 48_000]), st.lists(st.integers(0, 100_000), max_size=20)
)
def test_lengths_of_neighbours_add_up_to_the_length_of_the_whole(rate, lengths):
    form = PcmForm(rate, 1)
    position = frames = 0
    for length in lengths:
        frames += form.frames(position + length) - form.frames(position)
        position += length
    assert frames == form.frames(position)
    assert abs(frames - position * rate / 48_000) <= 0.5


def test_stretches_of_any_length_decode_to_exactly_their_frames(encode, pcm_tone):
    (span,) = join(chunk.span("c", 1, end) for chunk, end in encode(pcm_tone(2)))
    for rate, channels in ((16_000, 1), (8_000, 2), (48_000, 1)):
        form = PcmForm(rate, channels)
        position = frames = 0
        for first, last in ((0, 1), (1, 2), (2, 1003), (1003, 40_001), (40_001, 96_000)):
            sound = narrow(span, (), span.start_48k + first, span.start_48k + last)
            block = pcm_block(sound, position, form)
            assert block.first_frame == frames
            frames += len(block.pcm) // form.frame_bytes
            position += last - first
        assert frames == 2 * rate


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_both_sides_of_a_cut_are_the_whole(encode, pcm_tone, rate):
    """Wherever it is cut: no sample is on both sides, or on none, and each lies where it lies in the whole."""
    (span,) = join(chunk.span("c", 1, end) for chunk, end in encode(pcm_tone(1)))
    step = 48_000 // rate

    def between(first: int, last: int) -> bytes:
        start = span.start_48k + first
        form = PcmForm(rate, 1, start)
        sound = narrow(span, (), start, span.start_48k + last)
        block = pcm_block(sound, 0, form)
        assert (block.first_frame, len(block.pcm)) == (0, 2 * form.frames(last - first))
        return block.pcm

    whole = between(0, 48_000)
    # In one packet and in two, so that the same packets are decoded; and where the next one begins.
    for first in range(9_600, 9_600 + step):
        for middle in (*range(first, first + 2 * step + 1), 10_000, 10_248, 10_249, 10_250, 10_251):
            got = between(first, middle), between(middle, 10_500)
            nearest = [2 * ((at + step // 2) // step) for at in (first, middle, 10_500)]
            assert len(got[0]) == nearest[1] - nearest[0]
            assert len(got[1]) == nearest[2] - nearest[1]
            if middle < 10_248:
                assert got[0] + got[1] == between(first, 10_500)
            # The encoder began with the run: what begins in its first packets is decoded as the whole is.
    for last in range(500, 500 + 2 * step):
        assert between(0, last) == whole[: 2 * ((last + step // 2) // step)]
        for first in range(300, 300 + step):
            assert (
                between(first, last)
                == whole[2 * ((first + step // 2) // step) :][: len(between(first, last))]
            )


def test_a_whole_span_is_what_was_recorded(encode, speech):
    source = speech[:64_000]
    (span,) = join(chunk.span("c", 1, end) for chunk, end in encode(source))
    assert len(pcm_block(Sound(span, ()), 0, PcmForm(16_000, 1)).pcm) == len(source)


def test_packets_that_were_not_parted_are_the_same_sound(encode, speech):
    (span,) = join(chunk.span("c", 1, end) for chunk, end in encode(speech[:64_000]))
    sizes, samples = bytes(map(len, span.packets)), 960
    packed = Sound(replace(span, packets=()), (), PackedPackets(sizes, b"".join(span.packets), samples))
    for form in (PcmForm(16_000, 1), PcmForm(48_000, 2, origin_48k=span.start_48k + 1)):
        assert pcm_block(packed, 0, form) == pcm_block(Sound(span, ()), 0, form)


@pytest.mark.parametrize("form", [PcmForm(8_000, 1), PcmForm(16_000, 1), PcmForm(48_000, 2, origin_48k=1)])
def test_a_long_sound_comes_in_blocks_that_follow_one_another(encode, speech, form):
    (span,) = join(chunk.span("c", 1, end) for chunk, end in encode(speech))
    sound = Sound(span, ())
    whole, blocks = pcm_block(sound, 1, form), pcm_blocks(sound, 1, form)
    assert len(blocks) > 1
    assert b"".join(block.pcm for block in blocks) == whole.pcm
    assert len(whole.pcm) == (form.frames(1 + span.samples) - form.frames(1)) * form.frame_bytes
    second = 48_000 * form.frame_bytes if form.sample_rate == 48_000 else BLOCK_BYTES
    assert max(len(block.pcm) for block in blocks) <= second
    at = whole.first_frame
    for block in blocks:
        assert block.first_frame == at
        at += len(block.pcm) // form.frame_bytes


def test_silence_comes_in_pieces():
    assert b"".join(silence(200_001)) == bytes(200_001)
    assert list(silence(0)) == []
    assert list(silence(-5)) == []
    assert max(map(len, silence(10**6))) == 65_536


def test_the_form_is_the_next_that_opus_has():
    assert form_of(44_100, 2) == PcmForm(48_000, 2)
    assert form_of(16_000, 1) == PcmForm(16_000, 1)
    assert form_of(96_000, 1) == PcmForm(48_000, 1)
