"""A cluster of three masters with a replica each, whose slots can be moved: real processes on loopback."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tapedeck_testing.redis_process import RedisProcess, make_cluster

DEADLINE_S = 60.0
NODE_TIMEOUT_MS = 800


class ClusterGroup:
    """Masters and their replicas, by the roles that they began with."""

    def __init__(self, binary: str, directory: Path) -> None:
        self._binary, self._directory = binary, directory
        self.masters: list[RedisProcess] = []
        self.replicas: list[RedisProcess] = []

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.masters)

    def start(self) -> "ClusterGroup":
        """Starts everything and waits until every replica is in step."""
        self.masters = make_cluster(self._binary, self._directory / "masters")
        try:
            for index, master in enumerate(self.masters):
                _run(master, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
                replica = RedisProcess(self._binary, self._directory / f"replica{index}", cluster=True)
                self.replicas.append(replica.start())
                _run(replica, "CLUSTER", "MEET", "127.0.0.1", master.port)
            for master, replica in zip(self.masters, self.replicas, strict=True):
                name = _run(master, "CLUSTER", "MYID").decode()
                wait_for(partial(_knows, replica, name))
                _run(replica, "CLUSTER", "REPLICATE", name)
            for node in (*self.masters, *self.replicas):
                _run(node, "CONFIG", "SET", "cluster-node-timeout", NODE_TIMEOUT_MS)
            wait_for(self._ready)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends all of it."""
        for node in (*self.masters, *self.replicas):
            node.stop()

    def wait_for_failover(self, master: RedisProcess) -> RedisProcess:
        """Waits until the killed master's replica has its slots; answers the replica."""
        replica = self.replicas[self.masters.index(master)]
        wait_for(lambda: _run(replica, "ROLE")[0] == b"master")
        others = [node for node in self.masters if node is not master]
        wait_for(
            lambda: all(b"cluster_state:ok" in _run(node, "CLUSTER", "INFO") for node in (replica, *others))
        )
        return replica

    def move(self, slots: Iterable[int], source: RedisProcess, target: RedisProcess) -> int:
        """Moves these slots with their keys, as `redis-cli --cluster reshard` does; how many keys were moved."""
        source_id, target_id = (_run(node, "CLUSTER", "MYID").decode() for node in (source, target))
        nodes = (*self.masters, *self.replicas)
        others = [
            node for node in nodes if node not in (source, target) and _run(node, "ROLE")[0] == b"master"
        ]
        moved = 0
        for slot in slots:
            _run(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            _run(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            while keys := _run(source, "CLUSTER", "GETKEYSINSLOT", slot, 2):
                _run(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
                moved += len(keys)
            for node in (target, source, *others):
                _run(node, "CLUSTER", "SETSLOT", slot, "NODE", target_id)
        return moved

    def owned(self, node: RedisProcess) -> set[int]:
        """The slots that the node has."""
        ranges = _run(node, "CLUSTER", "SLOTS")
        return {
            slot for low, high, owner, *_ in ranges if owner[1] == node.port for slot in range(low, high + 1)
        }

    def _ready(self) -> bool:
        for replica in self.replicas:
            role = _run(replica, "ROLE")
            if role[0] != b"slave" or role[3] != b"connected":
                return False
        for node in (*self.masters, *self.replicas):
            info = _run(node, "CLUSTER", "INFO")
            if b"cluster_state:ok" not in info or b"cluster_known_nodes:6" not in info:
                return False
        return True


def _knows(node: RedisProcess, name: str) -> bool:
    return name in _run(node, "CLUSTER", "NODES").decode()


def _run(node: RedisProcess, *command: Any) -> Any:
    with redis.Redis(port=node.port, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
        return client.execute_command(*command, NEVER_DECODE=True)


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the cluster does not come to agree")
        time.sleep(0.05)
