"""Two buckets, and batches of one session to move between them."""

import pytest

from audiobus import Bus
from audiobus.errors import BusUnavailableError
from audiostore import open_store
from audiostore.facts import KEY
from audiostore.sealing import seal, sealed_key_id
from pusher.batch_builder import build
from tapedeck_testing.draining.moving_home import infos, path_of


@pytest.fixture
async def first():
    opened = open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
async def second():
    opened = open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
def session(new_session, clock):
    session = new_session()
    session.begin(clock())
    return session


@pytest.fixture
def next_batch(session, conversation, keys):
    """Makes the next batch of so many seconds of the session: its name, its bytes, its metadata."""
    preroll = None

    def make(seconds: float = 10, *, sealed: bool = False):
        nonlocal preroll
        built = build(conversation.cid, list(session.speech(seconds)), preroll)
        preroll = built.preroll
        data, metadata = built.data, built.metadata
        if sealed:
            data = seal(data, keys.ring(), conversation.uid)
            metadata = {**metadata, KEY: sealed_key_id(data)}
        return path_of(conversation, built, sealed=sealed), data, metadata

    return make


@pytest.fixture
def batch(next_batch):
    """The first batch of ten seconds."""
    return next_batch()


@pytest.fixture
async def killed(bus, redis_url, prefix, device, conversation, new_worker, second):
    """A pusher put a batch into the second bucket, and was killed before it settled it. What lies in the second bucket."""
    await device.open()
    await device.say(61)
    await bus.ask(conversation, "flush")

    async def dies(*_args, **_kwargs):
        raise BusUnavailableError("killed")

    async with Bus(redis_url, prefix=prefix) as dying:
        dying.finish = dies
        with pytest.raises(BusUnavailableError):
            await new_worker(second, bus=dying, holder="dying").drain(conversation)
    await bus.client.delete(bus.keys.lease(conversation))
    [info] = await infos(second)
    return info
