"""The synchronous driver of plans, and what methods of the synchronous client give."""

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, ParamSpec, Self, TypeVar

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
    """Carries plans out in the calling thread. Threads may share one."""

    def __init__(self, http: httpx.Client, caller: Caller, user_agent: str) -> None:
        self.http = http
        self.caller = caller
        self._user_agent = user_agent

    def run(self, plan: Plan[T]) -> T:
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
                outcome = self._do(step)
            except BaseException as raised:  # noqa: BLE001 - the plan raises it again, when it has cleaned up
                error = raised

    def _do(self, step: Step) -> object:
        match step:
            case Send(request):
                sent = built(self.http, self.caller, request, self._user_agent)
                response = self.http.send(sent, stream=True, auth=None, follow_redirects=False)
                return Opened(response, response.iter_raw())
            case Take(opened):
                return next(opened.parts, None)
            case Drop(opened):
                with contextlib.suppress(httpx.HTTPError):
                    opened.response.close()
            case Pause(seconds):
                time.sleep(seconds)
            case Clock():
                return time.monotonic()
            case OnDisk(act):
                return act()
        return None


class Pages(Generic[Item, AnyPage]):
    """A listing: iterate it for the items of all pages, or `pages()` for the pages themselves. Each walk begins anew."""

    def __init__(self, driver: Driver, listed: Listed[Item, AnyPage]) -> None:
        self._driver = driver
        self._listed = listed

    def __iter__(self) -> Iterator[Item]:
        """Every item of every page. Raises StorageError."""
        for page in self.pages():
            yield from self._listed.items(page)

    def pages(self) -> Iterator[AnyPage]:
        """Every page; its `next_page_token` is where another walk may begin. Raises StorageError."""
        cursor = PageCursor(self._driver.caller, self._listed)
        while (page := self._driver.run(cursor.next_page())) is not None:
            yield page


class AudioStream(BodyOfStream):
    """Audio part by part; use it in a `with`. An end without an error is the end of the audio."""

    def __init__(self, driver: Driver, streamed: Streamed) -> None:
        self._driver = driver
        self._streamed = streamed
        self._body = streamed.body(driver.caller)

    def __enter__(self) -> Self:
        """Wait for the head. Raises StorageError."""
        self._driver.run(self._body.begin(self._streamed.offset, self._streamed.etag))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing more is wanted."""
        self._driver.run(self._body.close())

    def __iter__(self) -> Self:
        """The parts, once."""
        return self

    def __next__(self) -> bytes:
        """The next part. Raises ChangedError, StorageError."""
        part = self._driver.run(self._body.next_part())
        if part is None:
            raise StopIteration
        return part


def answers(make: Callable[P, Job[T]]) -> Method[P, T]:
    """A method that answers what the job comes to."""
    return Method(make, _run)


def lists(make: Callable[P, Listed[Item, AnyPage]]) -> Method[P, Pages[Item, AnyPage]]:
    """A method that lists."""
    return Method(make, Pages)


def streams(make: Callable[P, Streamed]) -> Method[P, AudioStream]:
    """A method that streams."""
    return Method(make, AudioStream)


def _run(driver: Driver, job: Job[T]) -> T:
    return driver.run(job.plan(driver.caller))
