"""What storage-api makes of every broken twin of a batch: an object that cannot be read, with its reason, and its time a gap."""

from pathlib import Path

import pytest

from audiostore import open_store
from audiostore.names import BatchName
from servicekit.metrics import Metrics
from storage_api.bucket import Bucket
from storage_api.errors import UnreadableError
from storage_api.metrics import StorageMetrics
from storage_api.workers import Workers
from tapedeck_testing.broken_batches import twins

SAMPLES = sorted((Path(__file__).parents[2] / "libs/audiostore/tests/batch/samples").glob("*.batch.bin"))
START_MS, END_MS = 1_732_147_204_116, 1_732_147_208_449
REASONS = ("damaged", "not_a_batch")


@pytest.fixture
async def store():
    store = open_store("memory:")
    yield store
    await store.close()


@pytest.fixture
def bucket(store):
    workers = Workers()
    yield Bucket(store, StorageMetrics(Metrics("storage-api", "test")), workers)
    workers.close()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
async def test_every_twin_is_a_row_with_a_reason(path, store, bucket):
    found: dict[str, int] = dict.fromkeys(REASONS, 0)
    for number, twin in enumerate(twins(path.read_bytes())):
        if not twin.data.startswith(b"OggS"):
            continue  # an older object, as far as anybody can tell
        name = BatchName("alice", f"c{number}", START_MS, END_MS)
        await store.put(name.path, twin.data, content_type="audio/ogg", metadata={})
        (stored,) = await bucket.objects("alice", f"c{number}")
        if stored.reason is None:
            assert twin.head, twin.name
            assert stored.pieces
            with pytest.raises(UnreadableError):
                await bucket.batch(stored)
            # Once read it is known, and its place on the timeline is a gap.
            (stored,) = await bucket.objects("alice", f"c{number}")
        assert stored.reason in REASONS, twin.name
        assert not stored.pieces
        assert stored.end_48k > stored.start_48k
        found[stored.reason] += 1
    assert sum(found.values()) > 100
