from tapedeck.audio_format import AudioFormat


def test_durations():
    assert AudioFormat("pcm16", 16000).duration_ms(bytes(640)) == 20
    assert AudioFormat("pcm8", 8000).duration_ms(bytes(160)) == 20
    assert AudioFormat("aac", 16000).duration_ms(b"any") == 64
    assert AudioFormat("opus", 16000).duration_ms(b"\x48\x01") == 20  # TOC: SILK wideband, 20 ms, one frame
    assert AudioFormat("opus", 16000).duration_ms(b"") == 0


def test_only_pcm_may_be_cut():
    assert AudioFormat("pcm16").divisible
    assert AudioFormat("pcm16").frame_bytes == 2
    assert AudioFormat("pcm8").frame_bytes == 1
    assert not AudioFormat("opus").divisible


def test_the_query():
    assert AudioFormat("opus", 48000, pre_skip=312).query() == {
        "codec": "opus",
        "sample_rate": "48000",
        "channels": "1",
        "pre_skip": "312",
    }
