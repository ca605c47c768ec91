"""What a circuit hears of a store's operations."""

import pytest

from audiostore.errors import (
    AlreadyExistsError,
    BadNameError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    StoreError,
    TooLargeError,
    TransientStoreError,
)
from pusher.circuit import OPENS_AFTER, PAUSES_AFTER, Phase
from pusher.errors import CannotTellError
from pusher.guarded_store import MOST_PROOF_BYTES, GuardedStore, is_the_stores, without_names

OPERATIONS = {
    "put": lambda store: store.put("a", b"", content_type="x", metadata={}),
    "get": lambda store: store.get("a"),
    "get_range": lambda store: store.get_range("a", 0, 1),
    "head": lambda store: store.head("a"),
    "copy": lambda store: store.copy("a", "b"),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: _all(store.list("")),
    "list_folders": lambda store: _all(store.list_folders("")),
}


async def _all(found):
    return [one async for one in found]


class Fails:
    def __init__(self, error) -> None:
        self.error = error

    def __getattr__(self, name):
        async def fails(*_args, **_kwargs):
            raise self.error

        async def fails_to_list(*_args, **_kwargs):
            raise self.error
            yield

        return fails_to_list if name.startswith("list") else fails


@pytest.fixture
def guarded(clock):
    def make(store):
        return GuardedStore("first", store, clock)

    return make


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_that_fails_is_told(guarded, operation):
    store = guarded(Fails(TransientStoreError("away")))
    for _ in range(OPENS_AFTER):
        assert store.circuit.closed
        with pytest.raises(TransientStoreError):
            await OPERATIONS[operation](store)
    assert store.circuit.phase is Phase.OPEN


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("error", [NotFoundError, BadNameError, TooLargeError, AlreadyExistsError])
async def test_what_a_store_says_of_one_object_is_no_failure(guarded, operation, error):
    store = guarded(Fails(error("this object")))
    for _ in range(20):
        with pytest.raises(error):
            await OPERATIONS[operation](store)
    assert store.circuit.closed
    assert not is_the_stores(error("x"))


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_damaged_object_that_is_read_is_no_failure_of_the_store(guarded, operation):
    """Else a few of them would keep everybody from a bucket that works. What a put made of its bytes is one."""
    store = guarded(Fails(ChecksumError("other bytes came")))
    for _ in range(OPENS_AFTER):
        with pytest.raises(ChecksumError):
            await OPERATIONS[operation](store)
    assert store.circuit.closed == (operation == "get")


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_only_an_object_that_is_stored_closes_the_circuit(guarded, memory_store, operation):
    """A full disk still lists, and who may read may not write."""
    await memory_store.put("a", b"1", content_type="x", metadata={})
    if operation == "put":
        await memory_store.delete("a")
    store = guarded(memory_store)
    for _ in range(OPENS_AFTER):
        store.circuit.failed(0, 0, "away", operators=False)
    await OPERATIONS[operation](store)
    assert store.circuit.closed == (operation == "put")


async def test_a_name_that_is_taken_is_an_answer_too(guarded, memory_store):
    await memory_store.put("a", b"1", content_type="x", metadata={})
    store = guarded(memory_store)
    for _ in range(OPENS_AFTER):
        store.circuit.failed(0, 0, "away", operators=False)
    with pytest.raises(AlreadyExistsError):
        await OPERATIONS["put"](store)
    assert store.circuit.closed


class Small(Fails):
    """A store that takes objects of so many bytes at most."""

    def __init__(self, room) -> None:
        super().__init__(TransientStoreError("no space left"))
        self.room = room

    async def put(self, name, data, **_kwargs):
        if len(data) > self.room:
            raise self.error
        return name


async def test_what_is_no_conversations_closes_it_only_where_it_is_as_large_as_what_failed(guarded):
    store = guarded(Small(2))

    async def put(name, size):
        await store.put(name, bytes(size), content_type="x", metadata={})

    async def fail(user):
        for number in range(OPENS_AFTER):
            with pytest.raises(TransientStoreError):
                await put(f"chunks/{user}/c{number}/x", 8 - number)
        assert not store.circuit.closed

    await fail("u")
    assert store.proof_bytes == 8
    await put("chunks/.try", 2)
    assert not store.circuit.closed
    await put("chunks/u/c/x", 2)
    assert (store.circuit.closed, store.proof_bytes) == (True, 8)
    await fail("v")
    store._store.room = 100
    await put("chunks/.try", 7)
    assert not store.circuit.closed
    await put("chunks/.try", 8)
    assert (store.circuit.closed, store.proof_bytes) == (True, 0)


@pytest.mark.parametrize("error", [TooLargeError("x"), BadNameError("x")])
async def test_what_is_said_of_one_object_asks_no_larger_ones(guarded, error):
    store = guarded(Fails(error))
    with pytest.raises(StoreError):
        await store.put("chunks/u/c/x", b"1", content_type="x", metadata={})
    assert store.proof_bytes == 0


async def test_no_more_than_a_batch_is_asked_for(guarded):
    store = guarded(Small(0))
    with pytest.raises(TransientStoreError):
        await store.put("chunks/u/c/x", bytes(MOST_PROOF_BYTES + 1), content_type="x", metadata={})
    assert store.proof_bytes == MOST_PROOF_BYTES


@pytest.mark.parametrize(
    "second",
    [
        lambda store: store.head("chunks/u/two/1.000-2.000.batch.bin"),
        lambda store: _all(store.list("chunks/u/one/")),
        lambda store: store.head("tapedeck-mark/1"),
    ],
)
async def test_it_is_told_of_which_conversation_an_object_is(guarded, second):
    """One conversation's objects alone never open it; those of two do, and so does what is about the bucket."""
    store = guarded(Fails(StoreConfigurationError("403")))
    store.circuit.worked(store.now_ms())
    for _ in range(5 * PAUSES_AFTER):
        with pytest.raises(StoreConfigurationError):
            await store.get("chunks/u/one/1.000-2.000.batch.bin")
        assert store.circuit.closed
    with pytest.raises(StoreConfigurationError):
        await second(store)
    assert store.circuit.phase is Phase.PAUSED


async def test_changes_are_told_once(guarded):
    store = guarded(Fails(StoreConfigurationError("403")))
    changes = []
    store.on_change = lambda bucket, before: changes.append((before, bucket.circuit.phase))
    for _ in range(PAUSES_AFTER + 3):
        with pytest.raises(StoreConfigurationError):
            await store.head("a")
    assert changes == [(Phase.CLOSED, Phase.PAUSED)]


@pytest.mark.parametrize(
    ("error", "stores"),
    [
        (TransientStoreError("x"), True),
        (StoreConfigurationError("x"), True),
        (ChecksumError("x"), True),
        (StoreError("418"), True),
        (AlreadyExistsError("x"), False),
        (CannotTellError("x"), False),
    ],
)
def test_whose_trouble_it_is(error, stores):
    assert is_the_stores(error) == stores


@pytest.mark.parametrize(
    "text",
    [
        "put gs://bucket/pre/chunks/alice/c1/1.000-2.000.batch.bin: away",
        "look at gs://b/chunks/alice/c: 403 GET https://host/storage/v1/b/b/o/chunks%2Falice%2Fc1?x=1: denied",
    ],
)
def test_no_text_names_a_user(text):
    told = without_names(TransientStoreError(text))
    assert "alice" not in told
    assert "chunks/…" in told
