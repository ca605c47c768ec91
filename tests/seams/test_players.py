"""Players judge what the pusher makes of recordings of every kind: ffmpeg, opusinfo and opusdec, each without a word, and on the clock.

`TAPEDECK_PLAYED_CASES=200` plays all files of two hundred cases; by default a few of each of a few.
"""

import os
import re
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from audiocodec import decode
from audiocodec.packet import absent_frames
from tapedeck_testing.seams.case import make_case
from tapedeck_testing.seams.judge import db
from tapedeck_testing.seams.run import Summary, run_case

ASKED = os.environ.get("TAPEDECK_PLAYED_CASES")
CASES = range(5_000, 5_000 + int(ASKED or 12))
FILES = 10_000 if ASKED else 1
"""Of each case, the last ones: they have pre-roll."""
OFF_SAMPLES = 60
"""1.25 ms."""
CLOSE_DB = 25.0
"""Players have libopus of another version, which decodes alike, but not bit by bit."""


@pytest.fixture(scope="module", params=CASES)
def outcome(request):
    return run_case(make_case(request.param), Summary())


@pytest.fixture
def files(outcome, tmp_path):
    """(path, batch) of the case's files."""
    made = []
    for number, (put, batch) in enumerate(list(zip(outcome.puts, outcome.batches, strict=True))[-FILES:]):
        path = tmp_path / f"{number}.opus"
        path.write_bytes(put.data)
        made.append((path, batch))
    return made


def run(*command) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=True, timeout=60)


def clock_samples(batch) -> int:
    return batch.spans[-1].end_48k - batch.spans[0].start_48k


def test_ffmpeg_plays_it_without_a_word(files, program):
    for path, batch in files:
        done = run(program("ffmpeg"), "-v", "warning", "-i", path, "-f", "s16le", "-ar", "48000", "-")
        assert done.stderr == b""
        assert abs(len(done.stdout) // 2 // batch.channels - clock_samples(batch)) <= OFF_SAMPLES


def test_opusinfo_has_nothing_to_say(files, program):
    for path, _ in files:
        done = run(program("opusinfo"), path)
        assert done.stderr == b""
        text = done.stdout.decode()
        assert not re.search("warning|error|invalid|hole|missing|unknown", text, re.IGNORECASE), text


def test_opusdec_plays_every_run_on_the_clock(files, program):
    for path, batch in files:
        raw = path.with_suffix(".raw")
        done = run(program("opusdec"), "--quiet", "--rate", "48000", "--no-dither", path, raw)
        assert done.stdout + done.stderr == b""
        sound = np.frombuffer(raw.read_bytes(), np.int16).reshape(-1, batch.channels)
        assert abs(len(sound) - clock_samples(batch)) <= OFF_SAMPLES
        first = batch.spans[0]
        if first.samples > 4_800 and not any(map(absent_frames, first.packets)):
            alone = ours(first, batch.preroll, batch.channels)
            assert db(sound[: len(alone)], alone) > CLOSE_DB
        for before, span in pairwise(batch.spans):
            gap = sound[slice(*(at - first.start_48k for at in (before.end_48k, span.start_48k)))]
            # After the last packet a decoder still has half a frame of it; before the first there is the encoder's lead.
            assert np.abs(gap[before.trim + 480 : -(span.lead + 480) or None]).max(initial=0) <= 1


def ours(span, preroll, channels):
    return np.frombuffer(b"".join(decode(span, preroll, 48_000, channels)), np.int16).reshape(-1, channels)
