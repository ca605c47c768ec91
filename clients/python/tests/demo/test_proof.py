import numpy as np

from tapedeck.demo.proof import packet_line, samples_of, sending_lines, size_line, sound_lines
from tapedeck.sending import Sent

NOISE = np.random.default_rng(7).integers(-8000, 8000, 16000).astype(np.int16)


def sent(**changes):
    fields = {
        "name": "n",
        "conversation_id": "c",
        "session": "1",
        "codec": "pcm16",
        "sample_rate": 16000,
        "channels": 1,
        "seconds": 1.0,
        "messages": 1,
        "sent_bytes": 100,
        "acked_bytes": 100,
        "stored_bytes": 100,
        "stored": True,
        "reconnects": 0,
    }
    return Sent(**(fields | changes))


def verdicts(lines):
    return [line.ok for line in lines]


def test_sending():
    assert verdicts(sending_lines(sent())) == [True, True]
    assert verdicts(sending_lines(sent(acked_bytes=99))) == [False, True]
    assert verdicts(sending_lines(sent(stored=False))) == [True, False]
    assert verdicts(sending_lines(sent(sent_bytes=0, acked_bytes=0, stored_bytes=0))) == [False, True]


def test_sound():
    assert verdicts(sound_lines("x", NOISE, NOISE)) == [True, True, True]
    assert verdicts(sound_lines("x", NOISE, np.roll(NOISE, 1))) == [True, False, False]
    assert verdicts(sound_lines("x", NOISE, NOISE[:-1])) == [False, True, True]
    assert verdicts(sound_lines("x", NOISE, np.zeros_like(NOISE))) == [True, False]
    padded = np.concatenate([NOISE, np.zeros(10, np.int16)])
    assert verdicts(sound_lines("x", NOISE, padded, extra_samples=10)) == [True, True, True]


def test_packets():
    assert packet_line([b"a", b"b"], [b"a", b"b"]).ok
    for back in ([b"a"], [b"b", b"a"], [b"a", b"b", b"b"], []):
        assert not packet_line([b"a", b"b"], back).ok
    assert not packet_line([], []).ok


def test_size():
    assert size_line(10, 100).ok
    assert not size_line(13, 100).ok
    assert not size_line(0, 100).ok


def test_samples():
    assert samples_of(b"\x01\x00\xff\xff").tolist() == [1, -1]
