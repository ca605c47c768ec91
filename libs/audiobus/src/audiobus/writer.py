"""One writer a process: what all its sockets have to append goes out in grouped pipelines, and their looks at their users too.

A pipeline of 50 costs a fifth of 50 single commands (docs/architecture.md), so a request lingers a little for others. Order between two chunks of one conversation
needs no care here: the script takes each only onto exactly the one before.
"""

import asyncio
from collections import deque
from typing import Any, Final, TypeAlias, cast

from audiobus.append import AppendAnswer, AppendRequest
from audiobus.bus import Bus
from audiobus.cluster import Cluster
from audiobus.connection import translate_response, translated
from audiobus.errors import BusContractError, BusError, BusUnavailableError
from audiobus.script import Call, run_together, script
from audiobus.usage import UserRequest, UserState

GROUP_LIMIT: Final = 50
"""So many wait for no more company: a larger group costs no less for each."""
LARGEST_GROUP: Final = 500
"""What has come while Redis was slow goes out together: one group is under way at a time (of a cluster, to each node), and each costs a round trip."""
GROUP_BYTES: Final = 1024 * 1024
"""Of chunks in a group, but for a single one that is larger."""
LINGER_S: Final = 0.020
"""How long a request waits for company. Alone it costs three times what it costs among five; a chunk took a second to fill."""

Request: TypeAlias = AppendRequest | UserRequest
Result: TypeAlias = AppendAnswer | UserState
Waiting: TypeAlias = tuple[Request, asyncio.Future[Result]]


class Writer:
    """Groups appends. `run` does the work; `append` may be called by any number of tasks."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._queue: deque[Waiting] = deque()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        """Wakes `run` for what lingers."""
        self._served: frozenset[str] = frozenset()
        """The owners of what was written last."""
        self._lanes: dict[str, deque[Waiting]] = {}
        """On a cluster what waits for each node while a group of its own is under way."""
        self._closing = False
        self.commands = 0
        """Commands sent so far."""
        self.groups = 0
        """In so many pipelines."""

    async def append(self, request: AppendRequest) -> AppendAnswer:
        """The answer for this chunk, once its group has been written.

        Raises:
            BusUnavailableError: not known whether it is in. Append the same request again.
            ConversationDeletedError: a tombstone stands.
        """
        # Who was served a moment ago sends faster than it records, or brings what it held back: it does not linger.
        return cast("AppendAnswer", await self._answer(request, hurry=request.owner in self._served))

    async def look_up_user(self, request: UserRequest) -> UserState:
        """`Bus.look_up_user`, in a group with others.

        Raises:
            BusUnavailableError: not known whether the totals stand. Send them again.
        """
        return cast("UserState", await self._answer(request, hurry=False))

    async def _answer(self, request: Request, *, hurry: bool) -> Result:
        if self._closing:
            raise BusUnavailableError("the writer is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.append((request, future))
        if hurry or len(self._queue) >= GROUP_LIMIT:
            self._wake.set()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER_S, self._lingered)
        return await future

    async def run(self) -> None:
        """Writes groups until `close`. Belongs into a task group."""
        async with asyncio.TaskGroup() as lanes:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None
                requests, self._queue = self._queue, deque()
                self._served = frozenset(
                    request.owner for request, _ in requests if isinstance(request, AppendRequest)
                )
                if isinstance(self._bus.client, Cluster):
                    self._distribute(self._bus.client, requests, lanes)
                else:
                    while requests:
                        await self._write(_group(requests))
                if self._closing and not self._queue:
                    return

    def _distribute(self, client: Cluster, requests: deque[Waiting], tasks: asyncio.TaskGroup) -> None:
        """One group for each node at a time: a node that hangs holds up no other's."""
        for waiting in requests:
            lane = client.lane(waiting[0].command(self._bus.keys)[0][0])
            if lane not in self._lanes:
                self._lanes[lane] = deque()
                tasks.create_task(self._write_lane(lane))
            self._lanes[lane].append(waiting)

    async def _write_lane(self, lane: str) -> None:
        while self._lanes[lane]:
            await self._write(_group(self._lanes[lane]))
        del self._lanes[lane]

    def close(self) -> None:
        """Lets `run` end once everything queued is written."""
        self._closing = True
        self._wake.set()

    def _lingered(self) -> None:
        self._timer = None
        self._wake.set()

    async def _write(self, group: list[tuple[Request, asyncio.Future[Result]]]) -> None:
        try:
            answers = await self._answers([request for request, _ in group])
        except BusError as error:
            for _, future in group:
                if not future.done():
                    future.set_exception(_again(error))
            return
        for (request, future), answer in zip(group, answers, strict=True):
            if future.done():
                continue  # its socket is gone; the chunk is in, or not, and its client resumes from the truth
            if isinstance(answer, Exception):
                future.set_exception(translate_response(request.script_name, answer))
                continue
            try:
                future.set_result(request.read(answer))
            except BusError as error:
                future.set_exception(error)
            except ValueError as error:
                # Somebody else wrote into this one's keys: the others' answers stand.
                future.set_exception(BusContractError(f"{request.script_name} answered {answer!r}: {error}"))

    async def _answers(self, requests: list[Request]) -> list[Any]:
        wait = self._bus.wait_replicas
        calls = [Call(script(request.script_name), *request.command(self._bus.keys)) for request in requests]
        with translated("append"):
            answers = await run_together(self._bus.client, calls, wait_replicas=wait)
        self.commands += len(calls) + bool(wait)
        self.groups += 1
        return answers


def _again(error: BusError) -> BusError:
    """An error of its own for each waiter: one instance raised in many tasks would gather their tracebacks."""
    return type(error)(str(error))


def _group(requests: deque[Waiting]) -> list[Waiting]:
    """Takes what goes out together."""
    group = [requests.popleft()]
    size = group[0][0].size
    while requests and len(group) < LARGEST_GROUP and (size := size + requests[0][0].size) <= GROUP_BYTES:
        group.append(requests.popleft())
    return group
