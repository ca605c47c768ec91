"""`tapedeck rm`, `cut` and `merge` where the service fails, is away for a while, or its answer is lost: a stand-in plays that."""

import json
import os
import signal

import pytest
import typer

BASE = "/v1/users/anna/conversations"
DONE = {"deleted_objects": 2, "deleted_seconds": 90.5}
OPERATION = {"id": "op-1", "kind": "merge_conversations", "done": False, "progress": None}
LOOK = "/v1/operations/op-1"


@pytest.fixture
def tapedeck(command, storage_stand_in):
    def run(*words):
        return command(*words, "--user", "anna", "--url", storage_stand_in.url, "--token", "opaque-token")

    return run


def problem(status, code, **headers):
    return status, {"title": "No", "detail": f"told: {code}", "code": code, "request_id": "r-1"}, headers


def test_an_answer_that_was_lost_is_asked_for_again_and_does_no_harm(tapedeck, storage_stand_in):
    storage_stand_in.answers[f"{BASE}/a"] = [(-5, DONE), problem(404, "not_found")]
    storage_stand_in.answers[f"{BASE}/b"] = [(-5, DONE), (200, DONE)]
    code, out, err = tapedeck("rm", "a", "b", "--yes", "--json")
    assert code == 4
    assert "may be gone by an earlier try" in err
    assert [one.get("deleted_objects") for one in json.loads(out)["conversations"]] == [None, 2]


def test_up_to_now_is_not_asked_for_twice(tapedeck, storage_stand_in):
    path = f"{BASE}/a/audio"
    storage_stand_in.answers[path] = [(-5, DONE), (200, DONE)]
    assert tapedeck("cut", "a", "--start", "5", "--yes")[0] == 1
    storage_stand_in.answers[path] = [(-5, DONE), (200, DONE)]
    assert tapedeck("cut", "a", "--start", "5", "--end", "9", "--yes")[:2] == (0, "90.5 s deleted\n")
    assert len([one for one, _ in storage_stand_in.requests if one.startswith("DELETE")]) == 3


def test_rm_stops_where_the_service_fails_and_tells_what_it_did(tapedeck, storage_stand_in):
    storage_stand_in.answers[f"{BASE}/a"] = (200, DONE)
    storage_stand_in.answers[f"{BASE}/b"] = problem(409, "merging")
    storage_stand_in.answers[f"{BASE}/c"] = problem(503, "deleting")
    code, out, err = tapedeck("rm", "a", "none", "b", "c", "d", "e", "--yes")
    assert code == 1
    assert out.split()[3:] == ["a", "2", "90.5"]
    for said in (
        "none: no such thing",
        "b: told: merging",
        "when that merge is done",
        "c: told: deleting",
        "not asked for: d, e",
    ):
        assert said in err
    assert not [one for one, _ in storage_stand_in.requests if one.endswith(("/d", "/e"))]


def test_rm_that_is_broken_off_tells_what_it_did_and_what_it_does_not_know(tapedeck, storage_stand_in):
    for more, read in ((), str.split), (("--json",), json.loads):
        storage_stand_in.answers |= {f"{BASE}/a": (200, DONE), f"{BASE}/b": [(None, None)]}
        storage_stand_in.when_asked[f"{BASE}/b"] = lambda: os.kill(os.getpid(), signal.SIGINT)
        code, out, err = tapedeck("rm", "a", "b", "c", "d", "--yes", *more)
        assert code == 130
        told = read(out)
        if more:
            assert told["deleted_objects"] == 2
            assert [(one["conversation_id"], one.get("code")) for one in told["conversations"]] == [
                ("a", None),
                ("b", "not_known"),
            ]
        else:
            assert told[3:] == ["a", "2", "90.5"]
        assert "b: broken off: it is not known whether it is deleted" in err
        assert "not asked for: c, d" in err


CONVERSATION = {
    "conversation_id": "a",
    "start": "2026-11-21T10:00:00.000Z",
    "end": "2026-11-21T10:05:00.000Z",
}


def test_cut_takes_no_seconds_into_the_conversation_for_a_time(tapedeck, storage_stand_in):
    """`--start 10` is 1970: it would be all of it."""
    storage_stand_in.answers = {f"{BASE}/a": (200, CONVERSATION), f"{BASE}/a/audio": (200, DONE)}
    for words in (["--start", "10"], ["--start", "2026-11-21T09:59:59Z", "--end", "2026-11-21T10:01:00Z"]):
        code, out, err = tapedeck("cut", "a", *words, "--yes")
        assert (code, out) == (2, "")
        assert "before the conversation begins (2026-11-21T10:00:00.000Z)" in err
        assert "leave --start out" in err
    assert not [one for one, _ in storage_stand_in.requests if one.startswith("DELETE")]
    for words in (
        ["--start", "2026-11-21T10:00:00Z"],
        ["--end", "2026-11-21T10:01:00Z"],
        ["--start", "5", "--end", "9"],  # as what was cut from its beginning before: nothing lies there
    ):
        assert tapedeck("cut", "a", *words, "--yes")[0] == 0


def test_cut_takes_the_time_at_which_what_cannot_be_read_is_listed(tapedeck, storage_stand_in):
    """An entry that does not parse, of a session of which nothing else is there: where it lies is a guess, and counts for no beginning."""
    guess = {"timestamp": "1795255100.000", "start": "2026-11-21T09:58:20.000Z"}
    row = {**guess, "end": guess["start"], "duration_ms": 0, "state": "live", "unreadable": "damaged"}
    storage_stand_in.answers = {
        f"{BASE}/a": (200, CONVERSATION),
        f"{BASE}/a/chunks": (200, {"chunks": [row], "gaps": [], "next_page_token": None}),
        f"{BASE}/a/audio": (200, DONE),
    }
    assert tapedeck("cut", "a", "--start", guess["start"], "--yes")[0] == 0
    code, _, err = tapedeck("cut", "a", "--start", "2026-11-21T09:58:19Z", "--yes")
    assert code == 2
    assert "before the conversation begins (2026-11-21T09:58:20.000Z)" in err
    asked = [one for one, _ in storage_stand_in.requests if one.startswith("DELETE")]
    assert len(asked) == 1


def test_cut_says_where_it_cannot_know_what_waits(tapedeck, storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/a": (200, CONVERSATION, {"Tapedeck-Live": "unavailable"})}
    code, _, err = tapedeck("cut", "a", "--start", "2026-11-21T09:59:59Z", "--yes")
    assert code == 2
    assert "may begin earlier: try again" in err
    assert not [one for one, _ in storage_stand_in.requests if one.startswith("DELETE")]


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--start", "1795255320"], "2026-11-21T10:02:00.000Z to its end (3 min 00 s of it)"),
        (["--end", "2026-11-21T11:01:00+01:00"], "its beginning to 2026-11-21T10:01:00.000Z (60.0 s of it)"),
        (
            ["--start", "1795255499", "--end", "1795300000"],
            "2026-11-21T10:04:59.000Z to 2026-11-21T22:26:40.000Z (1.000 s of it)",
        ),
    ],
)
def test_cut_asks_with_times_and_how_much_goes(tapedeck, storage_stand_in, monkeypatch, words, asked):
    storage_stand_in.answers = {f"{BASE}/a": (200, CONVERSATION)}
    questions = []

    def confirm(question, *, yes):
        questions.append(question)
        raise typer.Abort

    monkeypatch.setattr("tapedeck.commands.cut.confirm", confirm)
    assert tapedeck("cut", "a", *words)[0] == 1
    assert questions == [f"Cut {asked} out of a of anna for good?"]


@pytest.mark.parametrize(
    ("code", "next_step"), [("dead_letters", "tapedeck dead list"), ("merging", "ask again"), ("odd", "")]
)
def test_a_merge_that_fails_says_why_and_what_to_do(tapedeck, storage_stand_in, code, next_step):
    failed = OPERATION | {"done": True, "error": {"code": code, "detail": f"told: {code}"}}
    storage_stand_in.answers = {f"{BASE}:merge": (202, OPERATION), LOOK: (200, failed)}
    found, out, err = tapedeck("merge", "a", "--into", "b", "--yes")
    assert (found, out) == (1, "")
    assert f"told: {code}" in err
    assert next_step in err
    found, out, _ = tapedeck("merge", "a", "--into", "b", "--yes", "--json")
    assert (found, json.loads(out)["error"]["code"]) == (1, code)


def test_a_merge_waits_while_the_service_is_away(tapedeck, storage_stand_in):
    done = OPERATION | {"done": True, "result": {"sources": 2, "objects": 3}}
    looks = [problem(503, "unavailable"), problem(503, "unavailable"), (200, OPERATION), (200, done)]
    storage_stand_in.answers = {f"{BASE}:merge": (202, OPERATION), LOOK: looks}
    said = "2 conversations with 3 objects merged into b\n"
    assert tapedeck("merge", "a", "c", "--into", "b", "--yes") == (0, said, "")
    asked = json.loads(storage_stand_in.bodies[0])
    assert asked == {"sources": ["a", "c"], "target": "b", "delete_sources": True}


def test_what_is_not_done_in_time_says_what_its_last_try_failed_of(tapedeck, storage_stand_in):
    stuck = OPERATION | {"error": {"code": "store_unavailable", "detail": "the bucket is away"}}
    storage_stand_in.answers = {f"{BASE}:merge": (202, OPERATION), LOOK: (200, stuck)}
    code, out, err = tapedeck("merge", "a", "--into", "b", "--yes", "--timeout", "0.01")
    assert (code, out) == (1, "")
    assert "its last try failed: the bucket is away; the same command again waits for its end" in err


def test_everything_of_a_user_tells_what_was_kept(tapedeck, storage_stand_in):
    result = {"deleted_objects": 1, "deleted_seconds": 12.5, "kept_objects": 2, "kept_dead_letters": 0}
    done = OPERATION | {"kind": "delete_user_audio", "done": True, "result": result}
    storage_stand_in.answers = {"/v1/users/anna/audio": (202, done), LOOK: (200, done)}
    code, out, err = tapedeck("rm", "--all-of-user", "--yes")
    assert (code, err) == (0, "")
    assert out.startswith("1 object, 12.5 s deleted; 2 objects kept, which nobody can read")
    assert "dead letters" not in out
