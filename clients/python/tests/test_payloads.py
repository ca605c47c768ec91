import pytest

from tapedeck.payloads import Payloads

STEREO = bytes(range(256)) * 500


def test_pcm_is_taken_apart_and_what_is_no_whole_sample_frame_left_out():
    assert Payloads("pcm16", 16000, 1).encode(b"abcde") == [(0, b"abcd")]
    assert Payloads("pcm16", 16000, 2).encode(b"abcdefg") == [(1, b"ab"), (2, b"cd")]
    assert Payloads("pcm16", 16000, 2).encode(b"abc") == []


@pytest.mark.parametrize(("codec", "pre_skip"), [("pcm16", None), ("opus", 312), ("aac", 1024)])
def test_the_server_is_told_what_the_encoder_puts_first(codec, pre_skip):
    assert Payloads(codec, 48000, 2).pre_skip == pre_skip


@pytest.mark.parametrize("codec", ["opus", "aac"])
def test_two_channels_take_turns_to_the_end(codec):
    payloads = Payloads(codec, 16000, 2)
    tagged = [one for at in range(0, len(STEREO), 3200) for one in payloads.encode(STEREO[at : at + 3200])]
    tagged += payloads.finish()
    assert [channel for channel, _ in tagged] == [1, 2] * (len(tagged) // 2)
    assert len(tagged) > 20


@pytest.mark.parametrize("codec", ["pcm16", "opus", "aac"])
def test_nothing_in_nothing_out(codec):
    payloads = Payloads(codec, 16000, 2)
    assert payloads.encode(b"") == payloads.finish() == []
