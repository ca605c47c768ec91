"""The maker: building and sealing, off the event loop."""

import asyncio
import threading

import pytest

from audiostore.batch import read_batch
from audiostore.key_ring import KeySource
from audiostore.names import CONTENT_TYPE
from audiostore.sealing import open_sealed, sealed_key_id
from pusher.batch_builder import build
from pusher.errors import BuildError, NoKeyError, ObjectTooLargeError
from pusher.maker import Maker


@pytest.fixture
async def new_maker():
    made = []

    def make(keys: KeySource | None = None, **limits: int) -> Maker:
        made.append(Maker(keys, **limits))
        return made[-1]

    yield make
    for maker in made:
        await maker.close()


@pytest.fixture
def entries(new_session, clock):
    session = new_session()
    return [session.begin(clock()), *session.speech(3)]


async def test_a_plain_object_is_what_the_builder_makes(new_maker, entries, conversation):
    built = await new_maker().make(conversation, entries, None, (), sealed=False)
    assert built == build(conversation.cid, entries, None)
    assert built.content_type == CONTENT_TYPE


async def test_a_sealed_object_holds_the_same_file_and_is_another_one_each_time(
    new_maker, entries, conversation, keys
):
    maker = new_maker(keys)
    one, other = [await maker.make(conversation, entries, None, (), sealed=True) for _ in range(2)]
    plain = build(conversation.cid, entries, None)
    assert one.data != other.data
    for made in (one, other):
        assert open_sealed(made.data, keys.ring(), conversation.uid) == plain.data
        assert sealed_key_id(made.data) == "k2"
        assert made.content_type == "application/octet-stream"
        assert made.metadata == {**plain.metadata, "tapedeck-key": "k2"}
    assert read_batch(plain.data) == one.batch


async def test_without_a_key_nothing_is_made_that_must_be_sealed(new_maker, entries, conversation):
    maker = new_maker()
    with pytest.raises(NoKeyError, match="TAPEDECK_ENCRYPTION_KEYS"):
        await maker.make(conversation, entries, None, (), sealed=True)
    # Where nothing is to be put, nothing is to be sealed.
    assert (await maker.make(conversation, entries[:1], None, (), sealed=True)).batch is None


async def test_what_cannot_be_built_says_so(new_maker, new_session, clock, conversation):
    session = new_session(source="No Source!")
    session.begin(clock())
    with pytest.raises(BuildError):
        await new_maker().make(conversation, list(session.speech(1)), None, (), sealed=False)


async def test_what_no_store_takes_is_not_made(new_maker, entries, conversation, keys):
    size = len(build(conversation.cid, entries, None).data)
    sealed = len((await new_maker(keys).make(conversation, entries, None, (), sealed=True)).data)
    for most, is_sealed, taken in (
        (size, False, True),
        (size - 1, False, False),
        (sealed, True, True),
        (size, True, False),
    ):
        making = new_maker(keys, most_bytes=most).make(conversation, entries, None, (), sealed=is_sealed)
        if taken:
            assert len((await making).data) == most
        else:
            with pytest.raises(ObjectTooLargeError, match=f"{most} is the most"):
                await making


async def test_the_event_loop_goes_on_meanwhile(new_maker, entries, conversation):
    asked, answer = threading.Event(), threading.Event()

    class Slow(KeySource):
        def ring(self):
            assert threading.current_thread() is not threading.main_thread()
            asked.set()
            assert answer.wait(30)
            return super().ring()

    making = asyncio.create_task(new_maker(Slow()).make(conversation, entries, None, (), sealed=True))
    async with asyncio.timeout(60):
        while not asked.is_set():
            await asyncio.sleep(0)
    assert not making.done()
    answer.set()
    with pytest.raises(NoKeyError):
        await making
