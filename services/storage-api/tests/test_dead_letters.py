"""`GET /v1/dead-letters`, `POST /v1/dead-letters/{id}:retry`, for operators: what could not be stored, and another try."""

import threading
import time

import pytest

from audiobus import Bus, Conversation, EntryId, dead_letters
from storage_api import dead_letters as shown_letters
from storage_api.ids import letter_id, read_letter_id
from storage_api.moments import parse_moment

OPERATOR = {"Authorization": "Bearer ops-token"}


async def listed(api, **query) -> dict:
    answer = await api.http.get("/v1/dead-letters", params=query, headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def retry(api, id_: str, token: str = "ops-token"):
    return await api.http.post(f"/v1/dead-letters/{id_}:retry", headers={"Authorization": f"Bearer {token}"})


async def bury(tape, count: int, reason: str = "test") -> list[EntryId]:
    """The first so many chunks become dead letters."""
    entries = [one for one in await tape.bus.read(tape.conversation, count=count + 1) if one.chunk]
    for entry, (chunk, _) in zip(entries, tape.chunks, strict=False):
        assert await tape.bus.bury(
            tape.conversation, entry, reason=reason, first_offset=chunk.first_offset, samples=chunk.samples,
            now_ms=1_700_000_500_000,
        )  # fmt: skip
    return [entry.id for entry in entries]


@pytest.fixture
async def buried(tape_for, pcm_tone):
    """Three letters of user-1/a, two of user-1/b."""
    made = {}
    for name, count in (("a", 3), ("b", 2)):
        tape = tape_for(Conversation("user-1", name))
        await tape.record(pcm_tone(4))
        made[name] = await bury(tape, count)
    return made


async def test_no_letters(api):
    assert await listed(api) == {"dead_letters": [], "unavailable": [], "next_page_token": None}


async def test_what_lies_there_with_the_reasons(api, buried):
    rows = (await listed(api))["dead_letters"]
    assert [(row["conversation_id"], row["entry"]) for row in rows] == [
        (name, str(entry)) for name in ("a", "b") for entry in buried[name]
    ]
    first, second = rows[0], rows[1]
    assert (first["user_id"], first["reason"], first["buried_at"]) == (
        "user-1",
        "test",
        "2023-11-14T22:21:40.000Z",
    )
    assert (second["seconds"], second["parses"]) == (1.0, True)
    assert parse_moment(second["start"]) // 48 == pytest.approx(1_700_000_001_000, abs=7)
    assert (first["retry_asked_at"], first["tries"], first["last_try"]) == (None, 0, "")
    assert first["bytes"] > 100


@pytest.mark.usefixtures("buried")
async def test_what_they_hold_is_read_in_a_thread(api, monkeypatch):
    """A page has up to a thousand, and each packet is looked at."""
    seen, real = [], shown_letters.legible
    monkeypatch.setattr(
        shown_letters, "legible", lambda *given: seen.append(threading.get_ident()) or real(*given)
    )
    assert len((await listed(api))["dead_letters"]) == len(seen) == 5
    assert threading.get_ident() not in seen


async def test_pages_hold_each_once_also_where_letters_go_meanwhile(api, buried, one_bus):
    strange = [b"\xff\xfe", b"x" * 3_000, b"05-1"]
    for name in strange:
        await one_bus.command("HSET", one_bus.keys.dead(Conversation("user-1", "a")), name, "what?")
    everything = [(row["conversation_id"], row["entry"]) for row in (await listed(api))["dead_letters"]]
    assert len(everything) == 8
    for size in (1, 2, 3, 7):
        found, token = [], None
        while True:
            page = await listed(api, page_size=size, **({"page_token": token} if token else {}))
            found += [(row["conversation_id"], row["entry"]) for row in page["dead_letters"]]
            token = page["next_page_token"]
            if token is None:
                break
        assert found == everything
    page = await listed(api, page_size=2)
    key = one_bus.keys.dead(Conversation("user-1", "a"))
    await one_bus.command("HDEL", key, str(buried["a"][1]), str(buried["a"][2]))
    rest = await listed(api, page_token=page["next_page_token"])
    assert [(row["conversation_id"], row["entry"]) for row in rest["dead_letters"]] == everything[3:]


async def test_another_try_is_asked_for_as_the_command_asks(api, buried, one_bus):
    conversation = Conversation("user-1", "a")
    rows = (await listed(api))["dead_letters"]
    answer = await retry(api, rows[1]["id"])
    assert (answer.status_code, answer.json()["id"]) == (202, rows[1]["id"])
    asked_ms = parse_moment(answer.json()["retry_asked_at"]) // 48
    assert abs(asked_ms - time.time() * 1000) < 20_000
    (marked,) = await dead_letters.marked(one_bus, conversation, 9)
    assert marked.entry.id == buried["a"][1]
    now = (await listed(api))["dead_letters"]
    assert [row["retry_asked_at"] is not None for row in now] == [False, True, False, False, False]
    assert int(await one_bus.command("ZSCORE", one_bus.keys.due(0), conversation.tag)) <= asked_ms
    assert (await retry(api, rows[1]["id"])).status_code == 202


async def test_a_letter_that_is_gone_is_not_found(api, buried, one_bus):
    id_ = letter_id(Conversation("user-1", "a"), buried["a"][0])
    await one_bus.command("HDEL", one_bus.keys.dead(Conversation("user-1", "a")), str(buried["a"][0]))
    for gone in (id_, letter_id(Conversation("never", "was"), EntryId(1, 1))):
        answer = await retry(api, gone)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_nobody_can_store(api, buried, one_bus):
    conversation = Conversation("user-1", "a")
    key = one_bus.keys.dead(conversation)
    await one_bus.command("HSET", key, str(buried["a"][0]), b"\xc1")
    await one_bus.command("HSET", key, "what?", "x")
    rows = (await listed(api))["dead_letters"]
    assert {row["entry"] for row in rows if row["id"] is None} == {str(buried["a"][0]), "what?"}
    assert all(row["parses"] == (row["id"] is not None) for row in rows)
    answer = await retry(api, letter_id(conversation, buried["a"][0]))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")
    await one_bus.command("DEL", one_bus.keys.conv(conversation))
    answer = await retry(api, letter_id(conversation, buried["a"][1]))
    assert (answer.status_code, answer.json()["code"]) == (409, "not_retryable")
    await one_bus.command("SET", one_bus.keys.dead(Conversation("user-1", "text")), "what?")
    assert len((await listed(api))["dead_letters"]) == len(rows)
    answer = await retry(api, letter_id(Conversation("user-1", "text"), EntryId(1, 1)))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "AAAA",
        "some-id",
        "-",
        "_",
        "dXNlci0xL2EvMS0x=",
        "dXNlci0xL2EvMS0y_",
        "Ly8v",
        "dS9jLzAxLTE",
        "x" * 5_000,
    ],
)
async def test_ids_that_are_none(api, bad):
    answer = await retry(api, bad)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_id")


@pytest.mark.parametrize(
    ("conversation", "entry"),
    [
        (Conversation("u", "c"), EntryId(0, 0)),
        (Conversation("u" * 128, "c" * 128), EntryId(2**64 - 1, 2**64 - 1)),
        (Conversation("a.b@c-d_e", "0"), EntryId(1_700_000_000_000, 16_000)),
    ],
)
def test_an_id_names_conversation_and_entry(conversation, entry):
    assert read_letter_id(letter_id(conversation, entry)) == (conversation, entry)


@pytest.mark.parametrize("token", ["read-token", "write-token", "admin-token", "user"])
async def test_it_is_for_operators(api, buried, token):
    sent = api.token("user-1") if token == "user" else token
    answer = await api.http.get("/v1/dead-letters", headers={"Authorization": f"Bearer {sent}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await retry(api, letter_id(Conversation("user-1", "a"), buried["a"][0]), sent)).status_code == 403


async def test_a_retry_leaves_an_audit_line_without_the_user(api, buried, caplog):
    caplog.set_level("INFO")
    id_ = letter_id(Conversation("user-1", "a"), buried["a"][0])
    await retry(api, id_)
    (line,) = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.message, line.operation) == ("retry asked for", "post_dead_letter_retry")
    assert (line.actor_name, line.conversation_id, line.entry) == ("operator", "a", str(buried["a"][0]))
    assert "user-1" not in str(vars(line))
    assert id_ not in str(vars(line))


async def test_redis_away_is_said_so(serve, store, tmp_path):
    async with Bus("redis://127.0.0.1:1") as away, serve(away, store, tmp_path) as api:
        id_ = letter_id(Conversation("u", "c"), EntryId(1, 1))
        for answer in (await api.http.get("/v1/dead-letters", headers=OPERATOR), await retry(api, id_)):
            assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
