"""Two buckets between which batches move: what lies in one, and stores of which something goes otherwise than in a real one."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from audiobus.conversation import Conversation
from audiostore.names import CONTENT_TYPE, BatchName, parse_name
from audiostore.store import ObjectInfo, Store
from pusher.batch_builder import Built


async def put(store: Store, path: str, data: bytes, metadata: Mapping[str, str] | None) -> None:
    """A batch comes to lie there."""
    await store.put(path, data, content_type=CONTENT_TYPE, metadata=metadata or {})


async def infos(store: Store) -> list[ObjectInfo]:
    """What a listing says of all batches."""
    return [info async for info in store.list("chunks/")]


async def names(store: Store) -> list[str]:
    """The names of all batches."""
    return [info.name for info in await infos(store)]


def path_of(conversation: Conversation, built: Built, *, sealed: bool = False) -> str:
    """The name of a batch that was built of the conversation."""
    assert built.batch is not None, "there is nothing to put"
    spans = built.batch.spans
    return BatchName(*conversation, spans[0].start_ms, spans[-1].end_ms, sealed=sealed).path


def later(path: str, by_ms: int = 1) -> str:
    """The name of a batch of the same start that ends so much later; by a millisecond it is the next one where this is taken."""
    name = parse_name(path)
    assert name is not None
    return replace(name, end_ms=name.end_ms + by_ms).path


def damaged(data: bytes) -> bytes:
    """The batch says of itself what it said, and has not its audio."""
    return data[:2000] + bytes(len(data) - 2000)


class Of:
    """The store, where nothing else is said."""

    def __init__(self, real: Store) -> None:
        self.real: Any = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class AfterPut(Of):
    """Something happens right after the next object has come to lie in it."""

    def __init__(self, real: Store, then: Callable[[], Awaitable[object]]) -> None:
        super().__init__(real)
        self.then: Callable[[], Awaitable[object]] | None = then

    async def put(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Puts it, and lets it happen."""
        info = await self.real.put(name, *args, **kwargs)
        then, self.then = self.then, None
        if then is not None:
            await then()
        return info
