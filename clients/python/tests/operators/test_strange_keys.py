"""Keys that somebody put where conversations lie: every command names them, and goes on with the others."""

import asyncio

import pytest
import redis

from audiobus import Bus, Conversation
from audiobus.masters import Masters
from tapedeck.operators.beside import any_of_ours
from tapedeck.operators.doctor_redis import examine_books
from tapedeck.operators.strange_keys import find_all
from tapedeck.operators.waiting import buffers


@pytest.fixture
def strange(on_redis, record, prefix):
    """A good buffer, and beside it keys that are none; the names of those."""
    record("talk", 2)

    async def spoil(bus):
        await bus.command("SET", f"{prefix}audio:{{alice/string}}", "x")
        await bus.command("XADD", f"{prefix}audio:{{alice/\x1b[31mred}}", "1-1", "x", "y")
        await bus.command("HSET", f"{prefix}dead:{{alice}}", "x", "y")
        await bus.command("SET", f"{prefix}conv:{{alice/conv}}", "x")

    on_redis(spoil)
    return [f"{prefix}audio:{{alice/\x1b[31mred}}", f"{prefix}audio:{{alice/string}}"]


def test_buffers_that_are_none_are_named(command, strange, on_redis):
    shown = [key.replace("\x1b", "\\x1b") for key in strange]
    for arguments, code in (
        (("list",), 0),
        (("export-all", "out"), 1),
        (("flush-all", "--timeout", "0.1"), 1),
    ):
        found = command("buffers", *arguments, "--json")
        assert found.code == code
        assert [one["key"] for one in found.json["strange"]] == strange
        table = command("buffers", *arguments)
        assert table.code == code
        assert "\x1b" not in table.out + table.err
        assert all(key in table.err for key in shown)
        assert "it holds a string, not a stream" in table.err
    assert [row["conversation"] for row in command("buffers", "list", "--json").json["buffers"]] == [
        "alice/talk"
    ]


def test_letters_that_are_none_are_named(command, strange, prefix):
    assert [one["key"] for one in command("dead", "list", "--json").json["strange"]] == [
        f"{prefix}dead:{{alice}}"
    ]
    assert "no conversation can have this name" in command("dead", "list").err


def test_the_doctor_names_all_of_them(command, strange):
    [told] = [one for one in command("doctor", "--json").json["findings"] if one["check"] == "strange keys"]
    assert told["level"] == "wrong"
    assert told["text"].startswith("4 keys are no conversation's")
    assert "delete none of which you do not know" in told["hint"]
    assert "\x1b" not in command("doctor").out


def test_one_whose_numbers_are_none_hides_no_other(command, record, on_redis):
    record("talk", 2)
    spoilt = record("spoilt", 2)
    on_redis(lambda bus: bus.command("DEL", bus.keys.conv(spoilt.conversation)))
    on_redis(lambda bus: bus.command("SET", bus.keys.conv(Conversation("alice", "spoilt")), "x"))
    found = command("buffers", "list", "--json").json
    assert [row["conversation"] for row in found["buffers"]] == ["alice/talk"]
    assert len(found["strange"]) == 1
    flushed = command("buffers", "flush-all", "--timeout", "0.1", "--json")
    assert (flushed.code, flushed.json["not_asked"]) == (1, ["alice/spoilt"])


@pytest.mark.parametrize("odd", ["x[1]", "y*?", "{z}", "a}b{"])
def test_buffers_under_an_odd_prefix_are_seen(redis_url, record, bury, prefix, odd):
    """Those are no strange keys, and nothing hides them."""
    bury(record("talk", 10), 3)
    mine = f"{prefix}{odd}:"
    with redis.Redis.from_url(redis_url) as client:
        for key in client.keys(f"{prefix}*"):
            client.rename(key, key.replace(prefix.encode(), mine.encode(), 1))

    async def look():
        async with Bus(redis_url, prefix=mine) as bus:
            masters = Masters(bus)
            rows = await buffers(masters, 0)
            strange = await find_all(masters)
            graves = [one async for page in masters.graves() for one in page]
            _, count, books, off = await examine_books(masters, lambda _count: None)
            return rows, strange, graves, count, books, off, await any_of_ours(masters)

    rows, strange, graves, count, books, off, any_there = asyncio.run(look())
    assert [str(row.conversation) for row in rows] == ["alice/talk"]
    assert (strange, graves, any_there) == ((), [Conversation("alice", "talk")], True)
    assert (count, off) == (1, [])
    assert books.waiting == pytest.approx(9, abs=0.1)
