"""A Redis master and a replica that follows it, without sentinels: tests fail over by hand."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tapedeck_testing.redis_process import RedisProcess
from tapedeck_testing.sentinel_group import in_step


@contextmanager
def replica_pair(binary: str, directory: Path) -> Iterator[tuple[RedisProcess, RedisProcess]]:
    """Both run, and the replica counts for `WAIT`. Ended with the context, whichever still lives."""
    with ExitStack() as running:
        master = RedisProcess(binary, directory / "master", options=("--repl-diskless-sync-delay", "0"))
        running.callback(master.stop)
        master.start()
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        replica = RedisProcess(binary, directory / "replica", options=follow)
        running.callback(replica.stop)
        replica.start()
        while not in_step(replica):
            replica.wait(0.05)
        yield master, replica
