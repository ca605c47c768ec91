"""One encoder over older audio."""

from array import array

import pytest

from audiocodec import Decoder
from storage_api.older_stream import Encoding, OlderStream

START = 1_700_000_000_000 * 48


@pytest.mark.parametrize("pieces", [[32_000], [1, 319, 320, 321, 31_039], [16_000, 16_000]])
def test_as_many_samples_come_back_as_went_in_and_in_time(pieces, pcm_tone):
    pcm = pcm_tone(2)
    stream = OlderStream(Encoding(complexity=0), START)
    packets, at = [], 0
    for size in pieces:
        packets += stream.take(pcm[at : at + 2 * size])
        at += 2 * size
    assert stream.next_48k == START + 2 * 48_000
    last, padding = stream.finish()
    packets += last
    decoder = Decoder(48_000, 1)
    decoded = array("h", b"".join(decoder.decode(packet) for packet in packets))
    assert len(decoded) - stream.lead - padding == 2 * 48_000
    assert stream.lead == 312


def test_silence_moves_its_clock_by_whole_samples():
    stream = OlderStream(Encoding(complexity=0), START)
    assert list(stream.silence(2)) == []
    assert stream.next_48k == START
    assert len(list(stream.silence(962))) == 1
    assert stream.next_48k == START + 960


def test_the_bitrate_is_what_was_asked_for(speech):
    sizes = [
        sum(map(len, OlderStream(Encoding(bitrate=bitrate, complexity=0), START).take(speech[:320_000])))
        for bitrate in (8_000, 32_000)
    ]
    assert sizes[0] < sizes[1] / 2
