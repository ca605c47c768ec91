import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.decoder import Decoder
from audiocodec.errors import BadPacketError
from audiocodec.packet import (
    MAX_PACKET_BYTES,
    PacketFacts,
    absent_frames,
    is_bloated,
    packet_durations,
    packet_facts,
)


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (b"\x00", PacketFacts(480, 1, 1, "silk", "NB")),  # DTX: an empty frame
        (b"\x18x", PacketFacts(2880, 1, 1, "silk", "NB")),
        (b"\x28x", PacketFacts(960, 1, 1, "silk", "MB")),
        (b"\x4cx", PacketFacts(960, 2, 1, "silk", "WB")),
        (b"\x68x", PacketFacts(960, 1, 1, "hybrid", "SWB")),
        (b"\x70x", PacketFacts(480, 1, 1, "hybrid", "FB")),
        (b"\x80x", PacketFacts(120, 1, 1, "celt", "NB")),
        (b"\xf8\xff\xfe", PacketFacts(960, 1, 1, "celt", "FB")),
        (b"\xfdxx", PacketFacts(1920, 2, 2, "celt", "FB")),
        (b"\x19xx", PacketFacts(5760, 1, 2, "silk", "NB")),
        (b"\xe3\x30" + bytes(48), PacketFacts(5760, 1, 48, "celt", "FB")),
    ],
)
def test_facts(data, facts):
    assert packet_facts(data) == facts


@pytest.mark.parametrize(
    ("data", "defect"),
    [
        (b"", "empty"),
        (b"\x09abc", "R3: code 1, odd payload"),
        (b"\x0a", "R4: code 2 without a length"),
        (b"\x0a\x05ab", "R4: code 2, first frame longer than the packet"),
        (b"\x0b", "R6: code 3 without a frame count"),
        (b"\x0b\x00", "R5: code 3 of no frames"),
        (b"\x1b\x03xxx", "R5: 180 ms"),
        (b"\xe3\x31" + bytes(49), "R5: 49 frames"),
        (b"\xfb\x02abc", "R6: CBR that does not divide"),
        (b"\xfb\x42\xff", "R6: padding longer than the packet"),
        (b"\xfb\x82\x05ab", "R7: VBR frame longer than the packet"),
        (b"\xf8" + bytes(1276), "R2: frame over 1275 bytes"),
        (b"\xfb\x41" + b"\xff" * 300 + bytes(MAX_PACKET_BYTES), "longer than any stream needs"),
    ],
)
def test_refused(data, defect):
    with pytest.raises(BadPacketError, match="Opus packet of"):
        packet_facts(data)


def test_the_text_never_carries_audio():
    with pytest.raises(BadPacketError) as caught:
        packet_facts(b"\x09SECRETS")
    assert "SECRETS" not in str(caught.value)


def frames_by_the_rfc(data: bytes) -> int | None:  # noqa: C901, PLR0911, PLR0912 - in the order of the RFC
    """RFC 6716 §3.2 written down anew, as the judge of libopus' parser: frames, or None for bad framing."""

    def length_at(at: int) -> tuple[int, int] | None:
        if at < len(data) and data[at] < 252:
            return data[at], at + 1
        if at + 1 < len(data):
            return data[at + 1] * 4 + data[at], at + 2
        return None

    code, rest = data[0] & 3, len(data) - 1
    if code == 0:
        return 1 if rest <= 1275 else None
    if code == 1:
        return 2 if rest % 2 == 0 and rest // 2 <= 1275 else None
    if code == 2:
        first = length_at(1)
        if first is None:
            return None
        left = len(data) - first[1] - first[0]
        return 2 if 0 <= left <= 1275 else None
    if rest < 1:
        return None
    count, at, padding = data[1] & 63, 2, 0
    frame = packet_facts(bytes((data[0] & ~3,))).samples
    if count == 0 or count * frame > 5760:
        return None
    if data[1] & 0x40:
        while True:
            if at >= len(data):
                return None
            padding += min(data[at], 254)
            at += 1
            if data[at - 1] != 255:
                break
    end = len(data) - padding
    if not data[1] & 0x80:
        left = end - at
        return count if left >= 0 and left % count == 0 and left // count <= 1275 else None
    for _ in range(count - 1):
        size = length_at(at)
        if size is None or size[1] > end:
            return None
        at = size[1]
        end -= size[0]
    return count if 0 <= end - at <= 1275 else None


structured = st.builds(
    lambda toc, count, rest: bytes((toc, count)) + rest,
    st.integers(0, 255),
    st.sampled_from([1, 2, 3, 0x41, 0x42, 0x82, 0x83, 0xC2, 0xC3, 48]),
    st.lists(st.sampled_from([0, 1, 2, 3, 5, 251, 252, 253, 254, 255]), max_size=600).map(bytes),
)


@given(st.binary(min_size=1, max_size=2600) | structured)
def test_any_bytes_are_judged_as_the_rfc_says(data):
    frames = frames_by_the_rfc(data)
    if frames is None:
        with pytest.raises(BadPacketError):
            packet_facts(data)
    else:
        assert packet_facts(data).frames == frames


@given(st.binary(min_size=1, max_size=60) | structured)
def test_facts_agree_with_the_decoder(data):
    try:
        samples = packet_facts(data).samples
    except BadPacketError:
        with pytest.raises(BadPacketError):
            Decoder(48_000, 1).decode(data)
    else:
        with contextlib.suppress(BadPacketError):  # good framing may stand around nonsense
            assert len(Decoder(48_000, 1).decode(data)) == 2 * samples


def test_facts_of_our_own_packets(speech_span):
    facts = {packet_facts(packet).samples for packet in speech_span.packets}
    assert facts == {960}


@given(st.lists(st.binary(min_size=1, max_size=60) | structured, max_size=20))
def test_durations_of_many_are_those_of_each(packets):
    good = [packet for packet in packets if frames_by_the_rfc(packet)]
    assert packet_durations(good) == [packet_facts(packet).samples for packet in good]
    if len(good) < len(packets):
        with pytest.raises(BadPacketError):
            packet_durations(packets)


@pytest.mark.parametrize("data", [b"", b"\xf8" + bytes(1276)])
def test_durations_refuse_what_the_facts_refuse(data):
    with pytest.raises(BadPacketError):
        packet_durations([b"\xf8x", data])


@pytest.mark.parametrize(
    ("packet", "absent"),
    [
        (b"\x48", 1),
        (b"\x48\x00", 1),
        (b"\x48\x00\x00", 0),
        (b"\x49", 2),  # two frames of nothing
        (b"\x49\x01\x02", 2),
        (b"\x49\x01\x02\x03\x04", 0),
        (b"\x4a\x01\x09\x01\x02", 1),  # of two sizes: 1 and 2
        (b"\x4b\x02", 2),
        (b"\x4b\x42\x02\x00\x00", 2),  # filled up with padding
        (b"\x4b\x83\x00\x02\x01\x02\x03", 2),
    ],
)
def test_frames_of_at_most_a_byte_are_absent(packet, absent):
    assert packet_facts(packet)
    assert absent_frames(packet) == absent


def in_padding(frames: int, size: int) -> bytes:
    """A packet of `size` bytes and silent frames of 2.5 ms, nearly all of it padding (RFC 6716 §3.2.5)."""
    padding = size - 2 - frames * 2
    counts, left = b"", padding
    while left > 255:
        counts, left = counts + b"\xff", left - 255  # the count itself, and 254 bytes
    return b"\xe3" + bytes((0x40 | frames,)) + counts + bytes((left - 1,)) + bytes(size - 3 - len(counts))


@pytest.mark.parametrize("frames", [1, 2, 7, 48])
def test_a_packet_is_bloated_from_where_its_frames_could_not_fill_it(frames):
    most = 2 + frames * 1_277
    for size, bloated in ((3 + frames * 2, False), (most, False), (most + 1, True)):
        packet = in_padding(frames, size)
        assert (len(packet), packet_facts(packet).frames) == (size, frames)
        assert is_bloated(packet) is bloated


LONGEST = b"\xff\xff"
"""The length of a frame of 1,275 bytes (RFC 6716 §3.2.1)."""


@pytest.mark.parametrize(
    ("head", "frames"), [(b"\xe0", 1), (b"\xe1", 2), (b"\xe2" + LONGEST, 2), (b"\xe3\xb0" + LONGEST * 47, 48)]
)
def test_no_packet_without_padding_is_bloated(head, frames):
    packet = head + bytes(frames * 1_275)
    assert packet_facts(packet).frames == frames
    assert not is_bloated(packet)
