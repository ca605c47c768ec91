"""Every route over a bucket that is slow, empty, half deleted, or answers with errors in mid-stream.

What is told is whole, or it is an error, or it breaks off visibly. That status, code and shape are those of the route is checked with every
answer (see conftest). A bucket that is away altogether is `test_away`'s.
"""

import asyncio

import httpx
import pytest

from audiostore.errors import NotFoundError, TransientStoreError

FORMATS = ("wav", "pcm", "ogg")


class Troubled:
    """A bucket with a trouble; without one it is as it was."""

    with_metadata = None
    """Its objects are opened to be looked at, as in most buckets."""

    def __init__(self, store) -> None:
        self._store = store
        self.trouble = ""
        self.reads = 0

    def __getattr__(self, name):
        real = getattr(self._store, name)

        async def call(*args, **kwargs):
            await self._meet(name, *args)
            return await real(*args, **kwargs)

        return call if name in ("get", "get_range", "head", "put", "copy", "delete") else real

    async def _meet(self, call: str, *args) -> None:
        reading = call in ("get", "get_range", "head")
        self.reads += reading
        if self.trouble == "slow":
            await asyncio.sleep(0.01)
        elif self.trouble == "empty" and reading:
            raise NotFoundError(f"{call}: nothing is there")
        elif self.trouble == "half deleted" and reading and await self._is_odd(args[0]):
            raise NotFoundError(f"{call}: it is gone")
        elif self.trouble == "reads break off" and call == "get" and self.reads > 3:
            raise TransientStoreError(f"{call}: away")

    async def _is_odd(self, name: str) -> bool:
        names = [info.name async for info in self._store.list(name.rpartition("/")[0] + "/")]
        return name in names and names.index(name) % 2 == 1

    async def list(self, prefix, after=""):
        if self.trouble == "empty":
            return
        if self.trouble == "slow":
            await asyncio.sleep(0.01)
        seen = 0
        async for info in self._store.list(prefix, after):
            seen += 1
            if self.trouble == "lists break off" and seen > 1:
                raise TransientStoreError("list: it broke off")
            yield info
        if self.trouble == "lists break off":
            raise TransientStoreError("list: it broke off")


@pytest.fixture
async def troubled(serve, one_bus, store, tmp_path, tape_for, pcm_tone, furnished, house_of, monkeypatch):
    """A house whose recording lies in four objects, and its bucket."""
    monkeypatch.setattr("storage_api.patience.READ_TRIES", 1)
    monkeypatch.setattr("storage_api.patience.BEGUN_FOR_S", 0.0)
    monkeypatch.setattr("storage_api.flush.DEADLINE_S", 0.2)
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 0)
    letter = await furnished(tape_for, pcm_tone, one_bus, batches=4)
    bucket = Troubled(store)
    async with serve(one_bus, bucket, tmp_path) as api:
        yield house_of(api, letter), bucket


def forget(house) -> None:
    """What was found out about objects when all was well."""
    house.api.services.bucket._usual.verdicts._known.clear()


def in_order(rows):
    """What reads first, and last what deletes more and more."""
    order = ["GET", "HEAD", "PUT", "POST", "DELETE"]
    return sorted(rows.values(), key=lambda row: (order.index(row.method), -len(row.path)))


@pytest.mark.parametrize("trouble", ["slow", "empty", "half deleted", "lists break off", "reads break off"])
async def test_every_route_answers_whole_or_says_why_not(troubled, rows, requests, trouble):
    house, bucket = troubled
    for row in in_order(rows):
        name = f"{row.method} {row.path}"
        if row.method == "GET" and "audio" not in name:
            bucket.trouble = ""
            healthy = await house.ask(row)
            assert healthy.status_code == requests[name].status, name
        bucket.trouble, bucket.reads = trouble, 0
        forget(house)
        try:
            answer = await house.ask(row)
        except httpx.RemoteProtocolError:
            assert (row.method, row.name) == ("GET", "audio")
            assert trouble in ("half deleted", "reads break off")
            continue
        assert answer.status_code in (requests[name].status, 404, 503, 504), name
        if answer.status_code == 503:
            assert answer.headers["retry-after"].isdigit(), name
        if trouble == "slow":
            assert answer.status_code == requests[name].status, name
        if trouble == "lists break off" and row.method == "GET" and answer.status_code == 200:
            # Nothing of it came from the bucket, or it would be a part that looks whole.
            assert answer.content == healthy.content, name


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("trouble", ["slow", "empty", "half deleted", "lists break off", "reads break off"])
async def test_audio_is_whole_or_breaks_off(troubled, rows, trouble, form):
    house, bucket = troubled
    row = rows["GET /v1/users/{uid}/conversations/{cid}/audio"]
    whole = await house.ask(row, query={"format": form})
    bucket.trouble, bucket.reads = trouble, 0
    forget(house)
    try:
        answer = await house.ask(row, query={"format": form})
    except httpx.RemoteProtocolError:
        assert trouble == "reads break off"
        return
    if trouble == "slow":
        assert answer.content == whole.content
    elif trouble == "half deleted":
        # What is gone was deleted: it is a gap, and the recording is another one.
        assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "0")
        assert answer.headers["etag"] != whole.headers["etag"]
    else:
        assert answer.status_code == (404 if trouble == "empty" else 503)
    assert house.api.services.downloads.running == 0
