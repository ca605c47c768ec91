"""A Redis and a bucket with something in them, and the command line over both."""

import asyncio
import json
import os
import sys
import time
import uuid
from dataclasses import dataclass

import pytest

from audiobus import AppendRequest, Bus, Conversation, EntryId, Position
from audiobus.chunk import VERSION, Chunk
from tapedeck import ready_file
from tapedeck.__main__ import main
from tapedeck.ready_file import Admin, Pids, Ready


@dataclass
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def prefix() -> str:
    return f"t{uuid.uuid4().hex[:12]}:"


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, redis_url, prefix):
    """The command line in this process, over a Redis of its own keys and a bucket in a folder."""
    for name in [name for name in os.environ if name.startswith("TAPEDECK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket").mkdir()
    monkeypatch.setenv("TAPEDECK_REDIS_URL", redis_url)
    monkeypatch.setenv("TAPEDECK_REDIS_PREFIX", prefix)
    monkeypatch.setenv("TAPEDECK_STORE_URL", f"file://{tmp_path}/bucket")

    def tapedeck(*arguments, stdin=None, **environ) -> Answer:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tapedeck", *map(str, arguments)])
            for name, value in environ.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        return Answer(ended.value.code or 0, said.out, said.err)

    return tapedeck


@pytest.fixture
def ready_with_key(tmp_path, redis_url):
    """Writes the ready file of an `up` that made this key for its own bucket, which has that Redis, or another one."""

    def write(entry, redis=redis_url):
        keys = tmp_path / "encryption-keys"
        keys.write_text(f"{entry}\n")
        ready = Ready(
            "", "", redis, f"file://{tmp_path}/bucket", "", "", "", Pids(), Admin("", "", ""), "", str(keys)
        )
        ready_file.write(tmp_path / "data" / "ready.json", ready)

    return write


@pytest.fixture
def on_redis(redis_url, prefix):
    """Runs `work(bus)`: the commands bring event loops of their own."""

    def run(work):
        async def inside():
            async with Bus(redis_url, prefix=prefix) as bus:
                return await work(bus)

        return asyncio.run(inside())

    return run


@dataclass
class Recorded:
    """A session of chunks of a second that waits in Redis."""

    conversation: Conversation
    epoch: int
    start_ms: int
    ids: list[EntryId]

    @property
    def tag(self) -> str:
        return self.conversation.tag


@pytest.fixture
def record(on_redis):
    """Records so many seconds, and nothing stores them. Of `spoilt` ones the chunk does not parse in this build."""

    def run(name, seconds, *, spoilt=(), age_s=10, uid="alice") -> Recorded:
        conversation = Conversation(uid, name)
        start_ms = time.time_ns() // 1_000_000 - age_s * 1000

        async def work(bus):
            opened = await bus.open(conversation, owner="o", format="opus:16000:1:312", now_ms=start_ms)
            ids, at = [], 0
            for second in range(seconds):
                before = EntryId(opened.epoch, second * 500)
                id_ = EntryId(opened.epoch, second * 500 + 500)
                chunk = chunk_of(second, start_ms)
                data = chunk.encode()
                if second in spoilt:
                    data = data[:1] + b"\x02" + data[2:]
                at += chunk.samples
                position = Position(start_ms, at)
                request = AppendRequest(
                    conversation=conversation,
                    owner="o",
                    before=before,
                    id=id_,
                    chunk=data,
                    samples=chunk.samples,
                    position=position,
                    now_ms=chunk.at_ms,
                )
                await bus.append(request)
                ids.append(id_)
            return Recorded(conversation, opened.epoch, start_ms, ids)

        return on_redis(work)

    return run


def chunk_of(second: int, start_ms: int) -> Chunk:
    """The second of that number: silent packets unlike any other."""
    lead = 0 if second else 312
    return Chunk(
        version=VERSION,
        at_ms=start_ms + second * 1000,
        source="opus",
        sample_rate=16_000,
        channels=1,
        run_start_ms=start_ms,
        first_sample=second * 48_000 - (312 if second else 0),
        samples=48_000 - lead,
        lead=lead,
        trim=0,
        starts=not second,
        first_offset=second * 500,
        packets=tuple(b"\xb8\xff\xfe" + (second * 50 + n).to_bytes(8, "big") for n in range(50)),
    )


@pytest.fixture
def bury(on_redis):
    """Makes dead letters of seconds of a recording, as a pusher that cannot read them does."""

    def run(recorded: Recorded, *seconds: int, reason="unknown to this build"):
        async def work(bus):
            entries = {one.id: one for one in await bus.read(recorded.conversation, count=999)}
            for second in seconds:
                entry = entries[recorded.ids[second]]
                assert await bus.bury(
                    recorded.conversation,
                    entry,
                    reason=reason,
                    first_offset=second * 500,
                    samples=entry.counted_samples,
                    now_ms=1_700_000_000_000,
                )

        on_redis(work)

    return run
