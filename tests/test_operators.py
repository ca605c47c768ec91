"""What operators do to a running system, with `tapedeck up` and real processes."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from audiobus import AppendRequest, Bus, Conversation, EntryId, Position
from audiobus.census import exact
from audiobus.chunk import VERSION, Chunk
from tapedeck_testing.account import packets_back
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import opus_packets
from tapedeck_testing.stack import Stack


async def tapedeck(stack: Stack, *arguments: str) -> tuple[int, dict]:
    """The command in a process of its own, and its JSON."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TAPEDECK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tapedeck", *arguments, "--json"),
        env={**environ, "TAPEDECK_READY_FILE": str(stack.ready_file)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, json.loads(out)


async def test_a_buffer_is_exported_as_the_very_files_that_the_bucket_gets(stack, tmp_path):
    url, token = stack.facts["listen"], stack.user_token("export-user")
    with stack.frozen("pusher"):
        client = ProtocolClient(url, token, "talk", opus_packets(75, seed=3), codec="opus")
        await client.run()
        code, found = await tapedeck(stack, "buffers", "list")
        assert code == 0
        [row] = [one for one in found["buffers"] if one["conversation"] == "export-user/talk"]
        assert row["seconds"] > 74
        code, found = await tapedeck(stack, "buffers", "export", "export-user/talk", str(tmp_path))
        assert (code, found["conversations"][0]["problem"]) == (0, "")
        code, found = await tapedeck(stack, "where", "export-user/talk")
        assert [one["state"] for one in found["stretches"]] == ["waiting"]
    code, found = await tapedeck(stack, "buffers", "flush", "export-user/talk")
    assert (code, found["done"], found["waiting_seconds"]) == (0, True, 0)
    lie_there = files(stack.store / "chunks/export-user/talk")
    assert lie_there == files(tmp_path / "chunks/export-user/talk")
    code, found = await tapedeck(stack, "where", "export-user/talk")
    assert {Path(one["object"]).name for one in found["stretches"]} == set(lie_there)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def chunk(number: int, start_ms: int) -> Chunk:
    lead = 0 if number else 312
    return Chunk(
        version=VERSION,
        at_ms=start_ms + number * 1000,
        source="opus",
        sample_rate=16_000,
        channels=1,
        run_start_ms=start_ms,
        first_sample=number * 48_000 - (312 if number else 0),
        samples=48_000 - lead,
        lead=lead,
        trim=0,
        starts=not number,
        first_offset=number * 500,
        packets=tuple(b"\xb8\xff\xfe" + (number * 50 + n).to_bytes(8, "big") for n in range(50)),
    )


@pytest.fixture
async def bus(stack):
    async with Bus(stack.facts["redis"]) as bus:
        yield bus


async def test_poison_is_buried_tried_again_and_dropped_and_the_books_close(stack, bus, tmp_path):
    """Two seconds that this build cannot read: one is mended, as by another build, the other never."""
    conversation = Conversation("poison-user", "talk")
    start_ms = 1_700_000_000_000
    opened = await bus.open(conversation, owner="o", format="opus:16000:1:312", now_ms=start_ms)
    sent = []
    for number in range(6):
        one = chunk(number, start_ms)
        data = one.encode()
        if number in (2, 4):
            data = data[:1] + b"\x02" + data[2:]
        else:
            sent += one.packets
        request = AppendRequest(
            conversation=conversation,
            owner="o",
            before=EntryId(opened.epoch, number * 500),
            id=EntryId(opened.epoch, number * 500 + 500),
            chunk=data,
            samples=one.samples,
            position=Position(start_ms, (number + 1) * 48_000 - 312),
            now_ms=start_ms,
        )
        await bus.append(request)
    code, flushed = await tapedeck(stack, "buffers", "flush", conversation.tag)
    assert (code, flushed["new_dead_letters"]) == (0, 2)
    code, found = await tapedeck(stack, "dead", "list", conversation.tag)
    first, _ = found["dead_letters"]
    assert "version 2" in first["reason"]
    assert (await bus.stored(conversation, opened.epoch)).dead_offset == 1000
    # Nothing has changed: both stay, and are told why.
    code, retried = await tapedeck(stack, "dead", "retry", conversation.tag, "--timeout", "60")
    assert code == 1
    assert (retried["asked"], retried["stored"], retried["failed"], retried["waiting"]) == (2, 0, 2, 0)
    key = bus.keys.dead(conversation)
    letter = msgspec.msgpack.decode(await bus.command("HGET", key, first["id"]))
    letter["fields"][b"c"] = chunk(2, start_ms).encode()
    await bus.command("HSET", key, first["id"], msgspec.msgpack.encode(letter))
    code, retried = await tapedeck(stack, "dead", "retry", conversation.tag, first["id"], "--timeout", "60")
    assert (code, retried["stored"]) == (0, 1)
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.dead, balance.waiting) == (0, 48_000, 0)
    assert (await bus.stored(conversation, opened.epoch)).dead_offset == 2000
    async with stack.http() as http:
        back = await packets_back(http, *conversation, missing=1)
        assert back == sent[:100] + list(chunk(2, 0).packets) + sent[100:]
    code, found = await tapedeck(stack, "where", conversation.tag)
    assert [one["state"] for one in found["stretches"]] == ["stored", "stored", "stored", "dead", "stored"]
    code, found = await tapedeck(stack, "doctor")
    assert code == 1
    assert "dead letters" in {one["check"] for one in found["findings"] if one["level"] == "wrong"}
    code, dropped = await tapedeck(stack, "dead", "drop", conversation.tag, "--yes")
    assert (code, dropped["dropped"]) == (0, 1)
    balance = await exact(bus, conversation)
    assert (balance.difference, balance.dead, balance.deleted) == (0, 0, 48_000)
    assert (await bus.stored(conversation, opened.epoch)).dead_offset is None
    code, found = await tapedeck(stack, "doctor")
    assert (code, found["unbalanced"]) == (0, []), found
    async with stack.http() as http:
        assert await packets_back(http, *conversation) == back
