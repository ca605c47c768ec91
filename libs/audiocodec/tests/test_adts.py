import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.adts import MAX_BLOCK_BYTES, MAX_FRAME_BYTES, MAX_FRAMES, SAMPLE_RATES, AdtsFrame, adts_frames
from audiocodec.errors import BadAdtsError


def header(size=17, rate=8, channels=1, blocks=1, profile=1, sync=0xFFF, mpeg2=1, layer=0, absent=1) -> bytes:
    """ISO/IEC 13818-7 §6.2.1, written down anew: each field and its bits."""
    fields = [(sync, 12), (mpeg2, 1), (layer, 2), (absent, 1)]
    fields += [(profile, 2), (rate, 4), (0, 1), (channels, 3), (0, 1), (0, 1)]
    fields += [(0, 1), (0, 1), (size, 13), (0x7FF, 11), (blocks - 1, 2)]
    return int("".join(f"{value:0{width}b}" for value, width in fields), 2).to_bytes(7, "big")


def frame(payload: bytes = b"0123456789", **fields) -> bytes:
    return header(size=7 + len(payload), **fields) + payload


def test_golden():
    message = bytes.fromhex("fff15040023ffc") + bytes(10)
    assert adts_frames(message) == (AdtsFrame(44_100, 1, 1024, 17, 2, ((7, 17),)),)
    assert header(rate=4, mpeg2=0) == message[:7]


@pytest.mark.parametrize(("index", "rate"), list(enumerate(SAMPLE_RATES)))
def test_rates(index, rate):
    assert adts_frames(frame(rate=index))[0].sample_rate == rate


def test_several_frames_one_after_the_other():
    message = frame(b"ab") + frame(b"cdef", channels=2, profile=0) + frame(b"x" * 700, rate=3)
    frames = adts_frames(message)
    assert [f.size for f in frames] == [9, 11, 707]
    assert [message[slice(*f.parts[0])] for f in frames] == [b"ab", b"cdef", b"x" * 700]
    assert [(f.channels, f.object_type, f.sample_rate) for f in frames] == [
        (1, 2, 16_000),
        (2, 1, 16_000),
        (1, 2, 48_000),
    ]


def test_a_crc_belongs_to_the_header():
    (only,) = adts_frames(frame(b"cc" + b"payload", absent=0))
    assert only.parts == ((9, 16),)


def test_blocks_that_nothing_tells_apart_are_one_part():
    (only,) = adts_frames(frame(b"aaabbbbcc", blocks=3))
    assert (only.samples, only.parts) == (3072, ((7, 16),))


def test_blocks_with_crcs_are_found_by_their_positions():
    message = frame(bytes((0, 5, 0, 11)) + b"cc" + b"aaa##" + b"bbbb##" + b"d##", blocks=3, absent=0)
    (only,) = adts_frames(message)
    assert [message[slice(*part)] for part in only.parts] == [b"aaa", b"bbbb", b"d"]


@pytest.mark.parametrize(
    ("message", "defect"),
    [
        (b"", "0 bytes"),
        (header(), "at byte 0: cut short, 7 bytes of 17"),
        (header()[:6], "at byte 0: header cut short, 6 bytes of 7"),
        (frame() + b"\xff", "at byte 17: header cut short, 1 bytes of 7"),
        (frame() + bytes(20), "at byte 17: no sync word"),
        (frame()[:-1], "cut short, 16 bytes of 17"),
        (frame(sync=0xFFE), "no sync word"),
        (frame(layer=3), "layer 3"),
        (frame(profile=2), "SSR"),
        (frame(rate=13), "sampling frequency index 13"),
        (frame(rate=15), "sampling frequency index 15"),
        (frame(channels=0), "channel configuration 0"),
        (frame(channels=3), "channel configuration 3"),
        (frame(channels=7), "channel configuration 7"),
        (frame(b""), "7 bytes, too short for 1 raw"),
        (header(size=0) + bytes(20), "0 bytes, too short"),
        (frame(b"cc", absent=0), "9 bytes, too short for 1 raw"),
        (frame(b"abc", blocks=4), "10 bytes, too short for 4 raw"),
        (frame(bytes((0, 9)) + b"cc" + b"aaa##" + b"b##", blocks=2, absent=0), "not in order"),
        (frame(bytes((0, 2)) + b"cc" + b"aaa##" + b"b##", blocks=2, absent=0), "not in order"),
        (frame(bytes((255, 255)) + b"cc" + b"aaa##" + b"b##", blocks=2, absent=0), "not in order"),
        (frame(bytes(2 * MAX_BLOCK_BYTES)), "3079 bytes, too long for 1 raw"),
        (frame() * (MAX_FRAMES + 1), "more than 8 frames"),
        (bytes(MAX_FRAMES * MAX_FRAME_BYTES + 1), "65529 bytes"),
    ],
)
def test_refused(message, defect):
    with pytest.raises(BadAdtsError, match=defect):
        adts_frames(message)


def test_the_longest_block_fits():
    assert adts_frames(frame(bytes(2 * MAX_BLOCK_BYTES), channels=2))[0].size == 7 + 2 * MAX_BLOCK_BYTES


def test_the_text_never_carries_audio():
    with pytest.raises(BadAdtsError) as caught:
        adts_frames(frame(b"SECRETS") + b"SECRETS")
    assert "SECRET" not in str(caught.value)


frames = st.builds(
    frame,
    st.binary(min_size=16, max_size=60),
    rate=st.integers(0, 12),
    channels=st.integers(1, 2),
    blocks=st.integers(1, 4),
    profile=st.sampled_from([0, 1, 3]),
    mpeg2=st.integers(0, 1),
)


@given(st.lists(frames, min_size=1, max_size=MAX_FRAMES))
def test_frames_account_for_every_byte(messages):
    message = b"".join(messages)
    parsed = adts_frames(message)
    assert [f.size for f in parsed] == [len(m) for m in messages]
    at = 0
    for one in parsed:
        assert one.parts == ((at + 7, at + one.size),)
        assert one.samples in (1024, 2048, 3072, 4096)
        at += one.size


@given(st.lists(frames, min_size=1, max_size=3), st.data())
def test_every_cut_within_a_frame_is_noticed(messages, data):
    message = b"".join(messages)
    end = data.draw(st.integers(len(message) - len(messages[-1]) + 1, len(message) - 1))
    with pytest.raises(BadAdtsError):
        adts_frames(message[:end])


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.lists(frames, max_size=3).map(b"".join), st.data())
def test_any_bytes_are_judged(message, data):
    damaged = bytearray(message)
    for _ in range(data.draw(st.integers(0, 3)) if message else 0):
        damaged[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadAdtsError):
        parsed = adts_frames(bytes(damaged))
        assert sum(f.size for f in parsed) == len(damaged)
        places = [place for f in parsed for part in f.parts for place in part]
        assert places == sorted(places)
        assert all(start < end for f in parsed for start, end in f.parts)
