"""A store that counts what it is asked for, and the bucket over it as a reader sees it."""

import pytest

from audiostore.errors import TransientStoreError
from servicekit.metrics import Metrics
from storage_api.bucket import Bucket
from storage_api.metrics import StorageMetrics
from storage_api.workers import Workers


class Counting:
    """A store that counts what it is asked for, and fails as often as it is told."""

    def __init__(self, store) -> None:
        self._store = store
        self.asked: list[str] = []
        self.failures = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get_range(self, name, start, end):
        self.asked.append("get_range")
        self._fail()
        return await self._store.get_range(name, start, end)

    async def get(self, name):
        self.asked.append("get")
        self._fail()
        return await self._store.get(name)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise TransientStoreError("the store is away")


@pytest.fixture
def counting(store):
    return Counting(store)


@pytest.fixture
def metrics():
    return StorageMetrics(Metrics("storage-api", "test"))


@pytest.fixture
def workers():
    made = Workers()
    yield made
    made.close()


@pytest.fixture
def bucket(counting, metrics, workers):
    return Bucket(counting, metrics, workers)


@pytest.fixture
def new_counting():
    """Makes stores that count."""
    return Counting
