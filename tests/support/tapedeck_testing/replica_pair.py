"""A Redis master and replicas that follow it, without sentinels: tests fail over by hand."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tapedeck_testing.redis_process import RedisProcess
from tapedeck_testing.sentinel_group import in_step


@contextmanager
def replica_group(binary: str, directory: Path, *, replicas: int) -> Iterator[list[RedisProcess]]:
    """The master, then its replicas. All run, and each replica counts for `WAIT`. Ended with the context, whichever still live."""
    with ExitStack() as running:
        master = RedisProcess(binary, directory / "master", options=("--repl-diskless-sync-delay", "0"))
        running.callback(master.stop)
        servers = [master.start()]
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        for number in range(replicas):
            replica = RedisProcess(binary, directory / f"replica{number}", options=follow)
            running.callback(replica.stop)
            servers.append(replica.start())
        for replica in servers[1:]:
            while not in_step(replica):
                replica.wait(0.05)
        yield servers


@contextmanager
def replica_pair(binary: str, directory: Path) -> Iterator[tuple[RedisProcess, RedisProcess]]:
    """A master and one replica."""
    with replica_group(binary, directory, replicas=1) as [master, replica]:
        yield master, replica
