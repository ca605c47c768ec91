"""A session whose client never sent audio, only bytes that are none: it ends all the same, and they count."""

import pytest

from listen.audio_format import AudioFormat
from listen.encoding import SocketEncoder
from listen.errors import BadAudioError
from listen.recording import Recording

NOW_MS = 1_732_147_200_000


@pytest.mark.parametrize("codec", ["pcm8", "pcm16", "opus", "aac"])
@pytest.mark.parametrize("then", ["nothing", "return", "more"])
@pytest.mark.parametrize("message", [b"", b"\x00", b"\x03half", b"\x01"])
def test_what_is_no_audio_keeps_no_session_open(codec, then, message):
    form = AudioFormat(codec, 16_000, 2)
    recording, encoder = (
        Recording(form, dialect="v1", chunk_ms=1000),
        SocketEncoder(form, bitrate=16_000, complexity=0),
    )
    try:
        recording.take(message, NOW_MS)
    except BadAudioError:
        counted = max(0, len(message) - 1)
    else:
        counted = 0  # a channel's tag alone
    assert recording.flush(NOW_MS, then) == recording.taken == counted
    while (job := recording.job(NOW_MS)) is not None:
        recording.encoded(encoder.run(job), NOW_MS)
    assert recording.idle
    assert sum(ready.end_offset - ready.chunk.first_offset for ready in recording.chunks()) == counted


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("then", ["nothing", "return"])
def test_half_a_sample_keeps_no_session_open(channels, then):
    form = AudioFormat("pcm16", 16_000, channels)
    recording = Recording(form, dialect="v1", chunk_ms=1000)
    encoder = SocketEncoder(form, bitrate=16_000, complexity=0)
    recording.take(b"\x01\x00"[2 - channels :], NOW_MS)
    recording.flush(NOW_MS, then)
    while (job := recording.job(NOW_MS)) is not None:
        recording.encoded(encoder.run(job), NOW_MS)
    assert recording.idle
    stored = sum(ready.end_offset - ready.chunk.first_offset for ready in recording.chunks())
    assert stored == (1 if then == "nothing" else 0)
