from listen.audio_format import AudioFormat
from listen.recording import Recording
from listen.upcoming import Upcoming


def test_it_has_audio_once_something_was_sent_for_it(now_ms):
    recording = Recording(AudioFormat("pcm8", 8_000), dialect="plain", chunk_ms=1_000)
    upcoming = Upcoming("conv-2", now_ms, recording)
    assert not upcoming.has_audio
    recording.take(bytes(80), now_ms)
    assert upcoming.has_audio


def test_in_v1_nothing_is_sent_for_it(now_ms):
    assert not Upcoming("conv-2", now_ms, None).has_audio
