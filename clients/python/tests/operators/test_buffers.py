"""`tapedeck buffers` over a real Redis, while no service runs."""

import asyncio

import pytest

from audiobus import Conversation, failures
from audiobus.census import exact
from audiobus.deletions import set_tombstone
from audiostore import open_store
from audiostore.batch import read_batch
from audiostore.key_ring import KeyRing
from audiostore.sealing import open_sealed

KEY = "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
OTHER = "k2:MjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjI="


@pytest.fixture
def objects(tmp_path):
    """The objects in a folder, by name."""

    def read(folder="out"):
        async def work():
            store = open_store(f"file://{tmp_path}/{folder}")
            try:
                return {info.name: await store.get(info.name) async for info in store.list("")}
            finally:
                await store.close()

        return asyncio.run(work())

    return read


def test_what_waits_is_listed_by_age_and_by_size(command, record, bury, on_redis):
    record("old", 2, age_s=600)
    large = record("large", 5, age_s=20)
    bury(large, 4)
    on_redis(lambda bus: failures.note(bus, large.conversation, "the bucket is away", 0))
    found = command("buffers", "list", "--json")
    assert found.code == 0
    rows = found.json["buffers"]
    assert [row["conversation"] for row in rows] == ["alice/old", "alice/large"]
    assert 590 < rows[0]["age_seconds"] < 660
    assert (rows[1]["entries"], rows[1]["dead_letters"], rows[1]["fails"]) == (5, 1, 1)
    assert rows[1]["seconds"] == pytest.approx(4 - 312 / 48_000)
    assert found.json["seconds"] == pytest.approx(6 - 2 * 312 / 48_000)
    # Short, and of large chunks: it takes more memory than what lasts longer.
    heavy = record("heavy", 1, age_s=1)
    on_redis(lambda bus: bus.command("XADD", bus.keys.audio(heavy.conversation), "*", "x", bytes(99_000)))
    rows = command("buffers", "list", "--sort", "size", "--json").json["buffers"]
    assert [row["conversation"] for row in rows] == ["alice/heavy", "alice/large", "alice/old"]
    assert rows[0]["bytes"] > 99_000 > rows[1]["bytes"] >= rows[2]["bytes"] > 0
    table = command("buffers", "list", "--sort", "size")
    lines = table.out.splitlines()
    assert lines[0].split() == ["conversation", "seconds", "bytes", "entries", "oldest", "dead", "state"]
    assert lines[2].startswith("alice/large")
    assert "failing (once): the bucket is away" in lines[2]
    assert lines[-1].startswith("3 conversations, ")


def test_nothing_waits(command, on_redis):
    quiet = Conversation("alice", "quiet")
    on_redis(lambda bus: bus.command("HSET", bus.keys.conv(quiet), "newest", "1-0"))
    found = command("buffers", "list")
    assert (found.code, found.out) == (0, "")
    assert "nothing waits" in found.err
    assert command("buffers", "flush", quiet.tag, "--json").json == {
        "conversations": 0,
        "stored_seconds": 0.0,
        "waiting_seconds": 0.0,
        "dead_seconds": 0.0,
        "deleted_seconds": 0.0,
        "lost_seconds": 0.0,
        "new_dead_letters": 0,
        "done": True,
        "problem": "",
        "not_asked": [],
        "away": [],
        "strange": [],
        "beside": {"dead_letters": 0, "dead_seconds": 0.0, "nothing_of": ""},
    }


LISTINGS = (("buffers", "list"), ("buffers", "flush-all"), ("buffers", "export-all", "out"))


@pytest.fixture
def buried(record, bury, on_redis):
    """Two seconds that are dead, and nothing of that conversation waits."""
    recorded = record("talk", 2)
    bury(recorded, 0, 1)
    on_redis(lambda bus: bus.command("XTRIM", bus.keys.audio(recorded.conversation), "MAXLEN", 0))
    return recorded


@pytest.mark.parametrize("words", LISTINGS)
def test_dead_letters_are_not_called_stored(command, buried, words):
    found = command(*words)
    assert found.code == 0
    assert "nothing waits; 1.994 s lie in 2 dead letters: `tapedeck dead list`" in found.err
    assert "all that was recorded is stored" not in found.err
    beside = command(*words, "--json").json["beside"]
    assert (beside["dead_letters"], beside["nothing_of"]) == (2, "")
    assert beside["dead_seconds"] == pytest.approx(2 - 312 / 48_000)


def test_a_conversation_of_which_all_is_dead_is_not_called_stored(command, record, buried):
    record("waits", 3)
    for words in (("flush", buried.tag), ("export", buried.tag, "out")):
        found = command("buffers", *words)
        assert "lie in 2 dead letters" in found.err
        assert "is stored" not in found.err
    # They are told of beside what waits elsewhere, too.
    assert "lie in 2 dead letters" in command("buffers", "list").err


@pytest.mark.parametrize("words", LISTINGS)
def test_a_redis_without_a_key_of_ours_is_named(command, record, words):
    record("talk", 2)
    found = command(*words, TAPEDECK_REDIS_PREFIX="mistyped:")
    assert found.code == 0  # it may be new
    assert "prefix mistyped:) holds nothing of Tapedeck" in found.err
    assert "(db " in found.err
    assert "check the address and TAPEDECK_REDIS_PREFIX" in found.err
    assert "is stored" not in found.err
    json = command(*words, "--json", TAPEDECK_REDIS_PREFIX="mistyped:").json
    assert json["beside"]["nothing_of"].endswith(", prefix mistyped:")


def test_nobody_has_recorded_into_it(command, tmp_path):
    for arguments in (("flush", "alice/nobody"), ("export", "alice/nobody", "out")):
        answer = command("buffers", *arguments)
        assert answer.code == 4
        assert "nobody has recorded" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_flush_that_nobody_follows_says_so_and_stands(command, record, on_redis):
    recorded = record("talk", 3)
    found = command("buffers", "flush", recorded.tag, "--timeout", "0.5")
    assert found.code == 1
    assert "goes on without this command" in found.err
    assert found.out == "0.000 s stored\n"
    state = on_redis(lambda bus: bus.state(recorded.conversation))
    assert (state.flush, state.flush_reason) == (recorded.ids[-1], "flush")
    everything = command("buffers", "flush-all", "--timeout", "0.2", "--json")
    assert everything.code == 1
    assert everything.json["waiting_seconds"] == pytest.approx(3 - 312 / 48_000)


def test_an_export_takes_nothing_out_and_can_be_repeated(command, record, objects, on_redis):
    recorded = record("talk", 70)
    record("other", 2, uid="bob")
    before = on_redis(lambda bus: exact(bus, recorded.conversation))
    found = command("buffers", "export", recorded.tag, "out", "--json")
    assert found.code == 0
    [row] = found.json["conversations"]
    assert (row["conversation"], row["objects"], row["unreadable"], row["found"]) == (recorded.tag, 2, 0, 0)
    assert row["seconds"] == pytest.approx(70 - 312 / 48_000)
    written = objects()
    assert all(name.startswith("chunks/alice/talk/") for name in written)
    spans = [span for data in written.values() for span in read_batch(data).spans]
    assert sum(span.samples for span in spans) == before.waiting
    assert on_redis(lambda bus: exact(bus, recorded.conversation)) == before

    async def emptied(bus):
        # As a buffer is that has been stored.
        quiet = bus.keys.audio(Conversation("alice", "quiet"))
        await bus.command("XADD", quiet, "1-1", "x", "y")
        await bus.command("XTRIM", quiet, "MAXLEN", 0)

    on_redis(emptied)
    again = command("buffers", "export-all", "out", "--json")
    rows = {row["conversation"]: row for row in again.json["conversations"]}
    assert set(rows) == {"alice/talk", "bob/other"}
    assert (rows["alice/talk"]["found"], rows["bob/other"]["found"]) == (2, 0)
    assert written.items() < objects().items()
    table = command("buffers", "export-all", "elsewhere")
    assert table.out.splitlines()[0].split() == ["conversation", "seconds", "objects", "unreadable"]


def test_an_export_seals_what_the_bucket_would_get_sealed(command, record, objects, on_redis):
    recorded = record("secret", 3)
    on_redis(lambda bus: bus.command("HSET", bus.keys.user("alice"), "protection", "enhanced"))
    found = command("buffers", "export", recorded.tag, "out")
    assert found.code == 1
    assert "TAPEDECK_ENCRYPTION_KEYS" in found.out
    assert objects() == {}
    found = command("buffers", "export", recorded.tag, "out", TAPEDECK_ENCRYPTION_KEYS=KEY)
    assert found.code == 0
    [(name, data)] = objects().items()
    assert name.endswith(".batch.enc")
    assert read_batch(open_sealed(data, KeyRing.parse(KEY), "alice")).spans[0].samples == 3 * 48_000 - 312


def test_an_export_finds_the_key_that_up_made_for_its_own_system(
    command, record, objects, on_redis, ready_with_key
):
    recorded = record("secret", 3)
    on_redis(lambda bus: bus.command("HSET", bus.keys.user("alice"), "protection", "enhanced"))
    ready_with_key(KEY, redis="redis://127.0.0.1:1/0")  # nobody there knows that key
    assert command("buffers", "export", recorded.tag, "out").code == 1
    assert objects() == {}
    ready_with_key(KEY)
    assert command("buffers", "export-all", "other", TAPEDECK_ENCRYPTION_KEYS=OTHER).code == 0
    assert command("buffers", "export", recorded.tag, "out").code == 0
    for folder, key in (("out", KEY), ("other", OTHER)):
        [data] = objects(folder).values()
        assert read_batch(open_sealed(data, KeyRing.parse(key), "alice")).spans


def test_an_export_of_what_is_spoilt_and_of_what_is_deleted(command, record, objects, on_redis):
    spoilt = record("spoilt", 4, spoilt=(1,))
    gone = record("gone", 2)
    on_redis(lambda bus: set_tombstone(bus, gone.conversation, 1))
    rows = {
        row["conversation"]: row
        for row in command("buffers", "export-all", "out", "--json").json["conversations"]
    }
    assert (rows[spoilt.tag]["unreadable"], rows[spoilt.tag]["objects"]) == (1, 1)
    assert (rows[gone.tag]["deleted"], rows[gone.tag]["objects"]) == (True, 0)
    assert all("/spoilt/" in name for name in objects())


def test_what_is_wrong_is_said_with_what_to_do(command, tmp_path):
    answer = command("buffers", "flush", "nobody")
    assert answer.code == 2
    assert "names no conversation" in answer.err
    assert "a slash" in answer.err
    away = command("buffers", "list", TAPEDECK_REDIS_URL="redis://127.0.0.1:1/0")
    assert away.code == 1
    assert "Redis does not answer" in away.err
    assert "tapedeck doctor" in away.err
    nowhere = command("buffers", "list", TAPEDECK_REDIS_URL="")
    assert nowhere.code == 3
    assert "--redis-url" in nowhere.err
    (tmp_path / "file").write_text("")
    blocked = command("buffers", "export-all", "file/below")
    assert blocked.code == 1
    assert "cannot be made" in blocked.err
