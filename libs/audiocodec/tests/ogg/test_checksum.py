from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec import libopus, pyav_wheel
from audiocodec.ogg import checksum as module
from audiocodec.ogg.checksum import OURS, by_zlib, checksum, ffmpegs


@pytest.fixture
def anew():
    """The choice made in the test, and forgotten after it."""
    module.fastest.cache_clear()
    yield
    module.fastest.cache_clear()


@given(st.binary(max_size=3000))
def test_both_ways_are_one(data):
    assert {ffmpegs(str(path)).of(data) for path in pyav_wheel.libraries("avutil")} <= {by_zlib(data)}
    assert checksum(data) == by_zlib(data)


def test_ffmpegs_is_found_where_pyav_is_a_wheel():
    if not libopus.pyav_copies():
        pytest.skip("the installed PyAV is not a wheel that carries libraries")
    assert module.fastest() is not OURS


def test_what_is_no_libavutil_is_passed_over(anew, monkeypatch, tmp_path):
    junk = tmp_path / "libavutil.so"
    junk.write_bytes(b"junk")
    others = libopus.pyav_copies()
    monkeypatch.setattr(pyav_wheel, "libraries", lambda _name: [junk, *others])
    assert module.fastest() is OURS


@pytest.mark.parametrize("wrong", ["of", "of_each"])
def test_one_that_counts_otherwise_is_not_believed(anew, monkeypatch, wrong):
    other = {
        "of": lambda data: by_zlib(data) ^ (len(data) > 64),
        "of_each": lambda *stretches: [number ^ 1 for number in OURS.of_each(*stretches)],
    }
    monkeypatch.setattr(module, "ffmpegs", lambda _path: replace(OURS, **{wrong: other[wrong]}))
    assert module.fastest() is OURS
