"""`tapedeck where` over a real Redis and a bucket, while no service runs."""

import asyncio
import dataclasses

import msgspec
import pytest

from audiobus import Conversation, Cut, CutStands, Hints, failures
from audiobus.deletions import drop_cut, set_tombstone, set_user_tombstone, unstore, withdraw
from audiobus.merging import freeze
from audiostore import open_store
from audiostore.names import parse_name
from tapedeck import ready_file
from tapedeck.operators.spans import moment
from tapedeck.ready_file import Admin, Pids, Ready


@pytest.fixture
def put(tmp_path):
    """Puts an object into a bucket."""

    def run(name, data=b"?", folder="bucket"):
        async def work():
            store = open_store(f"file://{tmp_path}/{folder}")
            await store.put(name, data, content_type="x", metadata={})
            await store.close()

        asyncio.run(work())

    return run


def test_stored_waiting_dead_and_missing(command, record, bury, on_redis, tmp_path):
    recorded = record("talk", 8, spoilt=(5,))
    # The first three seconds are in the bucket, as an export makes them, and two more in the second one.
    command("buffers", "export", recorded.tag, "bucket")
    [whole] = tmp_path.glob("bucket/chunks/alice/talk/*")
    whole.unlink()

    async def settle(bus):
        conversation = recorded.conversation
        entries = await bus.read(conversation, count=99)
        cut = Cut(1, str(entries[0].id), str(recorded.ids[2]), "", "standard", "size")
        assert await bus.cut(conversation, cut, settled=None) == CutStands()
        samples = sum(one.counted_samples for one in entries[:4])
        await bus.finish(
            conversation, cut.encode(), last=cut.last_id, preroll=None, samples=samples, ends={}, now_ms=0
        )

    on_redis(settle)
    bury(recorded, 4)
    bury(recorded, 5)
    on_redis(lambda bus: failures.note(bus, recorded.conversation, "the bucket is away", 0))
    found = command("where", recorded.tag, "--json")
    assert found.code == 1
    rows = [(row["state"], row["seconds"]) for row in found.json["stretches"]]
    assert rows == [("missing", 2.993), ("waiting", 1.0), ("dead", 1.0), ("dead", 1.0), ("waiting", 2.0)]
    missing, waits, dead, spoilt, _ = found.json["stretches"]
    assert "the first 1500 bytes" in missing["why"]
    assert "the bucket holds 0.000 s" in found.json["problems"][0]
    assert "failed once" in waits["why"]
    assert "the bucket is away" in waits["why"]
    assert dead["why"] == f"unknown to this build; letter {recorded.ids[4]}"
    # One whose time cannot be read lies where its bytes do.
    assert spoilt["start_ms"] == dead["end_ms"]
    assert found.json["books"]["difference"] == 0
    table = command("where", recorded.tag)
    assert table.out.splitlines()[0].split() == ["start", "seconds", "state", "object", "why"]
    assert "received =" in table.out
    at = command("where", recorded.tag, "--at", moment(dead["start_ms"] + 500), "--json")
    assert [row["state"] for row in at.json["stretches"]] == ["dead"]
    for never in ("never", "99999999999999", "9" * 21, "9" * 400, "²"):
        answer = command("where", recorded.tag, "--at", never)
        assert (answer.code, "is no time" in answer.err) == (2, True), never
    assert "nothing is known" in command("where", recorded.tag, "--at", "0").err


def test_what_waits_and_does_not_parse_waits(command, record, bury):
    recorded = record("talk", 6, spoilt=(0, 3, 4))
    bury(recorded, 2)
    found = command("where", recorded.tag, "--json").json
    rows = [(row["state"], row["seconds"], row["first_offset"]) for row in found["stretches"]]
    assert rows == [
        ("waiting", 0.993, 0),
        ("waiting", 1.0, 500),
        ("dead", 1.0, 1000),
        ("waiting", 2.0, 1500),
        ("waiting", 1.0, 2500),
    ]
    assert found["stretches"][3]["why"] == "it does not parse: it will become a dead letter"
    assert sum(one[1] for one in rows if one[0] == "waiting") == pytest.approx(
        found["books"]["waiting"], abs=0.002
    )
    assert found["notes"] == []


def test_what_waits_at_a_time_that_nothing_tells(command, record):
    recorded = record("talk", 2, spoilt=(0, 1))
    found = command("where", recorded.tag, "--json").json
    assert found["stretches"] == []
    assert found["notes"] == [
        f"entry {recorded.ids[0]}, which waits, holds 0.994 s at a time that nothing tells: it does not parse: it will become a dead letter",
        f"entry {recorded.ids[1]}, which waits, holds 1.000 s at a time that nothing tells: it does not parse: it will become a dead letter",
    ]


def test_objects_of_both_buckets(command, record, tmp_path, put):
    recorded = record("talk", 70)
    command("buffers", "export", recorded.tag, "bucket")
    first, second = sorted(tmp_path.glob("bucket/chunks/alice/talk/*"))
    put(f"chunks/alice/talk/{second.name}", second.read_bytes(), folder="second")
    second.unlink()
    put("chunks/alice/talk/1600000000.000.bin", bytes(32_000))
    found = command("where", recorded.tag, "--json", TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/second")
    rows = [(row["state"], row["bucket"]) for row in found.json["stretches"]]
    assert rows == [("stored", "first"), ("gap", None), ("stored", "first"), ("stored", "second")]
    older = found.json["stretches"][0]
    assert (older["seconds"], older["why"]) == (1.0, "an older format")
    assert found.json["stretches"][2]["object"] == f"chunks/alice/talk/{first.name}"
    # What is stored and still waits is stored.
    assert sum(row["seconds"] for row in found.json["stretches"][2:]) == pytest.approx(70, abs=0.02)
    table = command("where", recorded.tag, TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/second")
    assert f"{second.name} (second bucket)" in table.out
    # On its way home it lies in both, and is told of once.
    put(f"chunks/alice/talk/{first.name}", first.read_bytes(), folder="second")
    both = command("where", recorded.tag, "--json", TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/second")
    assert both.json["stretches"] == found.json["stretches"]
    alone = command("where", recorded.tag, "--json").json["stretches"]
    assert [row["state"] for row in alone[2:]] == ["stored", "waiting"]


def test_the_second_bucket_of_the_ready_file(command, record, on_redis, put, tmp_path, redis_url):
    ready = Ready("", "", redis_url, f"file://{tmp_path}/bucket", "", "", "", Pids(), Admin("", "", ""))
    put("chunks/alice/talk/1600000000.000.bin", bytes(32_000), folder="second")
    path = tmp_path / "ready.json"
    ready_file.write(path, msgspec.structs.replace(ready, fallback_store=f"file://{tmp_path}/second"))
    (tmp_path / "other").mkdir()
    environ = {"TAPEDECK_READY_FILE": str(path), "TAPEDECK_STORE_URL": ""}
    [row] = command("where", "alice/talk", "--json", **environ).json["stretches"]
    assert (row["state"], row["bucket"]) == ("stored", "second")
    checks = {one["check"] for one in command("doctor", "--no-books", "--json", **environ).json["findings"]}
    assert "second bucket" in checks
    # It belongs to that first bucket only.
    other = {**environ, "TAPEDECK_STORE_URL": f"file://{tmp_path}/other"}
    assert command("where", "alice/talk", "--json", **other).code == 4
    # A file of an earlier version names none.
    ready_file.write(path, ready)
    document = msgspec.json.decode(path.read_bytes())
    del document["fallback_store"]
    path.write_bytes(msgspec.json.encode(document))
    assert command("where", "alice/talk", "--json", **environ).code == 4


def test_what_was_deleted(command, record, on_redis, put):
    recorded = record("talk", 2)
    start_s = recorded.start_ms // 1000
    for at, to in ((60, 50), (40, 30)):
        put(f"chunks/alice/talk/{start_s - at}.000-{start_s - to}.000.batch.bin")
    name = f"chunks/alice/talk/{start_s - 50}.000-{start_s - 40}.000.batch.bin"
    on_redis(lambda bus: unstore(bus, recorded.conversation, {name: 0}, 1_700_000_000_000))
    on_redis(lambda bus: set_user_tombstone(bus, "alice", 1_700_000_000_000))
    found = command("where", recorded.tag, "--json")
    states = [row["state"] for row in found.json["stretches"]]
    assert states == ["stored", "deleted", "stored", "gap", "waiting"]
    assert "2023-11-14" in found.json["stretches"][1]["why"]
    assert "2023-11-14" in command("where", recorded.tag).err
    on_redis(lambda bus: set_tombstone(bus, recorded.conversation, 1))
    found = command("where", recorded.tag)
    assert "it is deleted" in found.err
    assert command("where", recorded.tag, "--json").json["deleted"] is True


def test_a_bucket_that_cannot_be_read_is_a_problem_and_not_a_hole(command, record, tmp_path):
    recorded = record("talk", 1)
    nowhere = tmp_path / "nowhere"
    found = command("where", recorded.tag, "--json", TAPEDECK_FALLBACK_STORE_URL=f"file://{nowhere}/x")
    assert found.code == 1
    assert not nowhere.exists()
    # Nobody says that there is nothing before the bucket could be looked at.
    quiet = command("where", "alice/quiet", TAPEDECK_STORE_URL=f"file://{nowhere}/x")
    assert (quiet.code, "no audio of it is seen" in quiet.err) == (1, True)
    assert "the second bucket cannot be read" in found.json["problems"][0]
    assert [row["state"] for row in found.json["stretches"]] == ["waiting"]


@pytest.fixture
def store(command, on_redis):
    """Puts all that waits of a recording into the bucket, as objects of a minute at most, and settles it."""

    def run(recorded):
        command("buffers", "export", recorded.tag, "bucket")

        async def settle(bus):
            conversation = recorded.conversation
            entries = await bus.read(conversation, count=999)
            cut = Cut(1, str(entries[0].id), str(entries[-1].id), "", "standard", "size")
            assert await bus.cut(conversation, cut, settled=None) == CutStands()
            samples = sum(one.counted_samples for one in entries)
            await bus.finish(
                conversation, cut.encode(), last=cut.last_id, preroll=None, samples=samples, ends={}, now_ms=0
            )

        on_redis(settle)

    return run


def test_objects_that_are_gone_at_the_beginning_and_at_the_end(command, record, store, on_redis, tmp_path):
    recorded = record("talk", 130)
    store(recorded)
    answer = command("where", recorded.tag, "--json")
    whole = answer.json
    assert answer.code == 0
    assert {row["state"] for row in whole["stretches"]} == {"stored"}
    assert (whole["notes"], whole["problems"]) == ([], [])
    first, middle, last = sorted(tmp_path.glob("bucket/chunks/alice/talk/*"))
    last.unlink()
    answer = command("where", recorded.tag, "--json")
    found = answer.json
    assert answer.code == 1
    assert [row["state"] for row in found["stretches"]] == ["stored", "stored", "missing"]
    [*_, tail] = found["stretches"]
    assert tail["end_ms"] == whole["stretches"][-1]["end_ms"]
    assert "the last" in tail["why"]
    assert "objects are gone from it" in found["problems"][0]
    # What was deleted on purpose is told as that.
    on_redis(lambda bus: unstore(bus, recorded.conversation, {f"chunks/alice/talk/{first.name}": 0}, 1))
    first.unlink()
    found = command("where", recorded.tag, "--json").json
    assert [row["state"] for row in found["stretches"]] == ["deleted", "stored", "missing"]
    middle.unlink()
    found = command("where", recorded.tag, "--json").json
    assert [row["state"] for row in found["stretches"]] == ["deleted"]


def test_what_was_merged_or_is_being_merged_says_into_what(command, record, on_redis):
    recorded, target = record("talk", 2), Conversation("alice", "all")
    on_redis(lambda bus: freeze(bus, recorded.conversation, target, "merge-1", "word", until_ms=10**14))
    assert "it goes into alice/all" in command("where", recorded.tag).err
    on_redis(lambda bus: set_tombstone(bus, recorded.conversation, 1_700_000_000_000, merged_into=target))
    found = command("where", recorded.tag)
    assert "it was merged into alice/all" in found.err
    assert "deleted" not in found.err


def test_what_lay_under_a_name_that_was_given_up_is_not_deleted(command, record, store, on_redis, tmp_path):
    recorded = record("talk", 8)
    store(recorded)
    [whole] = tmp_path.glob("bucket/chunks/alice/talk/*")
    path = str(whole.relative_to(tmp_path / "bucket"))
    name = parse_name(path)
    other = dataclasses.replace(name, end_ms=name.end_ms + 1).path

    async def gives_up(bus):
        await bus.command("HSET", bus.keys.conv(recorded.conversation), "cut", b"cut")
        assert await drop_cut(bus, recorded.conversation, b"cut", path, recorded.start_ms)

    on_redis(gives_up)
    whole.rename(tmp_path / "bucket" / other)
    assert [row["state"] for row in command("where", recorded.tag, "--json").json["stretches"]] == ["stored"]
    (tmp_path / "bucket" / other).unlink()
    found = command("where", recorded.tag, "--json")
    assert (found.code, [row["state"] for row in found.json["stretches"]]) == (1, ["missing"])
    # Deleted after all.
    on_redis(lambda bus: unstore(bus, recorded.conversation, {path: 0}, recorded.start_ms))
    found = command("where", recorded.tag, "--json")
    assert [row["state"] for row in found.json["stretches"]] == ["deleted"]


def test_what_was_to_take_the_place_of_another_and_did_not_is_not_deleted(
    command, record, store, on_redis, tmp_path
):
    recorded = record("talk", 8)
    store(recorded)
    [whole] = tmp_path.glob("bucket/chunks/alice/talk/*")
    path = str(whole.relative_to(tmp_path / "bucket"))
    on_redis(lambda bus: withdraw(bus, recorded.conversation, [path], recorded.start_ms))
    whole.unlink()
    found = command("where", recorded.tag, "--json")
    assert (found.code, [row["state"] for row in found.json["stretches"]]) == (1, ["missing"])


def test_a_dead_letter_that_was_dropped_is_deleted(command, record, bury, store):
    recorded = record("talk", 5)
    bury(recorded, 2)
    store(recorded)
    assert command("dead", "drop", recorded.tag, "--yes").code == 0
    rows = command("where", recorded.tag, "--json").json["stretches"]
    assert [(row["state"], row["seconds"]) for row in rows] == [
        ("stored", pytest.approx(1.993, abs=0.002)),
        ("deleted", pytest.approx(1, abs=0.002)),
        ("stored", pytest.approx(2, abs=0.002)),
    ]


def test_a_session_of_which_nothing_is_left(command, record, store, tmp_path):
    recorded = record("talk", 3)
    store(recorded)
    for one in tmp_path.glob("bucket/chunks/alice/talk/*"):
        one.unlink()
    [row] = command("where", recorded.tag, "--json").json["stretches"]
    assert (row["state"], row["first_offset"], row["end_offset"]) == ("missing", 0, 1500)
    assert row["start_ms"] == recorded.start_ms
    assert row["seconds"] == pytest.approx(3 - 312 / 48_000, abs=0.002)


def test_an_address_that_can_be_none_is_wrong_use(command, record):
    recorded = record("talk", 1)
    for environ in ({"TAPEDECK_STORE_URL": "ftp://x"}, {"TAPEDECK_FALLBACK_STORE_URL": "s3://x"}):
        found = command("where", recorded.tag, **environ)
        assert found.code == 2
        assert "the address of the bucket cannot be used" in found.err


def test_nobody_has_recorded_into_it(command):
    found = command("where", "alice/nothing")
    assert (found.code, "a slash" in found.err) == (4, False)
    assert "nobody has recorded" in found.err


def test_that_nobody_will_look_is_said(command, record, on_redis):
    recorded = record("talk", 2)
    on_redis(lambda bus: Hints(bus).due(recorded.conversation, 9_999_999_999_000))
    found = command("where", recorded.tag, "--json").json["stretches"]
    assert all("a pusher looks at it by" in one["why"] for one in found)
    assert all(one["why"].endswith(", but none is at work") for one in found)
