import array

import pytest

from audiocodec import Decoder, Encoder
from audiocodec.errors import BadPacketError
from audiocodec.joined_packets import join, joinable, joinable_packed
from audiocodec.ogg import PackedPackets
from audiocodec.packet import MAX_SINGLE_BYTES, packet_facts

SECOND = 16_000


def saw(gain: int, seconds: int = 4) -> bytes:
    """A tone that comes and goes, so that there is speech-like change in it; with a high gain far beyond full scale."""
    samples = (
        max(-32_768, min(32_767, gain * ((at * 37 % 400) - 200) * ((at // 800) % 9)))
        for at in range(seconds * SECOND)
    )
    return array.array("h", samples).tobytes()


def one_by_one(packets, rate, channels, *, floats=False) -> bytes:
    decoder = Decoder(rate, channels, floats=floats)
    return b"".join([decoder.decode(packet) for packet in packets])


def all_at_once(packets, rate, channels, *, floats=False) -> bytes:
    return b"".join(Decoder(rate, channels, floats=floats).decode_all(packets))


@pytest.mark.parametrize("gain", [1, 12, 40, 400])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2)])
def test_the_same_to_the_bit(gain, rate, channels):
    packets = tuple(Encoder(SECOND).encode(saw(gain)))
    assert max(map(len, joinable(packets))) == 6
    assert all_at_once(packets, rate, channels) == one_by_one(packets, rate, channels)
    assert all_at_once(packets, rate, channels, floats=True) == one_by_one(
        packets, rate, channels, floats=True
    )


def test_loud_audio_would_differ(monkeypatch):
    """That the look for clipping is needed: else the test above says nothing."""
    packets = tuple(Encoder(SECOND).encode(saw(40)))
    monkeypatch.setattr(Decoder, "_may_be_clipped", lambda _self, _pcm: False)
    assert all_at_once(packets, 16_000, 1) != one_by_one(packets, 16_000, 1)


def test_mixed_packets():
    speech = Encoder(SECOND).encode(saw(3))
    lost = [bytes((packet[0],)) for packet in speech[:9]]  # DTX: a frame of no bytes
    silence = [b"\xf8\xff\xfe", b"\xe0\xff\xfe", b"\xe0\xff\xfe"]
    joined = join(speech[20:23])
    packets = (*speech[:7], *lost, *silence, *speech[7:20], joined, joined, *speech[23:])
    assert all_at_once(packets, 16_000, 1) == one_by_one(packets, 16_000, 1)


@pytest.mark.parametrize("length", [1, 2, 252, 253, 254, 255, 256, 1_275, MAX_SINGLE_BYTES])
def test_lengths_of_frames(length):
    packet = b"\x78" + bytes(length - 1)
    group = next(joinable([packet] * 9))
    assert len(group) == 6
    joined = join(group)
    facts = packet_facts(joined)
    assert (facts.frames, facts.samples) == (6, 6 * packet_facts(packet).samples)
    sizes = len(joined) - 2 - 6 * (length - 1)
    assert sizes == 5 * (1 if length - 1 < 252 else 2)


@pytest.mark.parametrize("bad", [b"", b"\x78" + bytes(MAX_SINGLE_BYTES), b"\x7b\x00"])
def test_what_is_no_packet_stands_alone_and_is_named(bad):
    good = Encoder(SECOND).encode(saw(1))[:10]
    packets = [*good[:4], bad, *good[4:]]
    assert [bad] in [list(group) for group in joinable(packets)]
    decoded = Decoder(SECOND, 1).decode_all(packets)
    assert len(next(decoded)) == 4 * 640
    with pytest.raises(BadPacketError, match=f"Opus packet of {len(bad)} bytes"):
        next(decoded)


def not_parted(packets, samples=960) -> PackedPackets:
    alike = len({packet[0] for packet in packets}) == 1
    return PackedPackets(
        bytes(map(len, packets)), b"".join(packets), samples, packets[0][0] if alike else None
    )


@pytest.mark.parametrize("gain", [1, 40])
@pytest.mark.parametrize("count", [1, 6, 7, 61, 200])
def test_packets_that_were_not_parted_are_decoded_to_the_same(gain, count):
    packets = [*Encoder(SECOND).encode(saw(gain))[:count]]
    assert all_at_once(not_parted(packets), 16_000, 1) == one_by_one(packets, 16_000, 1)
    assert [*all_joined(not_parted(packets))] == [join(group) for group in joinable(packets)]


def all_joined(packed: PackedPackets) -> list[bytes]:
    return [join(group) for group in joinable_packed(packed)]


@pytest.mark.parametrize("sizes", [[1] * 13, [252, 1, 9, 252, 252, 252, 9], [253] * 7, [9, 254, 9]])
@pytest.mark.parametrize(("tocs", "samples"), [((0x78,), 960), ((0x78, 0x7C), 960), ((0x80,), 120)])
def test_they_are_joined_to_the_same(sizes, tocs, samples):
    packets = [bytes((tocs[at % len(tocs)],)) + bytes(size - 1) for at, size in enumerate(sizes)]
    packed = not_parted(packets, samples)
    assert all_joined(packed) == [join(group) for group in joinable(packets)]
    assert [one for group in joinable_packed(packed) for one in group] == packets
