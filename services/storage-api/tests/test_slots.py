"""Places for requests of a kind: bounded, shared out, and given back."""

import asyncio

import pytest

from servicekit.problem import ProblemError
from storage_api.routes import TABLE
from storage_api.slots import Slots, all_slots

BOUNDED = [row for row in TABLE if row.places is not None]


def path(row) -> str:
    return row.path.replace("{uid}", "user-1").replace("{cid}", "conv-1")


def test_a_caller_leaves_a_quarter_to_others():
    told = []
    slots = Slots("lists", 4, told.append)
    held = [slots.slot("a"), slots.slot("a"), slots.slot("a")]
    for one in held:
        one.__enter__()
    with pytest.raises(ProblemError, match="3 lists of yours are under way") as refused, slots.slot("a"):
        pass
    assert (refused.value.status, refused.value.code) == (503, "busy")
    assert refused.value.headers == {"Retry-After": "1"}
    with (
        slots.slot("b"),
        pytest.raises(ProblemError, match="4 lists are under way"),
        slots.slot("c"),
    ):
        pass
    for one in held:
        one.__exit__(None, None, None)
    assert (slots.running, told) == (0, [1, 2, 3, 4, 3, 2, 1, 0])


def test_what_the_table_bounds():
    bounded = {row.operation_id for row in BOUNDED}
    assert bounded >= {
        "get_conversations",
        "get_chunks",
        "get_recordings",
        "get_usage",
        "post_flush",
        "delete_conversation",
        "delete_user_audio",
    }
    assert {row.places for row in BOUNDED} == all_slots().keys()


@pytest.mark.parametrize("row", BOUNDED, ids=lambda row: row.operation_id)
async def test_where_there_is_no_place_it_is_503_and_nothing_else_waits(api, row):
    api.services.slots[row.places] = Slots("requests", 0)
    asked = {"headers": {"Authorization": "Bearer all-token"}}
    answer = await api.http.request(row.method, path(row), **asked)
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "1")
    # Who may not come in takes no place.
    assert (await api.http.request(row.method, path(row))).status_code == 401
    assert (await api.http.get("/v1/users/user-1/settings", **asked)).status_code == 200


async def test_a_place_is_given_back_when_it_is_answered_whatever_the_answer(api, tape, pcm_tone):
    await tape.record(pcm_tone(1))
    api.services.slots["lists"] = slots = Slots("lists", 1)
    for _ in range(3):
        assert (await api.get(tape.conversation)).status_code == 200
        assert (await api.get(tape.conversation, "/chunks", page_size="none")).status_code == 400
        assert (await api.get(tape.conversation, token=api.token("user-2"))).status_code == 404
    assert slots.running == 0


async def test_a_flush_that_waits_holds_a_place(api, tape, until, pcm_tone):
    await tape.record(pcm_tone(1))
    slots = api.services.slots["flushes"]
    asked = {"headers": {"Authorization": "Bearer all-token"}}
    flushing = asyncio.create_task(api.http.post(api.path(tape.conversation, ":flush"), **asked))
    await until(lambda: slots.running == 1)
    await tape.drain(0, len(tape.chunks))
    assert (await flushing).status_code == 200
    assert slots.running == 0
