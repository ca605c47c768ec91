"""`tapedeck doctor` over a real Redis and real folders."""

import contextlib

import pytest
import redis

from audiobus import Hints, failures
from audiobus.keys import GROUP
from tapedeck.operators.doctor_local import readiness
from tapedeck.operators.findings import clocks
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.replica_pair import replica_group


@pytest.fixture
def own(command, redis_process):
    """The doctor on a Redis of the test's own, as it should be set up."""

    def run(*arguments, **environ):
        return command("doctor", *arguments, TAPEDECK_REDIS_URL=redis_process.url, **environ)

    return run


def levels(answer):
    """Check to (level, text) of everything that is not well."""
    return {
        one["check"]: (one["level"], one["text"]) for one in answer.json["findings"] if one["level"] != "ok"
    }


@pytest.fixture
def pusher(redis_url, prefix):
    """Somebody who waits for hints, as a pusher does."""
    with redis.Redis.from_url(redis_url, single_connection_client=True) as client:
        with contextlib.suppress(redis.ResponseError):
            client.execute_command("XREADGROUP", "GROUP", "none", "x", "STREAMS", f"{prefix}no", ">")
        yield


def test_all_is_well(command, record, pusher, tmp_path):
    record("talk", 3)
    found = command("doctor", "--json")
    wrong = {check: told for check, told in levels(found).items() if told[0] == "wrong"}
    # What the Redis at hand is set up like is not this test's business.
    assert set(wrong) <= {"redis settings"}
    checks = {one["check"] for one in found.json["findings"]}
    assert {
        "libopus",
        "bucket",
        "bucket clock",
        "redis",
        "redis clock",
        "pushers",
        "due",
        "keys",
        "books",
    } <= checks
    assert found.json["conversations"] == 1
    assert found.json["books"]["received"] == found.json["books"]["waiting"]
    assert found.json["unbalanced"] == []
    assert list((tmp_path / "bucket").rglob("*.probe")) == []


def test_what_pushers_leave_undone(command, record, bury, on_redis):
    old = record("old", 3, age_s=900)
    bury(old, 1)
    on_redis(lambda bus: failures.note(bus, old.conversation, "the bucket is away", 0))
    on_redis(lambda bus: Hints(bus).push_due(old.conversation, 1))

    async def poison(bus):
        hints = Hints(bus)
        await hints.make_group(0)
        await hints.ready(old.conversation, "x")
        await bus.command("XREADGROUP", "GROUP", GROUP, "one", "STREAMS", bus.keys.ready(0), ">")
        for _ in range(5):
            await hints.claim(0, "one", idle_ms=0, count=9)

    on_redis(poison)
    found = command("doctor", "--json")
    assert found.code == 1
    told = levels(found)
    assert "alice/old (once): the bucket is away" in told["failures"][1]
    assert told["dead letters"] == ("wrong", "1 in 1 conversation")
    assert told["due"][0] == told["oldest audio"][0] == told["hints"][0] == "wrong"
    assert all(one["hint"] for one in found.json["findings"] if one["level"] == "wrong")
    table = command("doctor")
    assert "WRONG  dead letters" in table.out
    assert "dead letters: `tapedeck dead list` says why" in table.err


def test_a_prefix_under_which_nothing_lies(command, record):
    record("talk", 2)
    assert "redis keys" not in levels(command("doctor", "--json"))
    level, text = levels(command("doctor", "--json", TAPEDECK_REDIS_PREFIX="mistyped:"))["redis keys"]
    assert level == "note"
    assert "prefix mistyped:) holds nothing of Tapedeck" in text


def test_a_long_reason_is_whole_in_the_json_alone(command, record, on_redis):
    why = "the bucket is away: " + "very " * 60 + "far"
    old = record("old", 3)
    on_redis(lambda bus: failures.note(bus, old.conversation, why, 0))
    noted = command("buffers", "list", "--json").json["buffers"][0]["why"]
    assert len(noted) > 150
    for words in (("buffers", "list"), ("doctor", "--no-books")):
        out = command(*words).out
        assert noted not in out
        assert "the bucket is away" in out
        assert max(map(len, out.splitlines())) < 200
    assert noted in levels(command("doctor", "--no-books", "--json"))["failures"][1]


def test_books_that_do_not_close_are_named(command, record, on_redis):
    off, broken = record("off", 2), record("broken", 2)
    record("fine", 2)
    on_redis(lambda bus: bus.command("HINCRBY", bus.keys.conv(off.conversation), "out", 48_000))
    on_redis(lambda bus: bus.command("HSET", bus.keys.dead(broken.conversation), "x", "y"))
    found = command("doctor", "--json")
    assert found.code == 1
    rows = {one["conversation"]: one for one in found.json["unbalanced"]}
    assert set(rows) == {off.tag, broken.tag}
    assert rows[off.tag]["difference"] == -1
    assert "dead letter" in rows[broken.tag]["why"]
    assert "off: alice/off by -1.000000 s" in command("doctor").err
    left_out = command("doctor", "--no-books", "--json").json
    assert "books" not in {one["check"] for one in left_out["findings"]}
    assert (left_out["books"], left_out["conversations"], left_out["unbalanced"]) == (None, None, [])
    assert "received =" not in command("doctor", "--no-books").out


def test_a_redis_that_is_set_up_wrong(own, redis_process):
    def config(*words):
        with redis.Redis.from_url(redis_process.url) as client:
            client.config_set(*words)

    config("maxmemory-policy", "allkeys-lru")
    config("appendonly", "no")
    found = own("--json", TAPEDECK_REDIS_WAIT_REPLICAS="1")
    told = [one["text"] for one in found.json["findings"] if one["level"] == "wrong"]
    assert any("allkeys-lru" in text for text in told)
    assert any("appendonly is no" in text for text in told)
    assert any("0 replicas are connected" in text for text in told)
    config("maxmemory-policy", "noeviction")
    config("appendonly", "yes")
    config("maxmemory", "1mb")
    assert "of maxmemory is taken" in levels(own("--json"))["redis memory"][1]


def test_replicas_that_are_not_waited_for(command, tmp_path):
    with replica_group(any_server(), tmp_path / "redis", replicas=2) as [master, *_]:
        for waited_for, level in enumerate(("ok", "note", "ok", "wrong")):
            settings = {"TAPEDECK_REDIS_URL": master.url, "TAPEDECK_REDIS_WAIT_REPLICAS": str(waited_for)}
            found = command("doctor", "--json", **settings).json["findings"]
            [told] = [one for one in found if one["check"] == "replicas"]
            assert (told["level"], told["text"][0]) == (level, "2")


class TestOnACluster:
    """Each command at least once where keys lie on three masters."""

    @pytest.fixture
    def redis_url(self, redis_cluster_url):
        return redis_cluster_url

    def test_every_command_finds_its_way(self, command, record, bury, on_redis):
        for number in range(6):
            recorded = record(f"talk{number}", 3)
        bury(recorded, 1)
        assert len(command("buffers", "list", "--json").json["buffers"]) == 6
        assert len(command("buffers", "export-all", "out", "--json").json["conversations"]) == 6
        assert len(command("dead", "list", "--json").json["dead_letters"]) == 1
        assert command("dead", "retry", "--all", "--timeout", "0.2", "--json").json["waiting"] == 1
        assert command("buffers", "flush-all", "--timeout", "0.2", "--json").json["conversations"] == 6
        states = [row["state"] for row in command("where", recorded.tag, "--json").json["stretches"]]
        assert states == ["waiting", "dead", "waiting"]
        found = command("doctor", "--json")
        assert found.json["conversations"] == 6
        told = levels(found)
        assert told["pushers"] == ("wrong", "none is at work: nothing is stored")
        assert "redis clock" not in told
        assert command("dead", "drop", recorded.tag, "--yes").code == 0


def test_a_high_water_mark_that_is_none(command):
    told = levels(command("doctor", "--no-books", "--json", TAPEDECK_REDIS_HIGH_WATER="abc"))
    assert told["settings"][0] == "wrong"
    assert "TAPEDECK_REDIS_HIGH_WATER must be a number" in told["settings"][1]
    assert "redis memory" in told


def test_every_mistake_in_the_settings_is_named(command):
    wrong = {"TAPEDECK_BATCH_SECONDS": "600", "TAPEDECK_IDLE_SECONDS": "abc", "TAPEDECK_MAX_SOCKETS": "-1"}
    found = command("doctor", "--no-books", "--json", **wrong)
    told = [one["text"] for one in found.json["findings"] if one["check"] == "settings"]
    assert len(told) == 3
    for name in wrong:
        assert any(text.startswith(name) for text in told)
    # What is not set here the services may have from elsewhere.
    assert not any("must be set" in text for text in told)
    assert found.code == 1
    fine = command("doctor", "--no-books", "--json", TAPEDECK_BATCH_SECONDS="30").json["findings"]
    [settings] = [one for one in fine if one["check"] == "settings"]
    assert settings["level"] == "ok"


def test_redis_is_away_and_the_rest_is_looked_at(command):
    found = command("doctor", "--json", TAPEDECK_REDIS_URL="redis://127.0.0.1:1/0")
    assert found.code == 1
    told = levels(found)
    assert "does not answer" in told["redis"][1]
    assert "bucket" not in told
    # What nobody could read is not told as nothing.
    assert (found.json["books"], found.json["conversations"]) == (None, None)


def test_buckets_that_cannot_be_used(command, tmp_path):
    found = command("doctor", "--json", TAPEDECK_STORE_URL="ftp://x")
    assert "not known" in levels(found)["bucket"][1]
    same = f"file://{tmp_path}/bucket"
    found = command("doctor", "--json", TAPEDECK_FALLBACK_STORE_URL=same)
    assert "the first one" in levels(found)["second bucket"][1]
    # It makes none: a mistyped address would look well.
    second = tmp_path / "second"
    found = command("doctor", "--json", TAPEDECK_FALLBACK_STORE_URL=f"file://{second}")
    assert levels(found)["second bucket"][0] == "wrong"
    assert "there is no folder" in levels(found)["second bucket"][1]
    assert not second.exists()
    second.mkdir()
    found = command("doctor", "--json", TAPEDECK_FALLBACK_STORE_URL=f"file://{second}")
    assert "second bucket" not in levels(found)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("")
    found = command("doctor", "--json", TAPEDECK_STORE_URL=f"file://{tmp_path}/other")
    assert "holds other files" in levels(found)["bucket"][1]
    assert [one.name for one in (tmp_path / "other").iterdir()] == ["letter.txt"]
    found = command("doctor", "--json", TAPEDECK_STORE_URL="memory:")
    assert "seen from outside" in levels(found)["bucket"][1]


def test_a_missing_key(command, on_redis):
    on_redis(lambda bus: bus.command("HSET", bus.keys.user("alice"), "protection", "enhanced"))
    assert "no key is at hand" in levels(command("doctor", "--json"))["keys"][1]
    key = "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="
    assert "keys" not in levels(command("doctor", "--json", TAPEDECK_ENCRYPTION_KEYS=key))
    assert "cannot be read" in levels(command("doctor", "--json", TAPEDECK_ENCRYPTION_KEYS="k1:x"))["keys"][1]


def test_what_services_say_of_themselves():
    assert readiness("pusher", 200, "[+]redis ok\nready\n").level == "ok"
    two = readiness("pusher", 503, "http://a:\nno answer\nhttp://b:\nno answer\n")
    assert two.text == "not ready: http://a:; no answer; http://b:; no answer"
    warns = readiness("pusher", 200, "[+]redis ok\n[!]keys warning: none\nready\n")
    assert (warns.level, warns.text) == ("note", "ready, but warns: keys warning: none")
    both = "http://1:\n[-]store failed: away\nnot ready\nhttp://2:\n[-]store failed: away\nnot ready\n"
    assert readiness("pusher", 503, both).text == "not ready: store failed: away (said 2 times)"
    assert (
        readiness("pusher", 503, "[-]store failed: away\nnot ready\n").text == "not ready: store failed: away"
    )


def test_clocks():
    assert [clocks("x", ms, "it").level for ms in (0, 1_000, -2_000, 6_000, -6_000)] == [
        "ok",
        "ok",
        "note",
        "wrong",
        "wrong",
    ]
    assert clocks("x", -2_500, "it").text == "it stands 2.500 s behind this machine"
