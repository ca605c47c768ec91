"""Every line of the golden bucket's manifest."""

import hashlib
import math

import numpy as np
import pytest

from audiostore.errors import LegacyFormatError
from audiostore.legacy import is_ours, parse_audio_name, read_legacy, told_samples
from tapedeck_testing.golden_bucket import SAMPLES, GoldenObject, golden_objects, manifest

LOOKAHEAD = 104
"""Samples at 16 kHz by which blobs play late: their encoder's lookahead was never trimmed."""

DAMAGED = {
    "mixed/1700000000.000.opus": ("Opus blob: it ends within its header: 3 of 8 bytes", 0),
    "mixed/1700000019.500.opus.enc": ("sealed records: record 0 is cut short: 10299 of 10306 bytes", 0),
    "mixed/1700000030.000.batch.enc": (
        "sealed records: record 0 does not authenticate: changed, or sealed with another secret", 16_000
    ),
}  # fmt: skip


def read(golden: GoldenObject) -> bytes:
    name = parse_audio_name(golden.name)
    assert not is_ours(name, golden.data)
    assert name.uid == manifest()["uid"]
    assert name.start_ms == golden.line["start"] * 1000
    return read_legacy(name, golden.data, manifest()["secret"]).pcm()


def test_the_copies_are_what_the_manifest_says():
    for golden in golden_objects():
        assert len(golden.data) == golden.line["bytes"]
        assert hashlib.sha256(golden.data).hexdigest() == golden.line["sha256"]
    listed = {golden.name for golden in golden_objects()}
    assert listed == {
        str(path.relative_to(SAMPLES)) for path in (SAMPLES / "chunks").rglob("*") if path.is_file()
    }


@pytest.mark.parametrize(
    "golden", [g for g in golden_objects() if g.line.get("lossless")], ids=lambda g: g.name
)
def test_lossless_ones_come_back_bit_for_bit(golden):
    assert read(golden) == golden.held


@pytest.mark.parametrize(
    "golden", [g for g in golden_objects() if g.line.get("lossless") is False], ids=lambda g: g.name
)
def test_lossy_ones_come_back_in_their_time(golden):
    heard = np.frombuffer(read(golden), dtype="<i2").astype(float)
    wanted = np.frombuffer(golden.held, dtype="<i2").astype(float)
    assert len(heard) == len(wanted)
    middle = wanted[16_000:48_000]
    late = max(range(-300, 301), key=lambda lag: float(heard[16_000 + lag : 48_000 + lag] @ middle))
    assert late == LOOKAHEAD
    noise = heard[late:] - wanted[:-late]
    assert 10 * math.log10((wanted[:-late] ** 2).sum() / (noise**2).sum()) > 10


@pytest.mark.parametrize("golden", [g for g in golden_objects() if "damaged" in g.line], ids=lambda g: g.name)
def test_damaged_ones_are_refused_with_what_is_wrong(golden):
    said, told = DAMAGED[golden.name.removeprefix("chunks/user-legacy/")]
    name = parse_audio_name(golden.name)
    with pytest.raises(LegacyFormatError) as caught:
        read_legacy(name, golden.data, manifest()["secret"])
    assert str(caught.value) == said
    assert told_samples(name, golden.data) == told


def test_ignored_ones_are_no_audio():
    ignored = [golden.name for golden in golden_objects() if "ignored" in golden.line]
    assert len(ignored) == 2
    assert [parse_audio_name(name) for name in ignored] == [None, None]


def test_a_secret_of_another_kind_opens_nothing():
    for golden in golden_objects():
        name = parse_audio_name(golden.name)
        if name is not None and name.sealed:
            with pytest.raises(LegacyFormatError):
                read_legacy(name, golden.data, "another secret")
