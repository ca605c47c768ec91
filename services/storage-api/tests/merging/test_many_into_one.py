"""`POST …/conversations:merge`: what is checked before anything changes, and that the same request is the same operation."""

import json
import logging

import msgspec
import pytest

from audiobus import Conversation
from audiobus.deletions import set_tombstone
from audiobus.merging import freeze
from servicekit.problem import ProblemError
from storage_api.merging.many_into_one import MOST_UNDONE
from storage_api.wire_merging import MAX_SOURCES

T0 = 1_700_000_000_000
A, B, ALL = (Conversation("user-1", cid) for cid in ("a", "b", "all"))


@pytest.fixture
def ask(api):
    async def post(sources, target="all", *, uid="user-1", token="all-token", **more):
        body = {"sources": sources, "target": target, "delete_sources": True} | more
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/v1/users/{uid}/conversations:merge"
        return await api.http.post(path, content=json.dumps(body), headers=headers)

    return post


def told(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def keys_of(bus) -> dict[bytes, bytes]:
    """Everything under the prefix that a merge may change."""
    found = {}
    for key in await bus.command("KEYS", bus.keys.prefix + "*"):
        if b"{user-1/" in key or b":op" in key:
            found[key] = await bus.command("DUMP", key)
    return found


async def test_it_is_begun_carried_out_and_told_of(api, ask, merging, recorded, caplog):
    await recorded("a", T0)
    caplog.set_level(logging.INFO)
    answer = await ask(["a", "a"], token=api.token("user-1"))
    assert answer.status_code == 202
    begun = answer.json()
    assert (begun["kind"], begun["done"]) == ("merge_conversations", False)
    assert answer.headers["location"] == f"/v1/operations/{begun['id']}"
    assert answer.headers["cache-control"] == "private, no-store"
    [line] = [one for one in caplog.records if one.msg == "merge begun"]
    assert (line.audit, line.conversation_id, line.operation_id) == (True, "all", begun["id"])
    assert (line.sources, line.delete_sources) == (["a"], True)
    assert api.services.operation_begun.is_set()
    await merging.turn(begun["id"])
    headers = {"Authorization": f"Bearer {api.token('user-1')}"}
    done = (await api.http.get(answer.headers["location"], headers=headers)).json()
    assert (done["done"], done["result"], done["error"]) == (True, {"sources": 1, "objects": 1}, None)
    assert done["progress"] == {"sources": 1, "sources_copied": 1, "sources_done": 1, "objects": 1}


@pytest.mark.parametrize("token", ["user", "writer"])
async def test_whoever_began_it_its_user_is_told_of_it_and_no_other(api, ask, recorded, token):
    """A service acts for any user, so who began it is not asked."""
    await recorded("a", T0)
    answer = await ask(["a"], token=api.token("user-1") if token == "user" else "write-token")
    told_of = {}
    for who in (api.token("user-1"), "read-token", "write-token", api.token("user-2")):
        headers = {"Authorization": f"Bearer {who}"}
        told_of[who] = (await api.http.get(answer.headers["location"], headers=headers)).status_code
    assert [*told_of.values()] == [200, 200, 200, 404]


async def test_the_same_request_is_the_same_operation_while_it_runs_and_after(ask, merging, recorded):
    await recorded("a", T0)
    await recorded("b", T0)
    first = (await ask(["a", "b", "all", "a"])).status_code, (await ask(["b", "a"])).json()["id"]
    assert first[0] == 404  # the target is no conversation yet
    again = (await ask(["a", "b"])).json()
    assert (again["id"], again["done"]) == (first[1], False)
    done = await merging.turn(again["id"])
    for _ in range(2):
        after = (await ask(["b", "a", "b"])).json()
        assert (after["id"], after["done"]) == (again["id"], True)
        assert after["result"] == msgspec.json.decode(done.result)
    # Others are others.
    assert (await ask(["a", "b"], "b-all")).status_code == 404
    assert (await ask(["a", "b"], delete_sources=False)).status_code == 404


async def test_what_failed_or_leaves_the_sources_is_done_anew(ask, merging, recorded, one_bus):
    await recorded("a", T0)
    begun = (await ask(["a"], delete_sources=False)).json()
    await merging.turn(begun["id"])
    again = (await ask(["a"], delete_sources=False)).json()
    assert (again["id"], again["done"], again["result"]) == (begun["id"], False, None)
    assert told(await ask(["a"], "b")) == (409, "merging")
    await merging.turn(begun["id"])
    failing = (await ask(["a"], "b")).json()
    await one_bus.command("HSET", one_bus.keys.dead(A), "1-1", "letter")
    assert msgspec.json.decode((await merging.turn(failing["id"])).error)["code"] == "dead_letters"
    assert told(await ask(["a"], "b")) == (409, "dead_letters")
    await one_bus.command("DEL", one_bus.keys.dead(A))
    again = (await ask(["a"], "b")).json()
    assert (again["id"], again["done"], again["error"]) == (failing["id"], False, None)
    assert (await merging.turn(failing["id"])).result


async def test_what_went_there_after_its_operation_was_forgotten_is_known(ask, merging, recorded, one_bus):
    await recorded("a", T0)
    begun = (await ask(["a"])).json()["id"]
    await merging.turn(begun)
    await one_bus.command("DEL", one_bus.keys.operation(begun))
    again = await ask(["a"])
    assert (again.status_code, again.json()["id"]) == (202, begun)
    assert (await merging.turn(begun)).done


async def test_an_unknown_or_deleted_source_changes_nothing(ask, recorded, one_bus):
    await recorded("a", T0)
    await recorded("gone", T0)
    await recorded("merged", T0)
    await set_tombstone(one_bus, Conversation("user-1", "gone"), 1)
    await set_tombstone(one_bus, Conversation("user-1", "merged"), 1, merged_into=B)
    before = await keys_of(one_bus)
    for cid in ("nobody", "gone", "merged"):
        assert told(await ask(["a", cid])) == (404, "not_found")
    assert told(await ask(["a"], "gone")) == (404, "not_found")
    assert told(await ask(["a", "a"], uid="user-2")) == (404, "not_found")
    assert await keys_of(one_bus) == before


async def test_what_another_merge_holds_is_409(ask, recorded, one_bus, merging):
    await recorded("a", T0)
    await recorded("b", T0)
    other = await merging.begin(["a"], "other")
    await freeze(one_bus, A, Conversation("user-1", "other"), other, "word", until_ms=10**14)
    assert told(await ask(["a", "b"])) == (409, "merging")
    assert told(await ask(["b"], "a")) == (409, "merging")
    # One that is over, or lost, holds nothing.
    await one_bus.command("DEL", one_bus.keys.operation(other))
    assert (await ask(["a", "b"])).status_code == 202


async def test_a_conversation_that_a_merge_holds_is_not_deleted(
    api, ask, merging, recorded, one_bus, monkeypatch
):
    monkeypatch.setattr("storage_api.merging.draining.TURN_S", 0.05)
    await recorded("a", T0, store=False)
    await recorded("all", T0)
    begun = (await ask(["a"])).json()["id"]
    await merging.turn(begun)
    headers = {"Authorization": "Bearer all-token"}
    for one in (A, ALL):
        assert told(await api.http.delete(api.path(one), headers=headers)) == (409, "merging")


async def test_who_may_not(api, ask, recorded, one_bus):
    await recorded("a", T0)
    before = await keys_of(one_bus)
    assert told(await ask(["a"], token="read-token")) == (403, "forbidden")
    assert told(await ask(["a"], token=api.token("user-2"))) == (404, "not_found")
    assert told(await ask(["a"], token="nonsense")) == (401, "unauthorized")
    assert await keys_of(one_bus) == before


BAD = [
    ({"sources": []}, "bad_json"),
    ({"sources": [f"c{number}" for number in range(MAX_SOURCES + 1)]}, "bad_json"),
    ({"sources": "a"}, "bad_json"),
    ({"sources": ["a", 1]}, "bad_json"),
    ({"sources": ["../b"]}, "bad_json"),
    ({"sources": ["a\n"]}, "bad_id"),
    ({"sources": ["a}b"]}, "bad_json"),
    ({"sources": ["a/b"]}, "bad_json"),
    ({"sources": ["x" * 129]}, "bad_json"),
    ({"target": ""}, "bad_json"),
    ({"target": "b/../c"}, "bad_json"),
    ({"target": "b\n"}, "bad_id"),
    ({"target": None}, "bad_json"),
    ({"delete_sources": "yes"}, "bad_json"),
    ({"delete_sources": None}, "bad_json"),
    ({"more": 1}, "bad_json"),
]


@pytest.mark.parametrize(("change", "code"), BAD, ids=[str(change)[:40] for change, _ in BAD])
async def test_hostile_bodies(ask, recorded, change, code):
    await recorded("a", T0)
    body = {"sources": ["a"], "target": "all"} | change
    assert told(await ask(body.pop("sources"), body.pop("target"), **body)) == (400, code)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"sources":["a"],"target":"all"}', b"\xff"])
async def test_bodies_that_are_none(api, recorded, text):
    await recorded("a", T0)
    headers = {"Authorization": "Bearer all-token"}
    answer = await api.http.post("/v1/users/user-1/conversations:merge", content=text, headers=headers)
    assert told(answer) == (400, "bad_json")


async def test_as_many_as_may_be(ask, recorded, one_bus):
    await recorded("a", T0)
    for number in range(MOST_UNDONE):
        await recorded(f"source-{number}", T0)
        assert (await ask([f"source-{number}"], f"target-{number}")).status_code == 202
    before = await keys_of(one_bus)
    answer = await ask(["a"])
    assert told(answer) == (429, "too_many_operations")
    assert answer.headers["retry-after"] == "10"
    assert await keys_of(one_bus) == before
    assert (await ask(["source-0"], "target-0")).status_code == 202


async def test_a_source_that_only_the_bucket_knows(ask, merging, recorded, one_bus):
    await recorded("a", T0)
    for kind in ("conv", "audio"):
        await one_bus.command("DEL", getattr(one_bus.keys, kind)(A))
    begun = (await ask(["a"])).json()["id"]
    assert msgspec.json.decode((await merging.turn(begun)).result) == {"sources": 1, "objects": 1}


async def test_a_source_that_was_only_opened_is_unknown(ask, recorded, tape_for, one_bus):
    """A socket came and sent nothing: nobody has recorded into it."""
    await recorded("a", T0)
    await tape_for(B).open()
    before = await keys_of(one_bus)
    assert told(await ask(["a", "b"])) == (404, "not_found")
    assert await keys_of(one_bus) == before


async def test_a_source_whose_audio_is_all_deleted_is_known(api, ask, merging, recorded):
    await recorded("a", T0)
    headers = {"Authorization": "Bearer all-token"}
    answer = await api.http.delete(api.path(A, "/audio"), headers=headers)
    assert (answer.status_code, answer.json()["deleted_objects"]) == (200, 1)
    begun = await ask(["a"])
    assert begun.status_code == 202
    done = await merging.turn(begun.json()["id"])
    assert (done.done, done.error) == (True, b"")


@pytest.mark.parametrize("delete", [True, False])
async def test_from_the_answer_on_nothing_of_it_can_be_deleted(api, ask, merging, recorded, delete):
    """Nobody carries it out yet."""
    await recorded("a", T0)
    await recorded("all", T0 + 60_000)
    begun = await ask(["a"], delete_sources=delete)
    assert begun.status_code == 202
    headers = {"Authorization": "Bearer all-token"}
    for one, rest in ((A, ""), (ALL, ""), (A, "/audio"), (ALL, "/audio")):
        assert told(await api.http.delete(api.path(one, rest), headers=headers)) == (409, "merging"), (
            one,
            rest,
        )
    assert (await ask(["a"], delete_sources=delete)).json()["id"] == begun.json()["id"]
    done = await merging.turn(begun.json()["id"])
    assert (done.done, done.error) == (True, b"")
    for one in (ALL,) if delete else (A, ALL):
        assert (await api.http.delete(api.path(one), headers=headers)).status_code == 200


async def test_where_nobody_ever_begins_it_it_is_let_go_in_a_minute(api, ask, recorded, one_bus, monkeypatch):
    monkeypatch.setattr("storage_api.merging.many_into_one.ASKED_MS", -5_000)
    await recorded("a", T0)
    assert (await ask(["a"])).status_code == 202
    headers = {"Authorization": "Bearer all-token"}
    assert (await api.http.delete(api.path(A), headers=headers)).status_code == 200


async def test_of_two_that_want_the_same_only_one_is_begun_and_the_other_holds_nothing(
    ask, recorded, one_bus
):
    for cid in ("a", "b", "c"):
        await recorded(cid, T0)
    assert (await ask(["b"])).status_code == 202
    before = await keys_of(one_bus)
    assert told(await ask(["a", "b", "c"], "other")) == (409, "merging")
    assert await keys_of(one_bus) == before


async def test_one_that_meets_another_after_it_was_checked_lets_go(ask, recorded, one_bus, monkeypatch):
    """Between the look and the hold another merge took the second source: the first is held no more."""
    from storage_api.merging import many_into_one  # noqa: PLC0415 - for this test alone

    await recorded("a", T0)
    await recorded("b", T0)
    await ask(["b"], "elsewhere")
    before = await keys_of(one_bus)

    async def looked(*_args):
        return None

    monkeypatch.setattr(many_into_one, "_check_free", looked)
    assert told(await ask(["a", "b"])) == (409, "merging")
    assert await keys_of(one_bus) == before


async def test_what_the_same_request_wrote_down_while_another_lets_go_stays_held(
    api, ask, recorded, one_bus, monkeypatch
):
    """Two processes are asked for the same; the first, which may begin no more, has found no operation when the second writes it down."""
    from storage_api.merging import many_into_one  # noqa: PLC0415 - for this test alone

    await recorded("a", T0)
    await recorded("all", T0 + 60_000)
    thaw, answers = many_into_one.thaw, []

    async def refused(*_args):
        raise ProblemError(429, "too_many_operations", "too many", headers={"Retry-After": "10"})

    async def late(bus, one, operation_id):
        if not answers:
            patch.undo()
            answers.append(await ask(["a"]))
        return await thaw(bus, one, operation_id)

    with monkeypatch.context() as patch:
        patch.setattr(many_into_one, "_begin", refused)
        patch.setattr(many_into_one, "thaw", late)
        assert told(await ask(["a"])) == (429, "too_many_operations")
    assert [answer.status_code for answer in answers] == [202]
    headers = {"Authorization": "Bearer all-token"}
    for one in (A, ALL):
        assert told(await api.http.delete(api.path(one), headers=headers)) == (409, "merging"), one
