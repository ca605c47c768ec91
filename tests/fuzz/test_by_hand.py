"""What is written down a second time takes what the first wrote, and its changes come out as they should."""

from random import Random

import pytest

from audiocodec.ogg import read_ogg_opus
from audiostore import sealing
from audiostore.batch import write_batch
from audiostore.key_ring import KeyRing
from tapedeck_fuzz import adts_by_hand, edits, fields, ogg_by_hand, records_by_hand, sealed_by_hand
from tapedeck_fuzz.recordings import batches, recorded
from tapedeck_fuzz.target import BrokenPromiseError, Target


def test_fields_are_taken_apart_as_they_were_joined():
    values = [b"one", None, b"", b"\xff" * 300]
    assert fields.split(fields.join(values), 4) == values
    assert fields.split(b"\x05\x00ab", 3) == [b"ab", None, None]


@pytest.mark.parametrize("name", ["whole", "stereo", "twenty-four-runs"])
def test_pages_are_put_together_as_they_were(name):
    data = write_batch(batches()[name])
    pages = ogg_by_hand.split(data)
    assert ogg_by_hand.join(pages) == data
    assert ogg_by_hand.in_order(pages) == pages
    assert ogg_by_hand.timed(pages)[:-1] == pages[:-1]  # the last leaves out the padding
    broken = data[:30] + b"\0" + data[31:]
    assert ogg_by_hand.mended(broken)[22:26] != data[22:26]
    assert read_ogg_opus(ogg_by_hand.mended(data))


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 200_000])
def test_the_sealed_file_is_the_same_by_hand(size):
    plain = bytes(range(256)) * (size // 256 + 1)
    data = sealing.seal(plain[:size], KeyRing(sealed_by_hand.KEYS), sealed_by_hand.UID)
    file, why_not = sealed_by_hand.split(data, sealing.RECORD_BYTES)
    assert why_not is None
    assert b"".join(record.plain for record in file.records) == plain[:size]
    assert sealed_by_hand.join(file) == data


def test_records_and_blobs_are_the_same_by_hand():
    assert records_by_hand.split(records_by_hand.join([b"a", b"", b"bc"])) == [b"a", b"", b"bc"]
    assert records_by_hand.split(b"") is None
    packets = list(recorded(0.1)[0].packets)
    assert records_by_hand.blob_parts(records_by_hand.blob(packets, 641)) == (packets, 640)


def test_frames_are_put_together_as_they_were():
    frame = adts_by_hand.Frame(0xFFF, 0, 0, 1, 1, 8, 0, 1, 0, 0, 0, 0, 9, 0x7FF, 0, b"ab")
    data = adts_by_hand.join([frame, frame])
    assert data[:4] == b"\xff\xf1\x60\x40"
    assert adts_by_hand.split(data) == [frame, frame]


def test_changes_can_be_repeated():
    for change in (edits.raw, edits.value):
        first = [change(b"some bytes", Random(seed)) for seed in range(50)]
        assert first == [change(b"some bytes", Random(seed)) for seed in range(50)]
        assert len(set(map(repr, first))) > 20


def _as_it_is(data, random, raw):
    return data


def test_a_result_that_outgrows_its_input_is_a_broken_promise():
    assert Target(len, _as_it_is).examine(b"abc")
    assert not Target(lambda _: None, _as_it_is).examine(b"abc")
    with pytest.raises(BrokenPromiseError, match="3 bytes became 7"):
        Target(lambda _: 7, _as_it_is, growth=2).examine(b"abc")
