"""What is read without parting its packets is what `read_batch` gives; what it would refuse is never read so."""

from dataclasses import replace
from pathlib import Path

import pytest

from audiocodec.ogg import read_ogg_packed
from audiostore import packed_batch
from audiostore.batch import batch_file, read_batch, write_batch
from audiostore.facts import batch_facts
from audiostore.packed_batch import facts_in_headers, read_packed_batch
from tapedeck_testing.broken_batches import twins

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.batch.bin"))
TWINS = [(path.name, twin) for path in SAMPLES for twin in twins(path.read_bytes())]
USUAL = ("whole", "beginning", "middle", "end", "short_preroll", "no_preroll", "narrow")


def same(packed, batch) -> None:
    (span,) = batch.spans
    assert packed.packets.parted() == span.packets
    assert (packed.span, packed.preroll) == (replace(span, packets=()), batch.preroll)


def test_every_kind_of_batch(batch):
    packed = read_packed_batch(write_batch(batch))
    if packed is not None:
        same(packed, batch)


@pytest.mark.parametrize("kind", USUAL)
def test_the_usual_ones_are_read_so(make_batch, kind):
    batch = make_batch(kind)
    file = batch_file(batch)
    packed = read_packed_batch(file.data)
    assert packed is not None
    same(packed, batch)
    assert [packed.packets.paged] == list(batch_facts(file.metadata).pages)


def test_large_headers_are_not_remembered(make_batch, monkeypatch):
    data = batch_file(make_batch("whole")).data
    monkeypatch.setattr(packed_batch, "MAX_HEADERS_BYTES", len(read_ogg_packed(data).headers))
    facts_in_headers.cache_clear()
    assert read_packed_batch(data) is not None
    assert facts_in_headers.cache_info().currsize == 1
    monkeypatch.setattr(packed_batch, "MAX_HEADERS_BYTES", packed_batch.MAX_HEADERS_BYTES - 1)
    facts_in_headers.cache_clear()
    assert read_packed_batch(data) is None
    assert facts_in_headers.cache_info().currsize == 0


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_golden_files(path):
    packed = read_packed_batch(path.read_bytes())
    if packed is not None:
        same(packed, read_batch(path.read_bytes()))


@pytest.mark.parametrize(("file", "twin"), TWINS, ids=lambda value: getattr(value, "name", value))
def test_a_broken_twin_is_not(file, twin):
    assert read_packed_batch(twin.data) is None
