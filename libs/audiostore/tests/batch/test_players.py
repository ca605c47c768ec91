"""Players judge what lies in the store: ffmpeg, opusinfo and opusdec, each without a word, and on the clock."""

import re
import subprocess

import numpy as np
import pytest

from audiocodec import decode
from audiostore.batch import read_batch, write_batch


@pytest.fixture
def path(tmp_path, batch):
    file = tmp_path / "1732147200.123-1732147209.123.batch.bin"
    file.write_bytes(write_batch(batch))
    return file


def clock_samples(batch):
    """Samples from the first to the last moment, as the clock has them."""
    return batch.spans[-1].end_48k - batch.spans[0].start_48k


def play(opusdec, path, batch):
    """What a player makes of the file: int16 at 48 kHz, (samples, channels)."""
    done = subprocess.run(
        [opusdec, "--quiet", "--rate", "48000", "--no-dither", path, path.with_suffix(".raw")],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout + done.stderr == ""
    return np.frombuffer(path.with_suffix(".raw").read_bytes(), np.int16).reshape(-1, batch.channels)


def test_ffmpeg_takes_it_without_a_word(path, program, batch):
    done = subprocess.run(
        [program("ffmpeg"), "-v", "warning", "-i", path, "-f", "s16le", "-ar", "48000", "-"],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == b""
    assert abs(len(done.stdout) // 2 // batch.channels - clock_samples(batch)) <= 60


def test_opusinfo_takes_it_without_a_word(path, program):
    done = subprocess.run([program("opusinfo"), path], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    assert not re.search("warning|error|invalid|hole|missing|unknown", done.stdout, re.IGNORECASE), (
        done.stdout
    )


def test_opusdec_takes_it_and_plays_as_long_as_the_clock_ran(path, program, batch):
    sound = play(program("opusdec"), path, batch)
    assert abs(len(sound) - clock_samples(batch)) <= 60


def lag(sound, reference):
    """Samples that `sound` comes later than `reference`, by cross-correlation."""
    size = 1 << (len(sound) + len(reference)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(reference, size))
    found = int(np.argmax(np.fft.irfft(spectrum, size)))
    return found - size if found > size // 2 else found


def at_48k(sound, rate):
    """Band-limited interpolation by zero-padding the spectrum: no delay of its own."""
    factor = 48_000 // rate
    spectrum = np.fft.rfft(sound.astype(float))
    padded = np.zeros(len(sound) * factor // 2 + 1, complex)
    padded[: len(spectrum)] = spectrum
    return np.fft.irfft(padded, len(sound) * factor) * factor


@pytest.mark.parametrize("kind", ["whole", "two_runs", "many_odd_gaps", "continued_then_another_run"])
def test_file_time_is_clock_time(kind, make_batch, speech, make_sound, tmp_path, program):
    batch = make_batch(kind)
    file = tmp_path / "file.opus"
    file.write_bytes(write_batch(batch))
    sound = play(program("opusdec"), file, batch)[:, 0].astype(float)
    for number, span in enumerate(batch.spans):
        begins = span.start_48k - batch.spans[0].start_48k
        if kind == "many_odd_gaps":
            source = make_sound(0.5 + number * 0.0137, seed=10 + number)
        elif number == 0:
            source = speech.sound[span.first_sample // 3 :]
        else:
            source = make_sound(2.0, seed=2 if kind == "two_runs" else 3)
        reference = at_48k(source, 16_000)[: span.samples]
        around = np.concatenate([np.zeros(960), sound, np.zeros(960)])[
            begins : begins + len(reference) + 1920
        ]
        assert abs(lag(around, reference) - 960) <= 60, f"run {number}"


def test_gaps_are_silent(make_batch, tmp_path, program):
    batch = make_batch("two_runs")
    file = tmp_path / "file.opus"
    file.write_bytes(write_batch(batch))
    sound = play(program("opusdec"), file, batch)[:, 0]
    first, second = batch.spans
    gap = sound[first.samples + 4800 : second.start_48k - first.start_48k - 4800]
    assert len(gap) > 40_000
    assert np.abs(gap).max() <= 1


def snr_db(sound, reference):
    count = min(len(sound), len(reference))
    error = sound[:count].astype(float) - reference[:count]
    return 10 * np.log10(np.sum(reference[:count].astype(float) ** 2) / max(np.sum(error**2), 1.0))


@pytest.mark.parametrize("kind", ["middle", "end"])
def test_a_file_alone_decodes_as_the_whole_session_would(kind, make_batch, speech, tmp_path, program):
    through = np.frombuffer(b"".join(decode(speech.span, (), 16_000, 1)), np.int16)
    assert len(through) == len(speech.sound)
    file = tmp_path / "file.opus"
    file.write_bytes(write_batch(make_batch(kind)))
    found = read_batch(file.read_bytes())
    (span,) = found.spans
    alone = np.frombuffer(b"".join(decode(span, found.preroll, 16_000, 1)), np.int16)
    at = span.first_sample // 3
    source, session = speech.sound[at : at + len(alone)], through[at : at + len(alone)]
    assert abs(snr_db(alone, source) - snr_db(session, source)) < 0.5
    assert snr_db(alone[:1600], session[:1600]) > 20  # no seam at its start
    assert len(play(program("opusdec"), file, found)) == span.samples
