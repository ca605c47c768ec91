"""The asyncio driver of plans, and what methods of the asynchronous client give."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

import httpx

from tapedeck.storage.audio_body import BodyOfStream
from tapedeck.storage.caller import Caller, Job
from tapedeck.storage.http import built
from tapedeck.storage.method import Method
from tapedeck.storage.paging import AnyPage, Item, Listed, PageCursor
from tapedeck.storage.plan import Clock, Drop, OnDisk, Opened, Pause, Plan, Send, Step, Take
from tapedeck.storage.reading import Streamed

T = TypeVar("T")
P = ParamSpec("P")


class Driver:
    """Carries plans out in the running event loop; the disk is written in threads."""

    def __init__(self, http: httpx.AsyncClient, caller: Caller, user_agent: str) -> None:
        self.http = http
        self.caller = caller
        self._user_agent = user_agent

    async def run(self, plan: Plan[T]) -> T:
        """What the plan comes to."""
        outcome: object = None
        error: BaseException | None = None
        while True:
            try:
                step = plan.send(outcome) if error is None else plan.throw(error)
            except StopIteration as done:
                found: T = done.value
                return found
            outcome = error = None
            try:
                outcome = await self._do(step)
            except BaseException as raised:  # noqa: BLE001 - the plan raises it again, when it has cleaned up
                error = raised

    async def _do(self, step: Step) -> object:
        match step:
            case Send(request):
                sent = built(self.http, self.caller, request, self._user_agent)
                response = await self.http.send(sent, stream=True, auth=None, follow_redirects=False)
                return Opened(response, response.aiter_raw())
            case Take(opened):
                return await anext(opened.parts, None)
            case Drop(opened):
                with contextlib.suppress(httpx.HTTPError):
                    await opened.response.aclose()
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Clock():
                return time.monotonic()
            case OnDisk(act):
                return await _in_thread(act)
        return None


class AsyncPages(Generic[Item, AnyPage]):
    """A listing: iterate it (`async for`) for the items of all pages, or `pages()` for the pages themselves. Each walk begins anew."""

    def __init__(self, driver: Driver, listed: Listed[Item, AnyPage]) -> None:
        self._driver = driver
        self._listed = listed

    async def __aiter__(self) -> AsyncIterator[Item]:
        """Every item of every page. Raises StorageError."""
        async for page in self.pages():
            for item in self._listed.items(page):
                yield item

    async def pages(self) -> AsyncIterator[AnyPage]:
        """Every page; its `next_page_token` is where another walk may begin. Raises StorageError."""
        cursor = PageCursor(self._driver.caller, self._listed)
        while (page := await self._driver.run(cursor.next_page())) is not None:
            yield page


class AsyncAudioStream(BodyOfStream):
    """Audio part by part; use it in an `async with`. An end without an error is the end of the audio."""

    def __init__(self, driver: Driver, streamed: Streamed) -> None:
        self._driver = driver
        self._streamed = streamed
        self._body = streamed.body(driver.caller)

    async def __aenter__(self) -> Self:
        """Wait for the head. Raises StorageError."""
        await self._driver.run(self._body.begin(self._streamed.offset, self._streamed.etag))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing more is wanted."""
        await self._driver.run(self._body.close())

    def __aiter__(self) -> Self:
        """The parts, once."""
        return self

    async def __anext__(self) -> bytes:
        """The next part. Raises ChangedError, StorageError."""
        part = await self._driver.run(self._body.next_part())
        if part is None:
            raise StopAsyncIteration
        return part


def answers(make: Callable[P, Job[T]]) -> Method[P, Coroutine[Any, Any, T]]:
    """A method that answers what the job comes to."""
    return Method(make, _run)


def lists(make: Callable[P, Listed[Item, AnyPage]]) -> Method[P, AsyncPages[Item, AnyPage]]:
    """A method that lists."""
    return Method(make, AsyncPages)


def streams(make: Callable[P, Streamed]) -> Method[P, AsyncAudioStream]:
    """A method that streams."""
    return Method(make, AsyncAudioStream)


async def _run(driver: Driver, job: Job[T]) -> T:
    return await driver.run(job.plan(driver.caller))


async def _in_thread(act: Callable[[], T]) -> T:
    """What it returns. It is never left behind at work: who is cancelled waits for its end first."""
    working = asyncio.ensure_future(asyncio.to_thread(act))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise
