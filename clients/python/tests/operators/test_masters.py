"""One master of a cluster is away: what the others hold is shown, exported and asked for, and the missing one is named."""

import pytest
import redis

from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import make_cluster


@pytest.fixture
def nodes(tmp_path_factory):
    nodes = make_cluster(any_server(), tmp_path_factory.mktemp("cluster-own"))
    for node in nodes:
        with redis.Redis(port=node.port) as client:
            client.config_set("cluster-require-full-coverage", "no")
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
def redis_url(nodes):
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def test_what_the_others_hold_is_there(command, record, bury, on_redis, nodes, tmp_path):
    recorded = [record(f"talk{number}", 2, uid=f"u{number}") for number in range(9)]
    bury(recorded[0], 1)

    async def where(bus):
        await bus.ping()
        keys = bus.keys
        return {
            one.tag: [
                bus.client.lane(key)
                for key in (
                    keys.audio(one.conversation),
                    keys.due(keys.partition(one.conversation)),
                    keys.user(one.conversation.uid),
                )
            ]
            for one in recorded
        }

    lanes = on_redis(where)
    # Another one than that of the dead letter.
    victim = next(node for node in nodes if not lanes[recorded[0].tag][0].endswith(f":{node.port}"))
    name = f"127.0.0.1:{victim.port}"
    there = {tag for tag, [own, *_] in lanes.items() if own != name}
    whole = {tag for tag, names in lanes.items() if name not in names}
    assert 0 < len(there) < len(recorded)
    assert whole
    victim.kill()

    def told(*arguments):
        answer = command(*arguments, "--json")
        assert answer.code == 1, arguments
        return answer.json

    found = told("buffers", "list")
    assert {row["conversation"] for row in found["buffers"]} == there
    assert [one["server"] for one in found["away"]] == [name]
    assert f"{name} does not answer" in command("buffers", "list").err

    found = told("buffers", "export-all", "out")
    assert [one["server"] for one in found["away"]] == [name]
    assert {row["conversation"] for row in found["conversations"]} == there
    # Whether a user's audio must be sealed is known where that user's settings are.
    assert {row["conversation"] for row in found["conversations"] if row["objects"]} >= whole
    assert len(list(tmp_path.glob("out/chunks/*/*/*"))) >= len(whole)

    found = told("buffers", "flush-all", "--timeout", "0.1")
    assert found["conversations"] == len(there)
    assert [one["server"] for one in found["away"]] == [name]

    found = told("dead", "list")
    assert [row["conversation"] for row in found["dead_letters"]] == [recorded[0].tag]
    found = told("dead", "retry", "--all", "--timeout", "0.1")
    assert found["asked"] + len(found["not_asked"]) == 1

    found = told("doctor")
    checks = {(one["check"], one["level"]) for one in found["findings"]}
    assert ("redis", "wrong") in checks
    assert ("dead letters", "wrong") in checks
    assert ("oldest audio", "ok") in checks
    assert ("books", "note") in checks
    assert any(name in one["text"] for one in found["findings"] if one["check"] == "redis")
    assert found["conversations"] == len(there)
