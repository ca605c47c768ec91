"""A storage-api of a world: its own handlers and its operations, without sockets, tokens and routes.

Owns how a request gets to a handler and its answer back. What breaks on the way there is `asking`'s.
"""

from __future__ import annotations

import asyncio
import json
from contextvars import Context
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.requests import Request

from servicekit.problem import ProblemError
from servicekit.stop import Stop
from storage_api.access import Actor
from storage_api.deletion.notes import KIND as DELETE_USER_AUDIO
from storage_api.deletion.user_audio import UserAudio
from storage_api.downloads import Downloads
from storage_api.merging.merge import KIND, Merge
from storage_api.operations.runner import Runner
from storage_api.services import Services
from tapedeck_testing.simulation.services import (
    DRAIN_S,
    InlineWorkers,
    make_api_bucket,
    make_bus,
    storage_metrics,
)
from tapedeck_testing.simulation.substitutes import UNTIL_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response

    from storage_api.operations.turn import Kind
    from tapedeck_testing.simulation.bucket import Bucket
    from tapedeck_testing.simulation.server import Server
    from tapedeck_testing.simulation.virtual_loop import Process, VirtualLoop

LEASE_MS: Final = 8_000
"""Of an operation."""
MERGE_LIMIT_MS: Final = 60_000
"""So long a merge holds its sources at the most."""
BACK_S: Final = (0.0005, 0.01)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    handler: Callable[[Request], Awaitable[Response]]
    path: Mapping[str, str]
    query: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was heard of it."""

    status: int
    code: str = ""
    """Of a problem."""
    said: dict[str, Any] = field(default_factory=dict)


class _Everybody:
    """In the place of `Access`: whoever asks may."""

    async def allow(self, _request: Request, _scope: str) -> Actor:
        return Actor("service", "world")

    async def identify(self, _request: Request, *_scopes: str) -> tuple[Actor, None]:
        return Actor("service", "world"), None


class Api:
    """One process of storage-api."""

    def __init__(
        self,
        loop: VirtualLoop,
        process: Process,
        server: Server,
        buckets: tuple[Bucket, Bucket | None],
        wait_replicas: int,
    ) -> None:
        self._loop = loop
        self.process = process
        self._server = server
        self._buckets = buckets
        self._wait_replicas = wait_replicas
        self._app: Any = None
        self._requests: set[asyncio.Task[Any]] = set()
        self.stop: Stop | None = None
        self.problems: list[str] = []

    @property
    def takes(self) -> bool:
        """Whether its port is open."""
        return (
            self._app is not None
            and not self.process.dead
            and self.stop is not None
            and not self.stop.is_set()
        )

    async def run(self) -> None:
        """As `storage_api.running.run`."""
        self.stop = stop = Stop(DRAIN_S)
        bus = make_bus(self._server, self._wait_replicas)
        metrics = storage_metrics()
        services = Services(
            bus,
            make_api_bucket(self._loop, self._buckets),
            cast("Any", _Everybody()),
            metrics,
            InlineWorkers(),
            Downloads(metrics),
        )
        kinds: dict[str, Kind] = {
            KIND: Merge(services, limit_ms=MERGE_LIMIT_MS),
            DELETE_USER_AUDIO: UserAudio(services, settled_ms=UNTIL_MS),
        }
        self._app = SimpleNamespace(state=SimpleNamespace(services=services))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(
                Runner(bus, kinds, begun=services.operation_begun, lease_ms=LEASE_MS).run()
            )
            await stop.wait()
            if self._requests:
                await asyncio.wait(self._requests, timeout=max(0.0, stop.remaining_s() - 1.0))
            for request in [*self._requests]:
                request.cancel()
            running.cancel()
        await bus.close()

    def ask(self, asked: Asked) -> asyncio.Future[Answer]:
        """The answer, some time, if the process lives until then."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        task = self._loop.spawn(self.process, self._answer(asked, answer), "request")
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return answer

    async def _answer(self, asked: Asked, answer: asyncio.Future[Answer]) -> None:
        try:
            response = await asked.handler(self._request(asked))
            heard = Answer(response.status_code, said=json.loads(bytes(response.body)))
        except ProblemError as problem:
            heard = Answer(problem.status, problem.code)
        except Exception as error:  # noqa: BLE001 - what no handler may raise is a defect
            self.problems.append(f"{asked.handler.__name__}: {type(error).__name__}: {error}")
            heard = Answer(500, "internal")
        back_s = self._server.chance.between(*BACK_S)
        self._loop.call_later(back_s, _tell, answer, heard, context=Context())

    def _request(self, asked: Asked) -> Request:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "headers": [],
            "app": self._app,
            "path_params": dict(asked.path),
            "query_string": asked.query.encode(),
            "state": {"row": SimpleNamespace(operation_id="world")},
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": asked.body, "more_body": False}

        return Request(scope, receive)


def _tell(answer: asyncio.Future[Answer], heard: Answer) -> None:
    if not answer.done():
        answer.set_result(heard)
