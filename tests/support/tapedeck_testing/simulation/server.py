"""The one Redis of a world: S1's model behind a network that loses, delays, repeats and reorders, with a log that may lose its end.

Owns when a command is executed and what its caller hears. A request on its way outlives its sender; a sender that was stopped hears its
answer when it goes on. What a command does is the model's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, NoReturn

from redis import exceptions as redis_errors

from audiobus import keys
from audiobus.keys import Keys
from audiobus.script import script
from tapedeck_testing.simulation.ledger import Ledger
from tapedeck_testing.simulation.lost_cuts import KEY, LostCuts, standing_cut, standing_cuts
from tapedeck_testing.simulation.old_master import OldMaster
from tapedeck_testing.simulation.redis_model import RedisModel
from tapedeck_testing.simulation.redis_values import Stream
from tapedeck_testing.simulation.substitutes import unix_ms
from tapedeck_testing.simulation.telling import told
from tapedeck_testing.simulation.turning_points import TURN, Stop, stop_before, stops
from tapedeck_testing.simulation.virtual_loop import PROCESS, Process, VirtualLoop
from tapedeck_testing.simulation.watch import SCRIPTS, Watch

if TYPE_CHECKING:
    from collections.abc import Collection

    from tapedeck_testing.simulation.chance import Chance

Args = Sequence[Any]

TIMEOUT_S: Final = 5.0
"""A client gives up after so long, as audiobus' clients do."""
LATEST_S: Final = 12.0
"""What a client gave up is executed so much later at most."""
REPLICA_S: Final = 1.0
"""Writes as young as this may be lost with a master, or with the end of a log that is synced once a second."""

READY: Final = Keys().ready(0).encode()
GROUP: Final = keys.GROUP.encode()

REQUEST_FAULTS: Final = (
    "redis: request lost",
    "redis: reply lost",
    "redis: executed late",
    "redis: executed twice",
    "redis: slow",
)
UNHEARD: Final = ("redis: request lost", "redis: reply lost", "redis: executed late")
PROCESS_FAULTS: Final = (
    "process: killed before a request",
    "process: killed after a request",
    "process: killed after an answer",
    "process: stopped",
)


class Server:
    """A Redis and the way to it."""

    def __init__(
        self,
        loop: VirtualLoop,
        chance: Chance,
        harm: Callable[[Process, str], None],
        mutants: dict[str, str] | None = None,
    ) -> None:
        """`harm`: does to a process what a fault says. `mutants`: a script or its digest, and what is run in its place."""
        self.loop = loop
        self.chance = chance
        self._harm = harm
        self._mutants = mutants or {}
        self.model = RedisModel(lambda: unix_ms(loop))
        self.watch = Watch(self.model, chance.note)
        self.ledger = Ledger(self.model, chance)
        self.replicas = True
        """Whether a replica confirms what `WAIT` asks for."""
        self.away_until = 0.0
        self.full_until = 0.0
        self.late_until = 0.0
        """When the last request that is on its way now will have been executed."""
        self.commands = 0
        self.hints_unheard: set[str] = set()
        """Conversations of which a hint was not answered: it may be lost, and costs a delay then."""
        self.lost_cuts = LostCuts()
        self._old: OldMaster | None = None
        self._kept: Any = None
        """What is left if the newest writes are lost now."""
        self._blocked: list[tuple[Process, Args, asyncio.Future[Any]]] = []
        self._served = (-1, False)

    # -- faults that are the server's own ------------------------------------------------------------------------------

    @property
    def lagging(self) -> bool:
        """Whether writes are confirmed that may be lost."""
        return self._kept is not None

    def begin_to_lag(self) -> None:
        """From now on writes are confirmed that a replica, or the log, does not have yet."""
        self._kept = self.model.snapshot()

    def fail_over(self, holdouts: Collection[Process] = (), for_s: float = 0.0) -> None:
        """They are lost. `holdouts`: processes that talk to the old master for so long still."""
        if self._kept is not None:
            if holdouts:
                old = RedisModel(lambda: unix_ms(self.loop))
                old.restore(self.model.snapshot())
                old.state.restarts = self.model.state.restarts
                now_s = self.loop.time()
                self._old = OldMaster(
                    old, holdouts, now_s + for_s, lambda name: self.lost_cuts.stands_on_old(name, now_s)
                )
            before = standing_cuts(self.model)
            self.model.restore(self._kept)
            self.lost_cuts.fail_over(before, standing_cuts(self.model), self.loop.time())
            self._kept = None
            self.watch.forget()
        self.model.restart()
        for _process, _args, future in self._blocked:
            if not future.done():
                future.set_exception(redis_errors.ConnectionError("Connection closed by server."))
        self._blocked.clear()

    def forget_blocked(self, process: Process) -> None:
        """Its connections are gone: nothing is given to it any more."""
        self._blocked = [one for one in self._blocked if one[0] is not process]

    def fill(self, until: float) -> None:
        """Memory is full until then: what needs memory is refused."""
        self.full_until = until
        self.model.maxmemory = 1

    # -- executing -----------------------------------------------------------------------------------------------------

    def meddle(self, *args: Any) -> None:
        """An operator does it, whatever the state of the server."""
        limit, self.model.maxmemory = self.model.maxmemory, 0
        with suppress(redis_errors.ResponseError):
            self.model.execute(args)
        self.model.maxmemory = limit

    def execute(self, args: Args) -> Any:
        """The server does it: the reply, or the error that the client raises."""
        self.commands += 1
        name = args[0]
        if self.full_until and self.loop.time() >= self.full_until:
            self.full_until = 0.0
            self.model.maxmemory = 0
        if name == "WAIT":
            if not self.replicas:
                return 0
            if self._kept is not None:
                self._kept = self.model.snapshot()
            return 1
        if name == "INFO":
            return {
                "master_replid": self.model.state.history,
                "used_memory": 900 if self.full_until else 100,
                "maxmemory": 1000,
                "maxmemory_policy": "noeviction",
                "aof_enabled": 1,
            }
        reply = self._script(args) if name in SCRIPTS else self._do(args)
        if self._blocked and self._hints() != self._served:
            self._serve_blocked()
        return reply

    def _do(self, args: Args) -> Any:
        try:
            return self.model.execute(args)
        except redis_errors.ResponseError as error:
            return error

    def _script(self, args: Args) -> Any:
        """A script is executed: what it came to is looked at, and what was appended is noted."""
        appends = self.ledger.appends(args)
        if appends:
            args = self.ledger.spoil(args)
        mutant = self._mutants.get(args[1])
        reply = self._do(args if mutant is None else ("EVAL", mutant, *args[2:]))
        if appends:
            self.ledger.note(args)
        self.watch.look(args)
        if len(args) > KEY and (name := standing_cut(self.model, str(args[KEY]).encode())):
            self.lost_cuts.stands(name)
        return reply

    def _hints(self) -> tuple[int, bool]:
        """The newest hint, and whether the group is there: what those that are blocked wait for."""
        stream = self.model.keys.data.get(READY)
        return (stream.last, GROUP in stream.groups) if isinstance(stream, Stream) else (-1, False)

    def _serve_blocked(self) -> None:
        left = []
        self._served = self._hints()
        for process, args, future in self._blocked:
            if future.done():
                continue
            try:
                reply = self.model.execute(args)
            except redis_errors.ResponseError as error:
                future.set_exception(error)  # its group is gone
                continue
            if reply:
                future.set_result(reply)
            else:
                left.append((process, args, future))
        self._blocked = left

    def calm(self) -> None:
        """It is there for everybody."""
        self.away_until = self.full_until = 0.0
        self.model.maxmemory = 0
        if self._old is not None:
            self._old.until_s = self.loop.time()

    def read_blocking(self, process: Process, args: Args, block_s: float) -> asyncio.Future[Any]:
        """A read that waits for something to come."""
        future: asyncio.Future[Any] = self.loop.create_future()
        reply = self.execute(args)
        if reply:
            future.set_result(reply)
        else:
            self._blocked.append((process, args, future))
            self._served = self._hints()
            self.loop.call_later(block_s, _give_up, future)
        return future

    # -- the way there and back ----------------------------------------------------------------------------------------

    async def request(self, commands: list[Args], *, block_s: float | None = None) -> list[Any]:
        """Sends commands over one connection: their replies, errors among them.

        Raises:
            redis_errors.ConnectionError, redis_errors.TimeoutError: as redis-py, whatever became of the commands.
        """
        process, chance = PROCESS.get(), self.chance
        harm = await self._strike(process, commands[0])
        fate = chance.pick(REQUEST_FAULTS)
        reply: asyncio.Future[list[Any]] = self.loop.create_future()
        if self.loop.time() < self.away_until:
            await self._nobody_there()
        old = self._old if self._old and self._old.is_heard_by(process, self.loop.time()) else None
        there_s = chance.between(0.0001, 0.003)
        if fate == "redis: slow":
            there_s = chance.between(0.05, TIMEOUT_S - 0.1)
        if fate == "redis: executed late":
            self._later(chance.between(TIMEOUT_S, LATEST_S), self._run, commands, None, old)
        elif fate != "redis: request lost":
            answer = None if fate == "redis: reply lost" else reply
            self._later(there_s, self._arrive, process, commands, answer, block_s, harm, old)
            if fate == "redis: executed twice":
                self._later(there_s + chance.between(0.001, LATEST_S), self._run, commands, None, old)
        if fate in UNHEARD:
            self.hints_unheard |= hinted(commands)
            await self._hear_nothing(fate, there_s, block_s or 0.0)
        answers = await reply
        if harm == "process: killed after an answer":
            self._harm(process, harm)
            await asyncio.sleep(0)
        return answers

    async def _strike(self, process: Process, command: Args) -> str | None:
        """Whatever befalls a process as it sends a command; what is to befall it later on the way."""
        harm = self.chance.pick(PROCESS_FAULTS)
        if harm == "process: killed before a request":
            self._harm(process, harm)
            await asyncio.sleep(0)
        match stops(self.chance, command):
            case Stop.BEFORE:
                await stop_before(process, self._harm)
            case Stop.AFTER:
                return TURN
        return harm

    def _later(self, after_s: float, work: Callable[..., None], *args: Any) -> None:
        """Whatever becomes of its sender."""
        self.late_until = max(self.late_until, self.loop.time() + after_s)
        self.loop.call_later(after_s, work, *args, context=Context())

    async def _nobody_there(self) -> NoReturn:
        if self.chance.dice.random() < 0.5:
            await asyncio.sleep(0.001)
            raise redis_errors.ConnectionError("Error 111 connecting to redis:6379. Connect call failed.")
        await asyncio.sleep(TIMEOUT_S)
        raise redis_errors.TimeoutError("Timeout reading from redis:6379")

    async def _hear_nothing(self, fate: str, there_s: float, block_s: float) -> NoReturn:
        if fate == "redis: executed late" or self.chance.dice.random() < 0.5:
            await asyncio.sleep(TIMEOUT_S + block_s)
            raise redis_errors.TimeoutError("Timeout reading from redis:6379")
        await asyncio.sleep(there_s + self.chance.between(0.001, 0.01))
        raise redis_errors.ConnectionError("Connection closed by server.")

    def _arrive(
        self,
        process: Process,
        commands: list[Args],
        reply: asyncio.Future[list[Any]] | None,
        block_s: float | None,
        harm: str | None,
        old: OldMaster | None,
    ) -> None:
        if harm in ("process: killed after a request", "process: stopped", TURN):
            self._harm(process, harm)
        if block_s is not None and old is None:
            if process.dead:
                return
            waiting = self.read_blocking(process, commands[0], block_s)
            if reply is not None:
                waiting.add_done_callback(lambda done: self._answer_blocked(process, done, reply))
            return
        heard = None if process.dead else reply
        if block_s is not None:
            self._later(block_s, self._run, commands, heard, old)
        else:
            self._run(commands, heard, old)

    def _run(
        self, commands: list[Args], reply: asyncio.Future[list[Any]] | None, old: OldMaster | None
    ) -> None:
        chance = self.chance
        if old is not None and self.loop.time() >= old.until_s:
            if reply is not None:
                _fail(reply, redis_errors.ConnectionError("Connection closed by server."))
            return
        torn = len(commands) if len(commands) == 1 or not chance.strikes("redis: pipeline torn") else -1
        if torn < 0:
            torn = chance.dice.randrange(len(commands))
        execute = self.execute if old is None else old.execute
        answers = [execute(args) for args in commands[:torn]]
        if chance.tracing:
            for args, answer in zip(commands, answers, strict=False):
                chance.tell(f"{'redis' if old is None else 'old master'}: {told(args)} -> {told(answer)}")
        if reply is None:
            return
        back_s = chance.between(0.0001, 0.003)
        if torn < len(commands):
            error = redis_errors.ConnectionError("Connection closed by server.")
            self.loop.call_later(back_s, _fail, reply, error)
        else:
            self.loop.call_later(back_s, _answer, reply, answers)

    def _answer_blocked(
        self, process: Process, done: asyncio.Future[Any], reply: asyncio.Future[list[Any]]
    ) -> None:
        if process.dead:
            return
        error = done.exception()
        if error is not None:
            _fail(reply, error)
        else:
            self.loop.call_later(self.chance.between(0.0001, 0.003), _answer, reply, [done.result()])


def hinted(commands: list[Args]) -> set[str]:
    """The conversations that these commands give a hint at: `due` or `ready`."""
    scripts = {text for name in ("due", "ready") for text in (script(name).digest, script(name).source)}
    return {str(args[4]) for args in commands if args[0] in ("EVALSHA", "EVAL") and args[1] in scripts}


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(None)


def _answer(reply: asyncio.Future[list[Any]], answers: list[Any]) -> None:
    if not reply.done():
        reply.set_result(answers)


def _fail(reply: asyncio.Future[list[Any]], error: BaseException) -> None:
    if not reply.done():
        reply.set_exception(error)
