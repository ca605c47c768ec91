"""`tapedeck rm`, `cut`, `merge`, `usage` and `settings` against the real services."""

import asyncio
import json
import os
import pty
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tapedeck import ListenClient, ListenOptions, StorageClient
from tapedeck.commands.terminal import rfc3339

SECONDS = 2
PCM = bytes(SECONDS * 32_000)


@pytest.fixture
def tapedeck(stack, command, monkeypatch):
    """The command, which finds the system."""
    monkeypatch.setenv("TAPEDECK_READY_FILE", str(stack.ready_file))
    return command


@pytest.fixture
def answered(tapedeck):
    """The same for what goes well: its JSON."""

    def run(*words):
        code, out, err = tapedeck(*words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def client(stack):
    with StorageClient(stack.facts["storage_api"], stack.facts["service_token"]) as client:
        yield client


@pytest.fixture
def record(stack):
    """Records conversations of two seconds, each with an hour of its own; they are stored."""

    def recorded(uid, *conversation_ids):
        async def one(conversation_id, hours):
            url, token = stack.facts["listen"], stack.user_token(uid)
            async with ListenClient(url, token, options=ListenOptions(conversation_id)) as listening:
                await listening.mark(time.time_ns() // 1_000_000 - hours * 3_600_000)
                await listening.send(PCM)
                while not (await listening.finalize()).stored:
                    continue

        async def all_of_them():
            await asyncio.gather(*(one(name, at + 1) for at, name in enumerate(conversation_ids)))

        asyncio.run(all_of_them())

    return recorded


def names(client, uid):
    return sorted(one.conversation_id for one in client.conversations(uid))


def test_rm_deletes_conversations_and_names_those_that_are_not_there(tapedeck, answered, record, client):
    record("rm-1", "a", "b", "c", "d")
    code, out, err = tapedeck("rm", "a", "none", "b", "a", "--user", "rm-1", "--yes", "--json")
    told = json.loads(out)
    assert (code, told["user"], told["deleted_objects"]) == (4, "rm-1", 2)
    assert told["deleted_seconds"] == pytest.approx(2 * SECONDS, abs=0.1)
    assert [(one["conversation_id"], one.get("code")) for one in told["conversations"]] == [
        ("a", None),
        ("none", "not_found"),
        ("b", None),
    ]
    assert "none: " in err
    assert "`tapedeck ls`" in err
    assert names(client, "rm-1") == ["c", "d"]
    code, out, err = tapedeck("rm", "c", "--user", "rm-1", "--yes")
    assert (code, err) == (0, "")
    assert out.split() == ["deleted", "objects", "seconds", "c", "1", "2.0"]
    assert answered("rm", "d", "--user", "rm-1", "--yes")["deleted_objects"] == 1
    assert tapedeck("rm", "c", "--user", "rm-1", "--yes")[0] == 4


def test_rm_takes_chunks_by_their_times(tapedeck, answered, record, client):
    record("rm-2", "a")
    (chunk,) = answered("ls", "a", "--user", "rm-2")["chunks"]
    words = ("rm", "a", "--user", "rm-2", "--yes", "--timestamps", f"1.000,{chunk['timestamp']}")
    assert answered(*words)["deleted_objects"] == 1
    assert answered(*words, "--timestamps", "2.000") == {"deleted_objects": 0, "deleted_seconds": 0}
    assert tapedeck(*words) == (0, "", "there was nothing of that time (any more)\n")
    code, _, err = tapedeck("rm", "a", "--user", "rm-2", "--yes", "--timestamps", "1.000,yesterday")
    assert code == 2
    assert "'yesterday' is no time\n  write 2026-" in err
    assert names(client, "rm-2") == []


def test_nothing_is_deleted_that_nobody_has_confirmed(tapedeck, stack, record, client):
    record("rm-3", "a", "b")
    for words in (
        ["rm", "a"],
        ["cut", "a", "--end", "9"],
        ["rm", "--all-of-user"],
        ["merge", "a", "--into", "b"],
    ):
        code, out, err = tapedeck(*words, "--user", "rm-3")
        assert (code, out) == (2, "")
        assert "--yes" in err
        assert ("--keep-sources" in err) == (words[0] == "merge")

    def on_a_terminal(answer, *words):
        words = [sys.executable, "-m", "tapedeck", *(words or ["rm", "a"]), "--user", "rm-3"]
        process, terminal = pty.fork()
        if process == 0:
            os.execve(words[0], words, {**os.environ, "TAPEDECK_READY_FILE": str(stack.ready_file)})
        said = b""
        while b"[y/N]" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, answer)
        try:
            while part := os.read(terminal, 1000):
                said += part
        except OSError:  # its end is closed: it has ended
            pass
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), said.decode()

    code, said = on_a_terminal(b"n\n")
    assert code == 1
    assert "Delete a of rm-3 for good?" in said
    assert on_a_terminal(b"\x03")[0] == 130
    code, said = on_a_terminal(b"n\n", "merge", "a", "b", "--into", "b")
    assert code == 1
    assert "Merge into b of rm-3, and delete a once all is copied?" in said
    assert names(client, "rm-3") == ["a", "b"]
    assert on_a_terminal(b"y\n")[0] == 0
    assert names(client, "rm-3") == ["b"]


def test_rm_takes_everything_of_a_user_by_an_operation(tapedeck, answered, record, client):
    record("rm-4", "a", "b")
    words = ("rm", "--all-of-user", "--user", "rm-4", "--yes")
    asked = answered(*words, "--no-wait")
    assert (asked["kind"], asked["done"]) == ("delete_user_audio", False)
    while names(client, "rm-4"):
        continue
    code, out, err = tapedeck(*words, "--no-wait")  # as after an answer that was lost
    assert code == 0
    assert out.split()[:3] == ["operation", "kind", "state"]
    assert asked["id"] in out
    assert f"GET /v1/operations/{asked['id']}" in err
    code, out, err = tapedeck(*words, "--timeout", "0.1", "--json")
    assert (code, json.loads(out)["id"]) == (1, asked["id"])
    assert "was not done within 0.1 s" in err
    assert f"GET /v1/operations/{asked['id']}" in err


def test_a_users_own_token_says_whose_everything_is_meant(tapedeck, stack):
    code, _, err = tapedeck("rm", "--all-of-user", "--token", stack.user_token("rm-5"))
    assert code == 2
    assert "nobody has confirmed that" in err


def test_cut_leaves_a_gap(tapedeck, answered, record, client):
    record("cut-1", "a")
    start = client.conversation("cut-1", "a").start
    first, last = rfc3339(start + timedelta(seconds=0.5)), rfc3339(start + timedelta(seconds=1))
    words = ("cut", "a", "--user", "cut-1", "--yes", "--start", first, "--end", last)
    code, out, err = tapedeck(*words)
    # Of a packet that begins or ends beside the stretch nothing can be kept that was in it.
    assert (code, out, err) == (0, "0.520 s deleted\n", "")
    assert [gap.duration_ms for gap in client.gaps("cut-1", "a")] == [520]
    assert answered(*words) == {"deleted_objects": 0, "deleted_seconds": 0}
    open_end = ("cut", "a", "--user", "cut-1", "--yes", "--start", str(start.timestamp() + 1.5))
    assert answered(*open_end)["deleted_seconds"] == pytest.approx(0.5, abs=0.03)
    assert tapedeck("cut", "none", "--user", "cut-1", "--yes", "--end", last)[0] == 4
    code, _, err = tapedeck("cut", "a", "--user", "cut-1", "--yes", "--end", "noon")
    assert code == 2
    assert "'noon' is no time" in err


def test_merge_makes_one_of_several(tapedeck, answered, record, client):
    record("merge-1", "a", "b", "c")
    words = ("merge", "a", "b", "--into", "all", "--user", "merge-1", "--yes")
    done = answered(*words)
    assert (done["kind"], done["done"], done["error"]) == ("merge_conversations", True, None)
    assert done["result"] == {"sources": 2, "objects": 2}
    assert answered(*words)["id"] == done["id"]
    assert names(client, "merge-1") == ["all", "c"]
    kept = answered("merge", "c", "--into", "all", "--keep-sources", "--no-wait", "--user", "merge-1")
    assert kept["id"] != done["id"]
    code, out, err = tapedeck("merge", "c", "--into", "all", "--keep-sources", "--user", "merge-1")
    assert (code, out, err) == (0, "1 conversation with 1 object merged into all\n", "")
    assert names(client, "merge-1") == ["all", "c"]
    assert client.conversation("merge-1", "all").recorded_seconds == pytest.approx(3 * SECONDS, abs=0.1)
    assert answered("merge", "c", "all", "--into", "all", "--user", "merge-1", "--yes")["done"]
    assert answered("merge", "all", "--into", "all", "--user", "merge-1")["done"]  # nothing goes
    code, _, err = tapedeck("merge", "none", "--into", "all", "--user", "merge-1", "--yes")
    assert code == 4
    assert "`tapedeck ls`" in err


def test_usage_by_day(tapedeck, answered, record):
    record("usage-1", "a")
    today = datetime.now(UTC).date()
    found = answered("usage", "--user", "usage-1", "--from", str(today - timedelta(days=3)))
    assert [day["day"] for day in found["days"][:3]] == [
        str(today - timedelta(days=3)),
        str(today - timedelta(days=2)),
        str(today - timedelta(days=1)),
    ]
    assert sum(day["ms"] or 0 for day in found["days"]) == SECONDS * 1000
    code, out, err = tapedeck("usage", "--user", "usage-1", "--to", str(today))
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["day", "seconds"]
    assert lines[2] == [str(today), "2.0"]
    assert out.splitlines()[-1] == "daily limit: none"
    assert tapedeck("usage", "--from", "yesterday")[0] == 2
    code, _, err = tapedeck("usage", "--from", str(today), "--to", str(today - timedelta(days=1)))
    assert code == 2
    assert "must not be after to" in err


def test_settings_are_shown_and_changed_under_the_names_of_the_api(tapedeck, answered, stack):
    user = ("--user", "set-1")
    usual = {"protection": "standard", "store_audio": True, "daily_limit_ms": 0}
    assert answered("settings", *user) == usual
    changed = usual | {"protection": "enhanced", "store_audio": False, "daily_limit_ms": 1500}
    pairs = [f"{name}={json.dumps(value).strip(chr(34))}" for name, value in changed.items()]
    assert answered("settings", "set", *pairs, *user) == changed
    assert answered("settings", *user) == changed
    assert answered("settings", *user, "set", "daily_limit_ms=null") == changed | {"daily_limit_ms": 0}
    code, out, err = tapedeck("settings", "set", "store_audio=true", *user)
    assert (code, err) == (0, "")
    assert out.split() == [
        "setting",
        "value",
        "protection",
        "enhanced",
        "store_audio",
        "true",
        "daily_limit_ms",
        "0",
    ]
    for pair, said in (
        ("colour=red", "there is no setting 'colour'\n  there are protection, store_audio, daily_limit_ms"),
        ("protection=iron", "protection cannot be 'iron'\n  it is standard or enhanced: protection=enhanced"),
        ("protection=null", "it is standard or enhanced"),
        ("store_audio=yes", "it is true or false"),
        ("store_audio=1", "it is true or false"),
        ("daily_limit_ms=abc", "daily_limit_ms cannot be 'abc'\n  it is ms of audio a UTC day"),
        ("daily_limit_ms=-1", "it is ms of audio"),
        ("daily_limit_ms=1e400", "it is ms of audio"),
        ("daily_limit_ms=true", "it is ms of audio"),
        (f"daily_limit_ms={2**53}", "it is ms of audio"),
        (f"daily_limit_ms={'9' * 9999}", "it is ms of audio"),
    ):
        code, out, err = tapedeck("settings", "set", pair, *user)
        assert (code, out) == (2, ""), pair
        assert said in err
    assert answered("settings", "set", f"daily_limit_ms={2**53 - 1}", *user)["daily_limit_ms"] == 2**53 - 1
    assert answered("settings", *user)["protection"] == "enhanced"
    code, _, err = tapedeck("settings", "set", "store_audio=false", "--token", stack.user_token("set-1"))
    assert code == 1
    assert "this token may not do that" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rm"], "--all-of-user"),
        (["rm", "a", "--all-of-user"], "takes no conversations"),
        (["rm", "--all-of-user", "--timestamps", "1"], "takes no conversations"),
        (["rm", "--all-of-user", "--user", ""], "--user is empty"),
        (["rm", "--all-of-user"], "name the user with --user"),
        (["rm", "--all-of-user", "--token", "opaque"], "name the user with --user"),
        (["rm", "a", "b", "--timestamps", "1"], "the one conversation"),
        (["get", "a", "--start", "foo"], "'foo' is no time"),
        (["get", "a", "--end", ""], "'' is no time"),
        (["get", ""], "an empty name names nothing"),
        (["get", "anna/a"], "a --user anna"),
        (["rm", "a", "--timestamps", "1,foo"], "'foo' is no time"),
        (["rm", "a", "--timestamps", " ,"], "--timestamps needs times"),
        (["rm", "a", "--no-wait"], "belong to --all-of-user"),
        (["rm", "a", "--timeout", "5"], "belong to --all-of-user"),
        (["rm", "anna/a"], "a --user anna"),
        (["cut", "a"], "`tapedeck rm a`"),
        (["cut", "a", "--start", "", "--end", "9"], "a time is empty"),
        (["cut", "a", "--start", "9", "--end", ""], "a time is empty"),
        (["cut", "anna/a", "--start", "0"], "a --user anna"),
        (["merge", "a", "--into", "anna/b"], "b --user anna"),
        (["merge", "a"], "--into"),
        (["settings", "protection=enhanced"], "settings set NAME=VALUE"),
        (["settings", "set"], "settings set NAME=VALUE"),
        (["settings", "set", "protection"], "is no NAME=VALUE"),
        (["settings", "set", "store_audio=true", "store_audio=false"], "store_audio is given twice"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(
    tapedeck, words, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, err = tapedeck(*words, *(["--yes"] if words[0] in ("rm", "cut") else []))
    assert (code, out) == (2, "")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_without_a_system(tapedeck, monkeypatch):
    monkeypatch.setenv("TAPEDECK_READY_FILE", "nowhere.json")
    for words in (["rm", "a", "--yes"], ["cut", "a", "--end", "9", "--yes"], ["merge", "a", "--into", "b"]):
        assert tapedeck(*words)[0] == 3
    assert [tapedeck("usage")[0], tapedeck("settings")[0]] == [3, 3]
