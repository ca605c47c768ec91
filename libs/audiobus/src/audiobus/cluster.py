"""A client of Redis Cluster in which the nodes do not suffer for each other.

Commands are grouped by node, each group on one connection of its node: what one node cannot answer is an error for its own commands alone.
A command that a node sends elsewhere (MOVED, ASK) follows, a few times at most; what a node cannot do while it gives a slot away (TRYAGAIN)
is an error that a later try will not meet. Nothing else is tried again here.

Owns what redis-py 8.1's client does otherwise, each seen on real clusters: it looks for the slots' owners anew only after a command by
itself, not after a pipeline; fails whole pipelines for one node that is away; asks the node that happened to come first, on every XREADGROUP, where
the keys are; sends ASKING on another connection than the command that it is for; closes all connections under their commands when a node
says that the cluster is down; and cannot begin while that first node is away.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio import Connection, RedisCluster
from redis.asyncio.cluster import ClusterNode, PipelineCommand

from audiobus.errors import NotReplicatedError
from audiobus.packing import PackingConnection
from audiobus.routed import WAIT_MS, Answer, Routed, confirmed

REDIRECTS: Final = 4
"""So often a command is sent on before its error stands: each but the first means that the slots moved once more meanwhile."""
LOOK_AGAIN_S: Final = 0.25
"""The owners of the slots are looked for no more often: each look makes every connection anew."""

_KEY_SECOND: Final = frozenset({"XGROUP", "XINFO", "MEMORY", "OBJECT"})
_KEY_THIRD: Final = frozenset({"EVAL", "EVALSHA"})
_KEY_AFTER_STREAMS: Final = frozenset({"XREAD", "XREADGROUP"})
_MANY_KEYS: Final = frozenset({"DEL", "EXISTS", "UNLINK", "TOUCH", "MGET", "MSET"})


class Cluster(RedisCluster):
    """redis-py's client, with the differences above."""

    def __init__(self, **options: Any) -> None:
        """A client of the cluster at these `startup_nodes`; see redis-py for the rest."""
        super().__init__(**options)
        if self.connection_kwargs["connection_class"] is Connection:  # not TLS
            self.connection_kwargs["connection_class"] = PackingConnection
        self._looked_at = float("-inf")
        self._learning = asyncio.Lock()

    async def initialize(
        self,
        additional_startup_nodes_info: list[tuple[str, int]] | None = None,
        last_failed_node_name: str | None = None,
    ) -> "Cluster":
        """Finds out who has which slot, where that is not known or no longer sure."""
        if self._initialize and (not self.commands_parser.commands or self._may_look()):
            self._looked_at = time.monotonic()
            await self.nodes_manager.initialize(additional_startup_nodes_info, last_failed_node_name)
            async with self._learning:
                if not self.commands_parser.commands:
                    await self._learn_commands()
            self._initialize = False
        return self

    async def aclose(self) -> None:
        """Closes all connections, also where the slots' owners have yet to be looked for."""
        self._initialize = True
        self._looked_at = float("-inf")
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """One command."""
        key = None if kwargs or args[0] in self.command_flags else _key(args)
        if key is None:
            return await super().execute_command(*args, **kwargs)
        answer = (await self.execute_together([Routed(key, args)]))[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def execute_together(self, commands: Sequence[Routed], *, wait_replicas: int = 0) -> list[Answer]:
        """The answers in order; where a command failed, its exception. See `audiobus.pipeline.execute`.

        Raises:
            redis.exceptions.RedisClusterException: no node answers.
        """
        await self.initialize()
        answers: list[Answer] = [None] * len(commands)
        todo = list(range(len(commands)))
        for _ in range(REDIRECTS):
            groups: dict[tuple[str, bool], tuple[ClusterNode, list[int]]] = {}
            for index in todo:
                before = answers[index]
                try:
                    node = self._node(commands[index].key, before)
                except (redis_errors.RedisError, redis_errors.RedisClusterException) as error:
                    answers[index] = error
                else:
                    groups.setdefault((node.name, _is_ask(before)), (node, []))[1].append(index)
            async with asyncio.TaskGroup() as together:
                for (_name, asking), (node, indices) in groups.items():
                    work = self._on_node(node, indices, commands, answers, asking=asking, wait=wait_replicas)
                    together.create_task(work)
            todo = [index for index in todo if isinstance(answers[index], redis_errors.AskError)]
            for index in todo:
                if not _is_ask(answers[index]):
                    await self.nodes_manager.move_slot(answers[index])
            if not todo:
                break
        return answers

    def lane(self, key: str) -> str:
        """The name of the node that has the key, as far as is known: what need not wait for each other's nodes goes out apart."""
        try:
            node = self.get_node_from_key(key)
        except redis_errors.RedisClusterException:
            return ""
        return "" if node is None else str(node.name)

    def _node(self, key: str, before: Answer) -> ClusterNode:
        """Who is asked: whoever has the slot, or is about to have it, as the node said that was asked before."""
        if _is_ask(before):
            node = self.get_node(host=before.host, port=before.port)
            if node is None:
                self._initialize = True  # it has come new
                raise redis_errors.TryAgainError(f"{before.host}:{before.port} is not known yet")
            return node
        node = self.get_node_from_key(key)
        if node is None:
            raise redis_errors.SlotNotCoveredError(f"nobody has the slot of {key}")
        return node

    async def _on_node(
        self,
        node: ClusterNode,
        indices: Sequence[int],
        commands: Sequence[Routed],
        answers: list[Answer],
        *,
        asking: bool,
        wait: int,
    ) -> None:
        """Carries out these of the commands on one connection to the node, and puts their answers in their places."""
        sent: list[PipelineCommand] = []
        for index in indices:
            if asking:
                sent.append(_command("ASKING"))
            sent.append(_command(*commands[index].command))
        if wait:
            sent.append(_command("WAIT", wait, WAIT_MS))
        try:
            await node.execute_pipeline(sent)
        except (redis_errors.RedisError, OSError, AttributeError, RuntimeError) as error:
            results: list[Answer] = [_plain(node, error)] * len(indices)
        else:
            results = [_plain(node, one.result) for one in sent]
            replicas = results.pop() if wait else None
            results = results[1::2] if asking else results
            results = confirmed(results, replicas, wait) if wait else results
        if any(isinstance(result, _LOST) for result in results):
            node.update_active_connections_for_reconnect()
            await node.disconnect_free_connections()
            self.nodes_manager.move_node_to_end_of_cached_nodes(node.name)
            self._initialize = True
        for index, result in zip(indices, results, strict=True):
            answers[index] = result

    def _may_look(self) -> bool:
        return time.monotonic() - self._looked_at >= LOOK_AGAIN_S

    async def _learn_commands(self) -> None:
        """Learns where commands have their keys, from the first node that answers."""
        for node in self.get_primaries():
            try:
                await self.commands_parser.initialize(node)
            except (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError):
                continue
            return
        raise redis_errors.RedisClusterException("no master of the cluster answers")


_LOST: Final = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.ClusterDownError,
)


def _command(*args: Any) -> PipelineCommand:
    return PipelineCommand(0, *args)


def _is_ask(answer: Answer) -> bool:
    """Whether the slot is on its way (ASK), not gone for good (redis-py's `MovedError` is one of its `AskError`s)."""
    return isinstance(answer, redis_errors.AskError) and not isinstance(answer, redis_errors.MovedError)


def _plain(node: ClusterNode, answer: Answer) -> Answer:
    """The answer. Once a connection is lost, redis-py's reading of it fails in many ways: they mean one thing."""
    if not isinstance(answer, Exception) or isinstance(answer, (redis_errors.RedisError, NotReplicatedError)):
        return answer
    return redis_errors.ConnectionError(f"{node.name}: the connection was lost: {answer!r}")


def _key(args: Sequence[Any]) -> str | None:
    """The command's one key; None where that is for redis-py to find."""
    name = args[0]
    if name in _KEY_AFTER_STREAMS:
        at = args.index("STREAMS") + 1
    elif name in _KEY_SECOND:
        at = 2
    elif name in _KEY_THIRD:
        at = 3 if int(args[2]) else 0
    else:
        at = 1
    if not 0 < at < len(args) or (name in _MANY_KEYS and len(args) > 2):
        return None
    key: str = args[at]
    return key
