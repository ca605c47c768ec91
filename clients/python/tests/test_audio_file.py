import io
import sys
import wave
from dataclasses import replace

import numpy as np
import pytest

from tapedeck import sample
from tapedeck.audio_file import open_source
from tapedeck.errors import AudioFileError


def tone(path, rate, channels=1, seconds=1.0):
    samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(np.repeat(samples, channels).tobytes())
    return samples


def test_the_sample_is_speech_of_over_70_seconds():
    source = open_source(str(sample.PATH), None)
    pcm = b"".join(source.pieces())
    assert source.sample_rate == 16000
    assert len(pcm) / 2 / 16000 == source.seconds > 70
    assert sample.PATH.stat().st_size < 2_000_000


def test_mono_at_an_opus_rate_comes_sample_for_sample(tmp_path):
    samples = tone(tmp_path / "t.wav", 16000)
    source = open_source(str(tmp_path / "t.wav"), None)
    pieces = list(source.pieces(1000))
    assert b"".join(pieces) == samples.tobytes()
    assert {len(piece) for piece in pieces[:-1]} == {1000}


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
def test_any_rate_from_8_to_48_khz_stays_as_it_is(tmp_path, rate):
    samples = tone(tmp_path / "t.wav", rate)
    source = open_source(str(tmp_path / "t.wav"), None)
    assert source.sample_rate == rate
    assert b"".join(source.pieces()) == samples.tobytes()


def test_rates_outside_and_those_asked_for_are_resampled_to_exactly_as_long(tmp_path):
    tone(tmp_path / "high.wav", 96000, seconds=1.001)
    source = open_source(str(tmp_path / "high.wav"), None)
    assert source.sample_rate == 48000
    assert len(b"".join(source.pieces())) == 2 * 48048
    source = open_source(str(tmp_path / "high.wav"), 22050)
    assert len(b"".join(source.pieces())) == 2 * round(22050 * 1.001)


def test_two_channels_stay_two_unless_one_is_asked_for(tmp_path):
    left = np.arange(-8000, 8000, dtype="<i2")
    both = np.stack((left, left // 2), axis=1)
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(both.tobytes())
    source = open_source(str(tmp_path / "s.wav"), None)
    assert (source.channels, source.sample_rate) == (2, 44100)
    assert b"".join(source.pieces(1000)) == both.tobytes()
    mono = open_source(str(tmp_path / "s.wav"), None, 1)
    assert mono.channels == 1
    assert len(b"".join(mono.pieces())) == len(left) * 2


def test_more_than_two_channels_become_one_or_two(tmp_path):
    tone(tmp_path / "six.wav", 16000, channels=6)
    assert open_source(str(tmp_path / "six.wav")).channels == 1
    source = open_source(str(tmp_path / "six.wav"), None, 2)
    assert len(b"".join(source.pieces())) == 16000 * 4


def test_one_channel_is_not_made_two(tmp_path):
    tone(tmp_path / "t.wav", 16000)
    with pytest.raises(AudioFileError, match="one channel") as caught:
        open_source(str(tmp_path / "t.wav"), None, 2)
    assert "--channels" in caught.value.hint


def test_standard_input_is_raw_pcm(monkeypatch):
    def given(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    given(b"ab" * 5000)
    source = open_source("-", None)
    assert (source.sample_rate, source.seconds, source.channels) == (16000, None, 1)
    assert b"".join(source.pieces()) == b"ab" * 5000
    given(b"abcd" * 5000 + b"abc")
    assert b"".join(open_source("-", 44100, 2).pieces()) == b"abcd" * 5000
    given(bytes(2 * 44100))
    assert len(b"".join(replace(open_source("-", 44100), sample_rate=48000).pieces())) == 2 * 48000


@pytest.mark.parametrize("content", [None, b"", b"this is no audio"])
def test_what_is_no_audio_is_said(tmp_path, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(AudioFileError, match="can't be read"):
        open_source(str(tmp_path / "x"), None)
