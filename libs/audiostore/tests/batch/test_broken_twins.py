"""Broken twins of the golden batches: each is refused, with an error that names structure and defect."""

from pathlib import Path

import pytest

from audiocodec.errors import CodecError
from audiocodec.ogg import read_ogg_headers
from audiostore.batch import HEAD_BYTES, batch_facts, read_batch, write_batch
from audiostore.errors import BatchFormatError
from tapedeck_testing.broken_batches import twins
from tapedeck_testing.ogg_sheets import joined, sheets

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.batch.bin"))
TWINS = [(path.name, twin) for path in SAMPLES for twin in twins(path.read_bytes())]


@pytest.mark.parametrize(("file", "twin"), TWINS, ids=lambda value: getattr(value, "name", value))
def test_a_broken_twin_is_refused_by_name(file, twin):
    with pytest.raises(BatchFormatError, match=twin.error):
        read_batch(twin.data)


@pytest.mark.parametrize(("file", "twin"), TWINS, ids=lambda value: getattr(value, "name", value))
def test_the_head_alone_tells_what_it_can(file, twin):
    def look():
        return batch_facts(read_ogg_headers(twin.data[:HEAD_BYTES]))

    if twin.head:
        assert look().spans
    else:
        with pytest.raises((CodecError, BatchFormatError)):
            look()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_a_golden_file_is_written_the_same_again_and_so_are_its_pages(path):
    data = path.read_bytes()
    assert joined(sheets(data)) == data == write_batch(read_batch(data))
    assert len({twin.name for name, twin in TWINS if name == path.name}) > 90
