import io
import sys
import wave

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


def test_other_rates_go_up_to_the_next_opus_rate_and_stereo_becomes_mono(tmp_path):
    tone(tmp_path / "t.wav", 22050, channels=2)
    source = open_source(str(tmp_path / "t.wav"), None)
    assert source.sample_rate == 24000
    assert abs(len(b"".join(source.pieces())) / 2 - 24000) < 100
    tone(tmp_path / "high.wav", 96000)
    assert open_source(str(tmp_path / "high.wav"), None).sample_rate == 48000
    assert open_source(str(tmp_path / "t.wav"), 8000).sample_rate == 8000


def test_standard_input_is_raw_pcm(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab" * 5000)))
    source = open_source("-", None)
    assert (source.sample_rate, source.seconds) == (16000, None)
    assert b"".join(source.pieces()) == b"ab" * 5000


@pytest.mark.parametrize("content", [None, b"", b"this is no audio"])
def test_what_is_no_audio_is_said(tmp_path, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(AudioFileError, match="can't be read"):
        open_source(str(tmp_path / "x"), None)
