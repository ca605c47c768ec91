"""`python -m tapedeck_testing.draining.stopping_pusher`: the pusher as it is, which stops itself (SIGSTOP) where it is told to.

A conversation named `stop-<n>-…` stops the whole process, with all its threads, when the n-th step of following a hint at it, or of moving an object
of it home, is done; step 0 comes before that is begun at all. Steps are each request to Redis, each call of a bucket, the making of a batch, and the file that appears
under its name. Each step's name is appended to the file of the conversation's name in TAPEDECK_TEST_STEPS, and `over` when the hint was followed to
its end, or the object moved or left. Without that variable it stops nowhere. Its leases, and how long it waits for hints and between two looks into the second bucket, are
shorter than settings allow.
"""

import asyncio
import os
import signal
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

import audiobus.bus
import pusher.mover
import pusher.reader
import pusher.service
from audiobus.bus import Bus
from audiobus.connection import open_client
from audiobus.conversation import Conversation
from audiobus.hints import Hints
from audiostore.names import parse_name
from audiostore.store import ObjectInfo, Store
from pusher.dispatch import Dispatch
from pusher.homecoming import Homecoming
from pusher.maker import Maker
from pusher.settings import PusherSettings
from pusher.worker import Worker
from servicekit.process import main
from servicekit.stop import Stop
from tapedeck_testing.draining.steps import Stepping

LEASE_S = 0.3
BLOCK_MS = 20
SWEEP_S = 0.05
STEPS = "TAPEDECK_TEST_STEPS"
LEASE_KEEPER = "lease"
"""The task that renews a lease: when it does so is chance."""

_followed: ContextVar["Followed | None"] = ContextVar("_followed", default=None)


class Followed:
    """A conversation that a hint speaks of, and how far it is followed."""

    def __init__(self, conversation: Conversation, folder: Path) -> None:
        self._file = folder / conversation.cid
        word, _, rest = conversation.cid.partition("-")
        self._stops_at = int(rest.partition("-")[0]) if word == "stop" else -1
        self._taken = -1
        self._is_over = False

    def step(self, name: str) -> None:
        """Notes it, and stops the process if it is the one."""
        self._taken += 1
        with self._file.open("a") as file:
            file.write(f"{name}\n")
        if self._taken == self._stops_at and not self._is_over:
            os.kill(os.getpid(), signal.SIGSTOP)

    def over(self) -> None:
        """Notes that it is not followed any more; what comes of another hint stops nothing."""
        self._is_over = True
        with self._file.open("a") as file:
            file.write("over\n")


async def _done(name: str) -> None:
    task = asyncio.current_task()
    if (followed := _followed.get()) is not None and task is not None and task.get_name() != LEASE_KEEPER:
        followed.step(name)


def _watch(folder: Path) -> None:
    """Has every step told that is taken for a conversation."""
    follow, move, make, link = Dispatch._follow, Homecoming.move, Maker.make, os.link
    seen: dict[Conversation, Followed] = {}

    def begun(conversation: Conversation) -> Followed:
        followed = seen.setdefault(conversation, Followed(conversation, folder))
        _followed.set(followed)
        followed.step("claim")
        return followed

    async def following(self: Dispatch, conversation: Conversation) -> None:
        followed = begun(conversation)
        await follow(self, conversation)
        followed.over()

    async def moving(self: Homecoming, info: ObjectInfo) -> str:
        name = parse_name(info.name)
        assert name is not None
        followed = begun(Conversation(name.uid, name.conversation_id))
        try:
            return await move(self, info)
        finally:
            followed.over()

    async def making(self: Maker, *args: Any, **kwargs: Any) -> Any:
        built = await make(self, *args, **kwargs)
        await _done("build")
        return built

    def linking(source: Any, target: Any, **kwargs: Any) -> None:
        link(source, target, **kwargs)
        for conversation, followed in seen.items():
            if f"/{conversation.cid}/" in str(target):
                followed.step("link")

    def working(bus: Bus, hints: Hints, store: Store, *args: Any, **kwargs: Any) -> Worker:
        second: Store | None = kwargs.pop("second")
        kwargs["second"] = second and Stepping(second, after=_done)
        return Worker(bus, hints, Stepping(store, after=_done), *args, **kwargs)

    _substitute(
        (Dispatch, "_follow", following),
        (Homecoming, "move", moving),
        (Maker, "make", making),
        (os, "link", linking),
        (
            audiobus.bus,
            "open_client",
            lambda *args, **kwargs: Stepping(open_client(*args, **kwargs), after=_done),
        ),
        (pusher.service, "Worker", working),
    )


def _substitute(*places: tuple[Any, str, Any]) -> None:
    """The product knows nothing of being watched: what it calls is put in the place of what it would call."""
    for place, name, other in places:
        setattr(place, name, other)


async def _start(settings: PusherSettings, stop: Stop) -> None:
    _substitute((pusher.reader, "BLOCK_MS", BLOCK_MS), (pusher.mover, "LEASE_MS", int(1000 * LEASE_S)))
    _substitute(*((pusher.mover, pause, SWEEP_S) for pause in ("TICK_S", "AGAIN_S", "IDLE_S")))
    if folder := os.environ.get(STEPS):
        _watch(Path(folder))
    await pusher.service.start(msgspec.structs.replace(settings, lease_seconds=LEASE_S), stop)


if __name__ == "__main__":
    main("pusher", PusherSettings, _start)
