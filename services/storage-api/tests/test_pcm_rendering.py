"""PCM: where each stretch lies, and how long it is."""

from hypothesis import given
from hypothesis import strategies as st

from audiocodec.span import join
from storage_api.passage import Sound, narrow
from storage_api.pcm_rendering import PcmForm, form_of, pcm_block, silence


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


def test_a_whole_span_is_what_was_recorded(encode, speech):
    source = speech[:64_000]
    (span,) = join(chunk.span("c", 1, end) for chunk, end in encode(source))
    assert len(pcm_block(Sound(span, ()), 0, PcmForm(16_000, 1)).pcm) == len(source)


def test_silence_comes_in_pieces():
    assert b"".join(silence(200_001)) == bytes(200_001)
    assert list(silence(0)) == []
    assert list(silence(-5)) == []
    assert max(map(len, silence(10**6))) == 65_536


def test_the_form_is_the_next_that_opus_has():
    assert form_of(44_100, 2) == PcmForm(48_000, 2)
    assert form_of(16_000, 1) == PcmForm(16_000, 1)
    assert form_of(96_000, 1) == PcmForm(48_000, 1)
