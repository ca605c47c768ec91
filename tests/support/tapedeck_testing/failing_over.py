"""Faults of replication that a failover makes felt."""

import redis

from tapedeck_testing.sentinel_group import SentinelGroup


def cut_replication(group: SentinelGroup) -> None:
    """The first replicas can no longer log in to the first master, and are cut off; they are well otherwise, and may be promoted."""
    for server in group.replicas:
        with redis.Redis(port=server.port) as replica:
            replica.config_set("masterauth", "wrong")
    with redis.Redis(port=group.master.port) as master:
        master.execute_command("CLIENT", "KILL", "TYPE", "REPLICA")
