"""`GET /v1/buffers`, `POST /v1/buffers:flush`, for operators: what waits in Redis by age and size, and having it stored."""

import threading
import time

import pytest

from audiobus import Bus, Conversation, failures
from audiobus.deletions import set_tombstone
from storage_api import buffers
from storage_api.moments import rfc3339_ms

OPERATOR = {"Authorization": "Bearer ops-token"}
NOW_S = int(time.time())


async def listed(api, **query) -> dict:
    answer = await api.http.get("/v1/buffers", params=query, headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def flush(api, content, token: str = "ops-token"):
    headers = {"Authorization": f"Bearer {token}"}
    return await api.http.post("/v1/buffers:flush", headers=headers, json=content)


@pytest.fixture
async def talks(tape_for, encode, pcm_tone):
    """Three of one, two and three seconds: the second is the oldest."""
    chunks = encode(pcm_tone(3))
    made = []
    for name, seconds in (("a", 1), ("b", 2), ("c", 3)):
        tape = tape_for(Conversation("user-1", name))
        await tape.open()
        await tape.append(chunks[:seconds])
        made.append(tape)
    return made


async def test_nothing_waits(api):
    assert await listed(api) == {
        "buffers": [],
        "total": 0,
        "total_seconds": 0.0,
        "unavailable": [],
        "next_page_token": None,
    }


async def test_they_are_put_in_order_in_a_thread(api, talks, monkeypatch):
    """There may be tens of thousands."""
    seen, real = set(), buffers._place
    monkeypatch.setattr(buffers, "_place", lambda look: seen.add(threading.get_ident()) or real(look))
    page = await listed(api, page_size=2)
    assert [one["conversation_id"] for one in page["buffers"]] == ["a", "b"]
    assert seen
    assert threading.get_ident() not in seen


async def test_what_waits_by_age_and_size(api, one_bus, tape_for, encode, pcm_tone):
    for name, at_s, seconds in (
        ("young", 1_700_000_100, 3),
        ("old", 1_700_000_000, 1),
        ("middle", 1_700_000_050, 2),
    ):
        tape = tape_for(Conversation("user-1", name))
        await tape.open()
        await tape.append(encode(pcm_tone(seconds), run_start_ms=at_s * 1000))
    await failures.note(one_bus, Conversation("user-1", "middle"), "the bucket is away", 5)
    await set_tombstone(one_bus, Conversation("user-1", "young"), 1)
    found = await listed(api)
    rows = found["buffers"]
    assert [row["conversation_id"] for row in rows] == ["old", "middle", "young"]
    assert [row["seconds"] for row in rows] == [1, 2, 3]
    assert [(row["state"], row["why"], row["fails"]) for row in rows] == [
        ("waits", "", 0),
        ("failing", "the bucket is away", 1),
        ("deleted", "", 0),
    ]
    assert [row["oldest"] for row in rows] == [rfc3339_ms((1_700_000_000 + s) * 1000) for s in (0, 50, 100)]
    assert all(row["user_id"] == "user-1" and row["bytes"] > 0 and row["entries"] > 1 for row in rows)
    assert rows[2]["bytes"] > rows[0]["bytes"]
    assert (found["total"], found["total_seconds"]) == (3, 6)


async def test_pages_hold_each_once(api, talks):
    found, token = [], None
    for _ in range(4):
        page = await listed(api, page_size=1, **({"page_token": token} if token else {}))
        assert page["total"] == 3
        found += [row["conversation_id"] for row in page["buffers"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert found == ["a", "b", "c"]
    answer = await api.http.get("/v1/dead-letters", params={"page_token": "x"}, headers=OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token")


@pytest.mark.parametrize("content", [{}, None], ids=["empty", "no body"])
async def test_all_buffers_are_asked_for(api, talks, one_bus, content):
    answer = await flush(api, content)
    assert (answer.status_code, answer.json()) == (202, {"asked": 3, "unavailable": []})
    for tape in talks:
        state = await one_bus.state(tape.conversation)
        assert (state.flush, state.flush_reason) == (tape.newest, "flush")
    assert (await flush(api, content)).json()["asked"] == 3


async def test_one_buffer_is_asked_for(api, talks, one_bus):
    first, second, _ = talks
    answer = await flush(api, {"user_id": "user-1", "conversation_id": "a"})
    assert (answer.status_code, answer.json()["asked"]) == (202, 1)
    assert (await one_bus.state(first.conversation)).flush == first.newest
    assert (await one_bus.state(second.conversation)).flush is None


async def test_of_what_is_stored_nothing_waits_and_what_never_was_is_not_found(api, talks, one_bus):
    first, second, _ = talks
    await first.drain(0, 1)
    await one_bus.command("DEL", one_bus.keys.audio(first.conversation))
    answer = await flush(api, {"user_id": "user-1", "conversation_id": "a"})
    assert (answer.status_code, answer.json()["asked"]) == (202, 0)
    await set_tombstone(one_bus, second.conversation, 1)
    for name in ("b", "never"):
        answer = await flush(api, {"user_id": "user-1", "conversation_id": name})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"user_id": "user-1"}, "bad_json"),
        ({"conversation_id": "a"}, "bad_json"),
        ({"user_id": None, "conversation_id": None}, "bad_json"),
        ({"user_id": "user-1", "conversation_id": "-a"}, "bad_json"),
        ({"user_id": "user-1", "conversation_id": "a\n"}, "bad_id"),
        ({"user_id": "user-1", "conversation_id": 5}, "bad_json"),
        ({"conversations": []}, "bad_json"),
        ([], "bad_json"),
    ],
    ids=repr,
)
async def test_what_names_none(api, talks, one_bus, content, code):
    answer = await flush(api, content)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await one_bus.state(talks[0].conversation)).flush is None


async def test_keys_that_are_no_conversations_hide_nothing(api, talks, one_bus):
    await one_bus.command("XADD", one_bus.keys.audio(Conversation("-", "c")), "1-1", "c", "x")
    await one_bus.command("SET", one_bus.keys.audio(Conversation("u", "text")), "what?")
    await one_bus.command("XADD", one_bus.keys.audio(Conversation("u", "spoilt")), "1-1", "c", "x")
    await one_bus.command("SET", one_bus.keys.conv(Conversation("u", "spoilt")), "what?")
    await one_bus.command("XADD", one_bus.keys.audio(Conversation("u", "far")), f"{2**64 - 1}-1", "c", "x")
    assert [row["conversation_id"] for row in (await listed(api))["buffers"]] == ["a", "b", "c", "far"]
    assert (await flush(api, {})).json()["asked"] == 3


@pytest.mark.parametrize("token", ["read-token", "write-token", "admin-token", "user"])
async def test_it_is_for_operators(api, talks, token):
    sent = api.token("user-1") if token == "user" else token
    headers = {"Authorization": f"Bearer {sent}"}
    answer = await api.http.get("/v1/buffers", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await flush(api, {}, sent)).status_code == 403


async def test_a_flush_leaves_an_audit_line_without_the_user(api, talks, caplog):
    caplog.set_level("INFO")
    await flush(api, {"user_id": "user-1", "conversation_id": "a"})
    (line,) = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.message, line.operation) == ("flush of buffers asked for", "post_buffers_flush")
    assert (line.actor_name, line.asked, line.conversation_id) == ("operator", 1, "a")
    assert "user-1" not in str(vars(line))


async def test_redis_away_is_said_so(serve, store, tmp_path):
    async with Bus("redis://127.0.0.1:1") as away, serve(away, store, tmp_path) as api:
        one = {"user_id": "u", "conversation_id": "c"}
        answers = [
            await api.http.get("/v1/buffers", headers=OPERATOR),
            await flush(api, {}),
            await flush(api, one),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
