"""Commands that go out together, and wait together for the replicas."""

from collections.abc import Sequence
from typing import Any

from audiobus.cluster import Cluster
from audiobus.routed import WAIT_MS, Answer, Routed, confirmed


async def execute(client: Any, commands: Sequence[Routed], *, wait_replicas: int = 0) -> list[Answer]:
    """The answers in order; where a command failed, its exception: redis-py's, or `NotReplicatedError`.

    Args:
        client: a client of `audiobus.connection`.
        commands: at least one.
        wait_replicas: so many replicas must confirm before any answer counts. `WAIT` speaks of what its own connection has seen, so it
            goes out behind the commands on that very connection; on a cluster, on one connection for each node.

    Raises:
        redis.exceptions.RedisError: nothing is known of any of them: the connection was lost, or there was none.
    """
    if isinstance(client, Cluster):
        return await client.execute_together(commands, wait_replicas=wait_replicas)
    pipeline = client.pipeline(transaction=False)
    for one in commands:
        pipeline.execute_command(*one.command)
    if wait_replicas:
        pipeline.execute_command("WAIT", wait_replicas, WAIT_MS)
    answers = list(await pipeline.execute(raise_on_error=False))
    return confirmed(answers[:-1], answers[-1], wait_replicas) if wait_replicas else answers
