"""Real Redis processes on loopback."""

import subprocess
import time
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tapedeck_testing.free_ports import free_port

START_DEADLINE_S = 60.0
KEEPS_ALL: Final = ("--appendfsync", "no")
"""Options of a server that has all it confirmed after a SIGKILL, however slow the disk is: it is in the kernel's hands at once."""


class RedisProcess:
    """One server with AOF in a directory of its own: it can be killed and comes back with what it had."""

    def __init__(
        self, binary: str, directory: Path, *, cluster: bool = False, options: tuple[str, ...] = ()
    ) -> None:
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._command = [
            binary,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
            *(("--cluster-enabled", "yes", "--cluster-node-timeout", "2000") if cluster else ()),
            *options,
        ]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def add_options(self, *options: str) -> None:
        """Options for every later start."""
        self._command += options

    def start(self) -> "RedisProcess":
        """Starts it and waits until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_DEADLINE_S
        with redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            while True:
                try:
                    client.ping()
                except redis.AuthenticationError:
                    return self  # it wants a password: so it is there
                except redis.RedisError as error:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        log_text = (self.directory / "redis.log").read_text(errors="replace")
                        raise RuntimeError(f"redis on port {self.port} did not start:\n{log_text}") from error
                    self.wait(0.02)
                else:
                    return self

    def wait(self, seconds: float) -> None:
        """Waits, or less if the process ends."""
        assert self.process is not None
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def kill(self) -> None:
        """SIGKILL. Without `KEEPS_ALL` the last two seconds that it confirmed may be gone: while a slow disk syncs, `everysec` writes nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Ends it for good."""
        self.kill()


def make_cluster(binary: str, directory: Path, options: tuple[str, ...] = ()) -> list[RedisProcess]:
    """Three masters that share the slots. `KEEPS_ALL` for those that are killed and must come back with everything."""
    nodes = [
        RedisProcess(binary, directory / f"node{n}", cluster=True, options=options).start() for n in range(3)
    ]
    try:
        join_cluster(nodes)
    except BaseException:
        for node in nodes:
            node.stop()
        raise
    return nodes


def join_cluster(nodes: list[RedisProcess]) -> None:
    """Makes three running nodes without slots a cluster."""
    clients = [redis.Redis(port=node.port, socket_timeout=30) for node in nodes]
    try:
        bounds = (0, 5461, 10_923, 16_384)
        for index, client in enumerate(clients):
            client.execute_command("CLUSTER", "ADDSLOTS", *range(bounds[index], bounds[index + 1]))
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            if index:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        _wait_for_agreement(nodes[0], clients)
    finally:
        for client in clients:
            client.close()


def _wait_for_agreement(node: RedisProcess, clients: "list[redis.Redis]") -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while not all(_agreed(client) for client in clients):
        if time.monotonic() > deadline:
            raise RuntimeError("the three masters do not agree on a cluster")
        node.wait(0.05)


def _agreed(client: "redis.Redis") -> bool:
    info: bytes = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info
