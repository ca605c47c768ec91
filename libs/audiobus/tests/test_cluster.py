"""The client of a cluster: whom it asks, what it follows, and that one node that is away is one node that is away."""

import asyncio
import os
import signal

import pytest
import redis

from audiobus import Bus, Conversation, Writer
from audiobus.answers import Appended
from audiobus.cluster import REDIRECTS, Cluster
from audiobus.errors import BusUnavailableError, NotReplicatedError
from audiobus.routed import Routed
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import make_cluster


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Three masters that these tests may disturb; each leaves them as they were."""
    nodes = make_cluster(any_server(), tmp_path_factory.mktemp("own"))
    for node in nodes:
        run(node, "CONFIG", "SET", "cluster-require-full-coverage", "no")
    yield nodes
    for node in nodes:
        node.stop()


@pytest.fixture
async def own(nodes):
    async with Bus(
        ",".join([f"redis+cluster://127.0.0.1:{nodes[0].port}", f"127.0.0.1:{nodes[1].port}"])
    ) as bus:
        yield bus


def run(node, *command):
    with redis.Redis(port=node.port) as client:
        return client.execute_command(*command)


def ids(*of) -> list[str]:
    return [run(node, "CLUSTER", "MYID").decode() for node in of]


class Slot:
    """The slot of a key, and its move to another node."""

    def __init__(self, nodes, client, key: str) -> None:
        self.slot = client.keyslot(key)
        port = client.get_node_from_key(key).port
        self.source = next(node for node in nodes if node.port == port)
        self.target = next(node for node in nodes if node.port != port)
        self.nodes = nodes

    def begin(self) -> None:
        source, target = ids(self.source, self.target)
        run(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", source)
        run(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", target)

    def carry(self, *keys: str) -> None:
        run(self.source, "MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000, "KEYS", *keys)

    def end(self) -> None:
        (target,) = ids(self.target)
        for node in (self.target, self.source, *self.nodes):
            run(node, "CLUSTER", "SETSLOT", self.slot, "NODE", target)


async def test_it_is_the_client_of_every_bus_on_a_cluster(own):
    assert isinstance(own.client, Cluster)
    await own.ping()
    await own.command("SET", "a", "1")
    assert await own.command("GET", "a") == b"1"
    assert await own.client.exists("a", "b", "c") == 1


async def test_a_slot_that_moved_is_followed(own, nodes):
    await own.command("SET", "moved", "1")
    slot = Slot(nodes, own.client, "moved")
    slot.begin()
    slot.carry("moved")
    # On its way: the former owner says where it is now.
    assert await own.command("GET", "moved") == b"1"
    slot.end()
    assert await own.command("GET", "moved") == b"1"
    assert own.client.get_node_from_key("moved").port == slot.target.port


async def test_a_script_whose_keys_lie_apart_waits_until_they_are_together(own, nodes, recorder_on):
    recorder = recorder_on(own)
    await recorder.open()
    audio, conv = own.keys.audio(recorder.conversation), own.keys.conv(recorder.conversation)
    slot = Slot(nodes, own.client, conv)
    slot.begin()
    slot.carry(conv)
    with pytest.raises(BusUnavailableError):
        await recorder.append(100)
    slot.carry(audio)
    slot.end()
    assert isinstance(await recorder.append(100), Appended)
    assert [entry.id.offset for entry in await own.read(recorder.conversation, count=9)] == [0, 100]


async def test_a_node_that_is_away_fails_its_own_commands_alone(own, nodes):
    await own.ping()
    keys = [f"key-{number}" for number in range(60)]
    gone = nodes[2]
    apart = {key for key in keys if own.client.get_node_from_key(key).port == gone.port}
    assert 0 < len(apart) < len(keys)
    await asyncio.to_thread(gone.kill)
    try:
        for _ in range(3):
            answers = await own.client.execute_together([Routed(key, ("SET", key, "1")) for key in keys])
            failed = {key for key, answer in zip(keys, answers, strict=True) if isinstance(answer, Exception)}
            assert failed == apart
        # A process that starts now finds its way as well.
        async with Bus(own.url) as another:
            await another.command("SET", next(key for key in keys if key not in apart), "1")
    finally:
        await asyncio.to_thread(gone.start)
    async with asyncio.timeout(60):
        while True:
            answers = await own.client.execute_together([Routed(key, ("SET", key, "1")) for key in keys])
            if not any(isinstance(answer, Exception) for answer in answers):
                break


async def test_a_node_that_hangs_holds_up_no_other_ones_appends(own, nodes, recorder_on):
    await own.ping()
    recorders = [recorder_on(own) for _ in range(40)]
    for number, recorder in enumerate(recorders):
        recorder.conversation = Conversation("u", f"hanging-{number}")
    for recorder in recorders:
        await recorder.open()
    stuck = [one for one in recorders if port_of(own, one) == nodes[2].port]
    others = [one for one in recorders if one not in stuck]
    assert stuck
    assert others
    writer = Writer(own)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(writer.run())
        os.kill(nodes[2].process.pid, signal.SIGSTOP)
        try:
            hanging = [tasks.create_task(writer.append(one.request(100))) for one in stuck]
            for end in (100, 200, 300):
                for one in others:
                    request = one.request(end)
                    assert isinstance(await writer.append(request), Appended)
                    one.newest = request.id
            assert not any(task.done() for task in hanging)
        finally:
            os.kill(nodes[2].process.pid, signal.SIGCONT)
        for answer in await asyncio.gather(*hanging):
            assert isinstance(answer, Appended)
        writer.close()


def port_of(own, recorder) -> int:
    return own.client.get_node_from_key(own.keys.conv(recorder.conversation)).port


async def test_without_replicas_nothing_is_confirmed(own, recorder_on, monkeypatch):
    monkeypatch.setattr("audiobus.cluster.WAIT_MS", 100)
    async with Bus(own.url, wait_replicas=1) as waiting:
        recorder = recorder_on(own)
        await recorder.open()
        writer = Writer(waiting)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer.run())
            with pytest.raises(NotReplicatedError, match="0 replicas"):
                await writer.append(recorder.request(100))
            writer.close()


async def test_slots_that_never_rest_are_not_followed_for_ever(own, nodes, monkeypatch):
    await own.command("SET", "restless", "1")
    asked = []

    async def elsewhere(self, commands) -> None:
        asked.append(self.port)
        other = next(node.port for node in nodes if node.port != self.port)
        for one in commands:
            one.result = redis.exceptions.MovedError(f"{own.client.keyslot('restless')} 127.0.0.1:{other}")

    monkeypatch.setattr("redis.asyncio.cluster.ClusterNode.execute_pipeline", elsewhere)
    with pytest.raises(BusUnavailableError):
        await own.command("GET", "restless")
    assert len(asked) == REDIRECTS
