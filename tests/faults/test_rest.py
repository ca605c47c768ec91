"""The end of a run, judged: whatever is wrong in Redis, in the bucket or in what is exported is found, and what is right is not."""

import asyncio
import time
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio

from audiobus import Bus, Conversation, EntryId
from audiobus.deletions import set_tombstone
from audiobus.entry import Entry
from audiobus.letter import encode_letter
from audiostore.batch import Batch, batch_end_ms, batch_start_ms, write_batch
from audiostore.names import BatchName
from tapedeck_testing.faults.as_stored import PACKET_48K, as_stored
from tapedeck_testing.faults.chaos import rest as resting
from tapedeck_testing.faults.chaos.options import ChaosOptions
from tapedeck_testing.faults.chaos.shelf import FileShelf
from tapedeck_testing.faults.chaos.wishes import Gone
from tapedeck_testing.faults.load import DeviceSpec, Seen
from tapedeck_testing.faults.report import Options
from tapedeck_testing.faults.tape import Tape, speech
from tapedeck_testing.faults.verdict import LEAD

BEGAN_MS = 1_732_147_200_000
EPOCH = 1_732_147_200_500
HOLES = [(6.0, 900)]
PIECES = [(0, 40), (40, 100), (100, 200)]
DEVICE = DeviceSpec(3, "opus", "u", "c3", token="", relayed=False, holes=HOLES)
CONVERSATION = Conversation("u", "c3")
FORGOTTEN = Conversation("u", "other")
GONE = Gone("deleted", confirmed=True)
SOUND = cache(speech)


def tape():
    return Tape("opus", SOUND(60), device=3, seconds=12, start_ms=BEGAN_MS, holes=HOLES)


def span(first, after):
    return as_stored(tape(), first, after, epoch=EPOCH)


SAMPLES = 200 * PACKET_48K - 2 * LEAD


class Ended:
    """A run that has ended, and all of it is right."""

    def __init__(self, bus, shelf, *, lose=False):
        self.bus = bus
        self.shelf = shelf
        self.exported = {}
        self.options = ChaosOptions(Options(seconds=6, lose=lose))
        self.stack = SimpleNamespace(http=self._http, facts={})

    def pids(self, _component):
        return []

    @staticmethod
    def _http():
        done = httpx.MockTransport(lambda _request: httpx.Response(200))
        return httpx.AsyncClient(transport=done, base_url="http://storage-api")

    async def start(self):
        """Stores the recording, writes its books, and begins to export them."""
        for piece in PIECES:
            self.put(span(*piece))
        await self.redis("HSET", self.conv(CONVERSATION), "in", SAMPLES, "out", SAMPLES)
        await self.redis("HSET", self.bus.keys.usage("u", 20_048), f"c3/{EPOCH}", SAMPLES // 48)
        await set_tombstone(self.bus, GONE.conversation, time.time_ns() // 1_000_000)
        seconds = SAMPLES / 48_000
        self.exported = {"received": seconds, "stored": seconds, "waiting": 0.0, "dead": 0.0, "deleted": 0.0}
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.stack.facts["admin"] = {"pusher": f"http://127.0.0.1:{port}"}
        return self

    def stop(self):
        self._server.close()

    async def _serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = "".join(f'{resting.GAUGE}{{part="{part}"}} {value}\n' for part, value in self.exported.items())
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    # -- what is there -------------------------------------------------------------------------------------------------

    async def redis(self, *command):
        return await self.bus.command(*command)

    def conv(self, conversation):
        return self.bus.keys.conv(conversation)

    def put(self, one, later_ms=0, conversation=CONVERSATION):
        """Stores a span, in an object whose name ends so much later."""
        preroll = () if one.lead else tuple(tape().message(index) for index in range(30, 40))
        batch = Batch("c3", "opus", 16_000, 1, preroll, (one,))
        name = BatchName(*conversation, batch_start_ms(batch), batch_end_ms(batch) + later_ms).path
        self.write(name, write_batch(batch))

    def write(self, name, data):
        path = self.shelf.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def objects(self):
        return sorted(self.shelf.folder.rglob("*.batch.bin"))

    async def wrong(self, seen=None):
        """What is found."""
        rest = resting.Rest(self, print)
        await rest.check([DEVICE], {3: SEEN} if seen is None else seen, [GONE])
        return rest.wrong


SEEN = Seen(
    number=3,
    start_ms=BEGAN_MS,
    messages=200,
    acked=tape().total,
    furthest=tape().total,
    total=tape().total,
    sessions=[(EPOCH, 0)],
    resumed=0,
    superseded=0,
    fell_back=0,
    violations=[],
    connects=1,
    closes={"1000": 1},
    refusals={},
    errors={},
    cuts={},
    told_ms=[],
    unannounced_1012=0,
    buffering=0,
    longest_wait_s=0.0,
    plain_sessions=[],
    outcome="done",
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name in ("REST_S", "HOME_S", "SWEPT_S", "NAMES_S", "BOOKS_S"):
        monkeypatch.setattr(resting, name, 0.4)
    monkeypatch.setattr(resting, "speech", SOUND)


@pytest_asyncio.fixture
async def bus(redis_process):
    async with Bus(redis_process.url) as connected:
        yield connected


@pytest_asyncio.fixture(params=[False, True], ids=["nothing lost", "Redis loses"])
async def ended(request, bus, tmp_path):
    one = await Ended(bus, FileShelf(tmp_path), lose=request.param).start()
    yield one
    one.stop()


# -- what is planted -----------------------------------------------------------------------------------------------------


async def an_object_removed(ended):
    ended.objects()[1].unlink()


async def an_object_copied_under_another_name(ended):
    ended.put(span(40, 100), later_ms=1)


async def a_packet_swapped(ended):
    one = span(40, 100)
    packets = list(one.packets)
    packets[7], packets[8] = packets[8], packets[7]
    ended.put(replace(one, packets=tuple(packets)))


async def more_received_than_is_anywhere(ended):
    await ended.redis("HINCRBY", ended.conv(CONVERSATION), "in", 1)


async def more_stored_than_was_received(ended):
    await ended.redis("HINCRBY", ended.conv(CONVERSATION), "out", 1)


async def books_of_a_conversation_of_no_device(ended):
    await ended.redis("HSET", ended.conv(FORGOTTEN), "in", 480)


async def an_entry_that_waits(ended):
    id_ = EntryId(EPOCH, tape().total + 300)
    await ended.redis("XADD", ended.bus.keys.audio(CONVERSATION), str(id_), "c", b"audio", "s", "2880")
    await ended.redis("HINCRBY", ended.conv(CONVERSATION), "in", 2_880)


async def a_dead_letter(ended):
    letter = encode_letter(
        Entry(EntryId(EPOCH, 7), {b"c": b"audio", b"s": b"480"}),
        reason="unreadable",
        at_ms=BEGAN_MS,
        first_offset=0,
        samples=480,
    )
    await ended.redis("HSET", ended.bus.keys.dead(FORGOTTEN), f"{EPOCH}-7", letter)
    await ended.redis("HSET", ended.conv(FORGOTTEN), "in", 480, "dead", 480)


async def audio_called_deleted(ended):
    await ended.redis("HINCRBY", ended.conv(CONVERSATION), "in", 48)
    await ended.redis("HINCRBY", ended.conv(CONVERSATION), "deleted", 48)


async def another_number_exported(ended):
    ended.exported["stored"] += 1.0


async def nothing_exported(ended):
    ended.exported.clear()


async def an_object_of_what_was_deleted(ended):
    ended.put(span(0, 40), conversation=GONE.conversation)


async def an_object_whose_name_was_given_up(ended):
    name = str(ended.objects()[0].relative_to(ended.shelf.folder))
    await ended.redis("HSET", ended.bus.keys.gone(CONVERSATION), name, time.time_ns() // 1_000_000)


async def an_object_in_the_second_bucket(ended):
    async def left():
        return 1

    ended.shelf.left_in_fallback = left


PLANTED = [
    (an_object_removed, "c3", "missing: "),
    (an_object_copied_under_another_name, "c3", "stored twice: "),
    (a_packet_swapped, "c3", "1 out of order"),
    (more_received_than_is_anywhere, "c3", "the books do not close"),
    (more_received_than_is_anywhere, "books", "u/c3"),
    (more_stored_than_was_received, "c3", "the books do not close"),
    (books_of_a_conversation_of_no_device, "books", "u/other"),
    (an_entry_that_waits, "c3", "1 entries still wait"),
    (a_dead_letter, "dead letters", "480 samples"),
    (audio_called_deleted, "c3", "48 samples are called deleted"),
    (another_number_exported, "metrics", "stored: exported are"),
    (nothing_exported, "metrics", "is not exported"),
    (an_object_of_what_was_deleted, "deleted conversations", "deleted: 1 objects"),
    (an_object_whose_name_was_given_up, "names given up", "c3: 1 objects"),
    (an_object_in_the_second_bucket, "second bucket", "1 objects"),
]


async def test_what_is_right_is_right(ended):
    assert await ended.wrong() == {}


@pytest.mark.parametrize(
    ("plant", "about", "says"), PLANTED, ids=[f"{plant.__name__}, {about}" for plant, about, _ in PLANTED]
)
async def test_what_is_wrong_is_found(ended, plant, about, says):
    await plant(ended)
    found = await ended.wrong()
    assert any(says in text for text in found.get(about, [])), found


async def test_a_tombstone_that_is_gone_is_found_where_redis_loses_nothing(ended):
    await ended.redis("DEL", ended.bus.keys.tomb(GONE.conversation))
    found = await ended.wrong()
    assert ("deleted conversations" in found) is not ended.options.soak.lose


async def test_other_usage_than_was_stored_is_found_where_redis_loses_nothing(ended):
    await ended.redis("HINCRBY", ended.bus.keys.usage("u", 20_048), f"c3/{EPOCH}", 500)
    found = await ended.wrong()
    assert any("usage says" in text for text in found.get("c3", [])) is not ended.options.soak.lose


async def test_a_device_that_never_began_is_found(ended):
    assert await ended.wrong(seen={}) == {"c3": ["the device never began"]}


@pytest.mark.parametrize(("left", "wrong"), [([3, 2, 1, 0], False), ([3, 3, 3, 3, 3, 0], True)])
async def test_what_comes_nearer_is_waited_for_and_what_stands_still_is_not(left, wrong):
    answers = iter(left)

    async def ask():
        await asyncio.sleep(0.2)
        count = next(answers)
        return [f"{count} objects are still there"] if count else []

    rest = resting.Rest(SimpleNamespace(), lambda _line: None)
    await rest._until("second bucket", 0.5, ask)
    assert bool(rest.wrong) is wrong
