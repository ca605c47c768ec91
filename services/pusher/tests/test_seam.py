"""Seams: what 320 ms of pre-roll are enough for, and what is taken where they are not."""

import random
import struct

import pytest

from audiocodec import Encoder
from audiocodec.packet import packet_facts
from pusher import seam


def noise(seconds: float, channels: int = 1, level: float = 3000.0) -> bytes:
    chance = random.Random(5)
    count = int(seconds * 16_000) * channels
    return struct.pack(f"<{count}h", *(int(chance.gauss(0, level)) for _ in range(count)))


@pytest.fixture(scope="module")
def packets() -> list[bytes]:
    """Twelve seconds of SILK."""
    made = Encoder(16_000, complexity=0).encode(noise(12))
    assert packet_facts(made[0]).mode == "silk"
    return made


def absent(packets: list[bytes], count: int) -> list[bytes]:
    """What a device sends while nobody speaks (DTX): decoders make up noise, each its own."""
    return [packets[0][:1]] * count


def samples(packets) -> int:
    return sum(packet_facts(packet).samples for packet in packets)


def test_the_last_packets_last_at_least_as_long(packets):
    assert seam.last_packets(packets, 1) == (packets[-1],)
    assert seam.last_packets(packets, 960 * 3) == tuple(packets[-3:])
    assert seam.last_packets(packets, 960 * 3 + 1) == tuple(packets[-4:])
    assert seam.last_packets(packets[:2], 10_000) == tuple(packets[:2])
    assert seam.last_packets(packets, 0) == ()


def test_noise_is_settled_after_320_ms(packets):
    assert seam.unrest(packets[:500], packets[500:], 1) <= 1
    assert seam.preroll_for(packets[:500], packets[500:], 1) == tuple(packets[484:500])


def test_an_encoder_that_began_within_320_ms_is_always_settled(packets):
    assert seam.unrest([], packets, 1) <= 1
    assert seam.unrest(absent(packets, 16), packets, 1) <= 1
    assert seam.preroll_for(packets[:3], packets[3:], 1) == tuple(packets[:3])


def test_where_a_decoder_would_have_to_make_up_noise_more_is_taken(packets):
    before = [*packets[:500], *absent(packets, 20)]
    after = absent(packets, 5)
    # After 320 ms of nothing a decoder has nothing to make noise of.
    assert seam.unrest(before, after, 1) > 1
    assert seam.unrest([*before, *absent(packets, 100)], packets, 1) > 1
    assert seam.unrest([*before, *packets[:3]], packets[3:], 1) > 1
    # What is not played counts for nothing.
    assert seam.unrest(packets[:500], [*packets[:1], *after], 1, lead=960) > 1
    assert seam.unrest(packets[:500], [*packets[500:503], *after], 1, lead=960) <= 1
    assert seam.unrest([*before, *packets[:50]], packets[50:], 1) <= 1
    # … also a little later.
    assert seam.unrest(packets[:500], [b"\xe0\xff\xfe", b"\xe0"], 1) > 1
    taken = seam.preroll_for(before, after, 1)
    assert taken == tuple(before[-len(taken) :])
    assert 20 < len(taken) <= 62


def test_the_longest_pre_roll_fits_into_a_pre_skip(packets):
    long = [bytes([packets[0][0] | 3, 0x80 | 6, *[2] * 5, *([0x55] * 13)])]  # six frames of 20 ms
    assert packet_facts(long[0]).samples == 5_760
    for before in ([*packets[:300], *absent(packets, 17)], [*packets[:300], *long * 2, *absent(packets, 17)]):
        assert samples(seam.preroll_for(before, absent(packets, 5), 1)) <= 65_415
        assert samples(seam.preroll_for(before, absent(packets, 5), 1, 40_000)) <= 25_415
    assert seam.preroll_for(packets[:100], packets[100:], 1, 65_500) == ()


def test_two_channels_are_compared_as_two():
    stereo = Encoder(16_000, 2, complexity=0).encode(noise(4, 2))
    assert seam.unrest(stereo[:150], stereo[150:], 2) <= 1


def test_what_is_kept_is_bounded(packets):
    assert seam.worth_keeping(tuple(packets[:100])) == tuple(packets[:100])
    wide = tuple(packet + bytes(1000) for packet in packets[:100])
    assert seam.worth_keeping(wide) == wide[-60:]  # 1.2 s, whatever they weigh
    kept = seam.worth_keeping(tuple(packet[:60] + bytes(60) for packet in packets))
    assert seam.CONTEXT_BYTES - 120 <= sum(map(len, kept)) <= seam.CONTEXT_BYTES
    assert seam.worth_keeping(()) == ()


def test_where_nothing_of_the_20_ms_is_there_yet_nothing_differs(packets):
    assert seam.unrest(packets[:-1], packets[-1:], 1, lead=10_000) == 0.0


def decodes_nothing(monkeypatch) -> None:
    def heard(*_):
        raise AssertionError("it is decoded once more")

    monkeypatch.setattr(seam, "_heard", heard)


def test_a_seam_that_was_judged_is_not_judged_again(packets, monkeypatch):
    """The one who cuts looks at it, and a minute later the one who builds what follows."""
    before, after = packets[300:360], packets[360:]
    assert seam.unrest(packets[:360], after[:50], 1) <= 1
    with monkeypatch.context() as patched:
        decodes_nothing(patched)
        assert seam.preroll_for(before, after, 1) == tuple(before[-16:])
        # What would be decoded is another thing with more before it, another packet after it, or another lead.
        for other in ((packets[299:360], after, 0), (before, packets[361:], 0), (before, after, 312)):
            with pytest.raises(AssertionError):
                seam.preroll_for(*other[:2], 1, other[2])
    assert seam.preroll_for(before, after, 1) == tuple(before[-16:])


def test_only_so_many_judgements_are_kept(packets, monkeypatch):
    monkeypatch.setattr(seam, "_calm", seam._Calm(most=2))
    for at in (300, 350, 400):
        assert seam.unrest(packets[:at], packets[at:], 1) <= 1
    decodes_nothing(monkeypatch)
    for at in (350, 400):
        seam.preroll_for(packets[at - 60 : at], packets[at:], 1)
    with pytest.raises(AssertionError):
        seam.preroll_for(packets[240:300], packets[300:], 1)
