"""`tapedeck dead` over a real Redis, while no service runs."""

import json

import msgspec
import pytest

from audiobus import dead_letters
from audiobus.census import exact
from audiostore.key_ring import KeyRing
from audiostore.sealing import open_sealed

KEY = "k1:MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="


@pytest.fixture
def letters(record, bury):
    """Six seconds, of which the second and the fifth are dead letters; the fifth does not parse."""
    recorded = record("talk", 6, spoilt=(4,))
    bury(recorded, 1)
    bury(recorded, 4, reason="chunk entry: version 2 is unknown to this build")
    return recorded


def ids(letters):
    return [str(letters.ids[second]) for second in (1, 4)]


def test_what_there_is(command, letters, record, bury):
    other = record("other", 1)
    bury(other, 0)
    found = command("dead", "list", "--json")
    rows = found.json["dead_letters"]
    assert [(row["conversation"], row["id"]) for row in rows] == [
        (other.tag, str(other.ids[0])),
        (letters.tag, ids(letters)[0]),
        (letters.tag, ids(letters)[1]),
    ]
    assert [row["parses"] for row in rows] == [True, True, False]
    assert rows[1]["buried_at"] == "2023-11-14T22:13:20.000Z"
    table = command("dead", "list", letters.tag)
    assert table.out.splitlines()[0].split() == ["conversation", "id", "seconds", "since", "reason"]
    assert "version 2 is unknown" in table.out
    assert other.tag not in table.out


def test_all_that_is_known_of_one(command, letters):
    shown = command("dead", "show", letters.tag, ids(letters)[0])
    assert shown.code == 0
    assert "readable now  yes: try it again" in shown.out
    assert "1.000 s" in shown.out
    assert len(command("dead", "show", letters.tag, "--json").json["dead_letters"]) == 2


def test_a_letter_that_is_not_there(command, letters, tmp_path):
    for arguments in (
        ("show", letters.tag, "1-1"),
        ("show", "alice/other"),
        ("retry", letters.tag, ids(letters)[0], "1-1"),
        ("retry", "alice/other"),
        ("drop", letters.tag, "1-1", "--yes"),
        ("drop", "alice/other", "--yes"),
        ("export", letters.tag, "out", "1-1"),
        ("export", letters.tag, "out", "--", "--all"),
        ("export", "alice/other", "out"),
    ):
        missing = command("dead", *arguments)
        assert missing.code == 4, arguments
        assert "`tapedeck dead list` shows" in missing.err
    assert not (tmp_path / "out").exists()


def test_a_conversation_that_nobody_knows(command):
    found = command("dead", "list", "alice/nobody")
    assert found.code == 4
    assert "nobody has recorded" in found.err


def test_nothing_is_there(command, record):
    record("talk", 1)
    assert command("dead", "list", "alice/talk").code == 0
    assert command("dead", "list").code == 0
    assert "no dead letters" in command("dead", "list").err
    assert command("dead", "retry", "--all", "--json").json["asked"] == 0


def test_a_try_that_nobody_follows_is_asked_for_and_stands(command, letters, on_redis):
    found = command("dead", "retry", letters.tag, ids(letters)[0], "--timeout", "0.3")
    assert found.code == 1
    assert "1 wait still" in found.err
    assert found.out == "0 stored, 0 failed\n"
    [marked] = on_redis(lambda bus: dead_letters.marked(bus, letters.conversation, 9))
    assert str(marked.entry.id) == ids(letters)[0]
    assert "another try is asked for" in command("dead", "list").out
    for wrong in (("retry",), ("retry", "--all", letters.tag)):
        answer = command("dead", *wrong)
        assert answer.code == 2
        assert "which letters" in answer.err


def test_an_export_writes_letters_as_they_lie_there_and_as_audio(command, letters, on_redis, tmp_path):
    before = on_redis(lambda bus: exact(bus, letters.conversation))
    found = command("dead", "export", letters.tag, "out", "--json")
    assert found.code == 0
    [row] = found.json["conversations"]
    assert (row["letters"], row["objects"], row["seconds"]) == (2, 1, 1)
    folder = tmp_path / "out" / "dead" / "alice" / "talk"
    about = json.loads((folder / f"{ids(letters)[1]}.json").read_text())
    assert about["reason"] == "chunk entry: version 2 is unknown to this build"
    fields = msgspec.msgpack.decode((folder / f"{ids(letters)[1]}.msgpack").read_bytes())
    assert fields[b"c"][1:2] == b"\x02"
    assert len(list((tmp_path / "out" / "chunks" / "alice" / "talk").iterdir())) == 1
    assert on_redis(lambda bus: exact(bus, letters.conversation)) == before
    one = command("dead", "export", letters.tag, "one", ids(letters)[1], "--json").json["conversations"][0]
    assert (one["letters"], one["objects"]) == (1, 0)


def test_an_export_of_letters_seals_them(command, letters, on_redis, tmp_path):
    on_redis(lambda bus: bus.command("HSET", bus.keys.user("alice"), "protection", "enhanced"))
    assert command("dead", "export", letters.tag, "out").code == 1
    assert not list(tmp_path.glob("out/**/*.msgpack"))
    assert command("dead", "export", letters.tag, "out", TAPEDECK_ENCRYPTION_KEYS=KEY).code == 0
    [sealed] = tmp_path.glob(f"out/dead/**/{ids(letters)[1]}.enc")
    plain = msgspec.msgpack.decode(open_sealed(sealed.read_bytes(), KeyRing.parse(KEY), "alice"))
    assert plain[b"c"][1:2] == b"\x02"
    assert not list(tmp_path.glob("out/**/*.msgpack"))


def test_an_export_of_letters_finds_the_key_that_up_made(
    command, letters, on_redis, tmp_path, ready_with_key
):
    on_redis(lambda bus: bus.command("HSET", bus.keys.user("alice"), "protection", "enhanced"))
    ready_with_key(KEY)
    assert command("dead", "export", letters.tag, "out").code == 0
    [sealed] = tmp_path.glob(f"out/dead/**/{ids(letters)[1]}.enc")
    assert open_sealed(sealed.read_bytes(), KeyRing.parse(KEY), "alice")


def test_letters_are_dropped_when_that_is_confirmed(command, letters, on_redis, monkeypatch):
    answer = command("dead", "drop", letters.tag)
    assert answer.code == 2  # nobody said yes
    assert (on_redis(lambda bus: exact(bus, letters.conversation))).deleted == 0
    dropped = command("dead", "drop", letters.tag, ids(letters)[0], "--yes", "--json")
    assert dropped.json == {"dropped": 1, "seconds": 1.0}
    balance = on_redis(lambda bus: exact(bus, letters.conversation))
    assert (balance.difference, balance.deleted, balance.dead) == (0, 48_000, 48_000)
    assert command("dead", "drop", letters.tag, "--yes").code == 0
    assert "no dead letters" in command("dead", "list").err


def test_what_is_no_letter_stops_no_other(command, letters, record, bury, on_redis):
    other = record("other", 2)
    bury(other, 0)
    first, last = ids(letters)
    key = on_redis(lambda bus: _key(bus, letters.conversation))
    # One of ours is damaged, and somebody put another field beside it.
    on_redis(lambda bus: bus.command("HSET", key, first, "\xc1", "rubbish", "x"))
    found = command("dead", "list", "--json")
    assert [row["is_letter"] for row in found.json["dead_letters"]] == [True, False, True, False]
    assert "rubbish" in command("dead", "list").out
    assert "it is no dead letter" in command("dead", "show", letters.tag, "rubbish").out
    tried = command("dead", "retry", "--all", "--timeout", "0.1", "--json")
    assert tried.code == 1
    assert tried.json["asked"] == 2
    assert len(tried.json["not_asked"]) == 2
    assert "not tried: alice/talk rubbish" in command("dead", "retry", "--all", "--timeout", "0.1").err
    exported = command("dead", "export", letters.tag, "out", "--json")
    assert exported.code == 1
    assert exported.json["conversations"][0]["letters"] == 1
    assert "is no dead letter" in exported.json["conversations"][0]["problem"]
    # Beside a damaged one of its session nobody can tell where `stored` goes on.
    refused = command("dead", "drop", letters.tag, last, "--yes")
    assert refused.code == 1
    assert "delete that first" in refused.err
    assert command("dead", "drop", letters.tag, "rubbish", "--yes", "--json").json == {
        "dropped": 1,
        "seconds": 0,
    }
    assert command("dead", "drop", letters.tag, first, "--yes", "--json").json == {"dropped": 1, "seconds": 1}
    balance = on_redis(lambda bus: exact(bus, letters.conversation))
    assert (balance.difference, balance.deleted, balance.dead) == (0, 48_000, 48_000)
    standing = on_redis(lambda bus: bus.stored(letters.conversation, letters.epoch))
    assert standing.dead_offset == 2000
    on_redis(lambda bus: bus.command("HSET", key, "9-9", "x"))
    assert command("dead", "drop", letters.tag, "--yes").code == 0
    assert on_redis(lambda bus: exact(bus, letters.conversation)).difference == 0


async def _key(bus, conversation):
    return bus.keys.dead(conversation)


def test_a_field_whose_name_is_no_text_can_be_dropped(command, letters, on_redis):
    key = on_redis(lambda bus: _key(bus, letters.conversation))
    on_redis(lambda bus: bus.command("HSET", key, b"\xff\xfe", "x"))
    name = "\\xff\\xfe"
    assert [row["id"] for row in command("dead", "list", "--json").json["dead_letters"]] == [
        *ids(letters),
        name,
    ]
    assert command("doctor", "--json").code == 1
    assert name in command("dead", "retry", letters.tag, "--timeout", "0.1").err
    dropped = command("dead", "drop", letters.tag, name, "--yes", "--json")
    assert dropped.json == {"dropped": 1, "seconds": 0}
    assert on_redis(lambda bus: exact(bus, letters.conversation)).difference == 0
