"""The list of conversations, and one of them."""

import msgspec
import pytest

from audiobus import Conversation

HEADERS = {"Authorization": "Bearer all-token"}
T0 = 1_700_000_000_000


async def listed(api, uid: str = "user-1", **query):
    answer = await api.http.get(f"/v1/users/{uid}/conversations", params=query, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_one_conversation_says_exactly_what_it_is(api, tape, conversation, pcm_tone, tmp_path):
    await tape.record(pcm_tone(30))
    (name,) = await tape.drain(0, 10)
    size = (tmp_path / "store" / name).stat().st_size
    row = (await api.get(conversation)).json()
    assert row == {
        "conversation_id": "conv-1",
        "start": "2023-11-14T22:13:20.000Z",
        "end": "2023-11-14T22:13:50.000Z",
        "recorded_seconds": 30.0,
        "stored_seconds": 9.9935,
        "bytes": size,
        "chunks": 1 + 21,
        "protection": "standard",
        "live": True,
    }
    assert (await listed(api))["conversations"] == [row]
    await tape.drain(10, len(tape.chunks))
    row = (await api.get(conversation)).json()
    assert (row["recorded_seconds"], row["stored_seconds"], row["chunks"]) == (30.0, 30.0, 2)


async def test_a_conversation_is_live_until_its_session_is_over(api, tape, conversation, pcm_tone, one_bus):
    await tape.record(pcm_tone(2))
    await tape.drain(0, len(tape.chunks))
    assert (await api.get(conversation)).json()["live"] is True  # its socket may still be there
    await one_bus.ask(conversation, "end", owner=tape.owner, ends=True)
    assert (await api.get(conversation)).json()["live"] is False
    assert (await listed(api, live="true"))["conversations"] == []
    assert len((await listed(api, live="false"))["conversations"]) == 1


async def test_what_is_doubled_is_counted_once(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(10))
    await tape.put(0, len(tape.chunks))
    row = (await api.get(conversation)).json()
    assert (row["recorded_seconds"], row["stored_seconds"], row["chunks"]) == (10.0, 10.0, 1)


async def test_the_newest_come_first_and_pages_have_no_hole(api, tape_for, pcm_tone):
    for number in range(7):
        tape = tape_for(Conversation("user-1", f"c{number}"))
        await tape.record(pcm_tone(0.5), start_ms=T0 + number % 4 * 60_000)
        if number % 2:
            await tape.drain(0, len(tape.chunks))
    await tape_for(Conversation("user-2", "foreign")).record(pcm_tone(0.5))
    await tape_for(Conversation("user-1", "silent")).open()
    order = [row["conversation_id"] for row in (await listed(api))["conversations"]]
    assert order == ["c3", "c2", "c6", "c1", "c5", "c0", "c4"]
    paged, token, pages = [], None, 0
    while True:
        page = await listed(api, page_size=2, **({"page_token": token} if token else {}))
        paged += [row["conversation_id"] for row in page["conversations"]]
        pages += 1
        token = page["next_page_token"]
        if token is None:
            break
    assert (paged, pages) == (order, 4)


async def test_beyond_the_exact_ones_names_must_do(api, tape, conversation, pcm_tone, one_bus, monkeypatch):
    await tape.record(pcm_tone(10))
    await tape.drain(0, len(tape.chunks))
    exact = (await listed(api))["conversations"][0]
    monkeypatch.setattr("storage_api.conversations.EXACT_OBJECTS", 0)
    named = (await listed(api))["conversations"][0]
    assert {**named, "live": None} == {**exact, "live": None}


@pytest.fixture
async def three(tape_for, encode, pcm_tone):
    """Three conversations of two seconds with a gap of ten between them in one object; the newest has three objects more."""
    for number in range(3):
        tape = tape_for(Conversation("user-1", f"c{number}"))
        start_ms = T0 + number * 60_000
        await tape.open()
        first = encode(pcm_tone(1), run_start_ms=start_ms)
        end = first[-1][1]
        second = [
            (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + end), at + end)
            for chunk, at in encode(pcm_tone(1), run_start_ms=start_ms + 11_000)
        ]
        await tape.append([*first, *second])
        await tape.drain(0, len(tape.chunks))
        if number == 2:
            later = tape_for(tape.conversation)
            await later.record(pcm_tone(3), start_ms=start_ms + 20_000)
            for at in range(3):
                await later.drain(at, at + 1)
            await later.drain(3, len(later.chunks))


async def seconds_of(api) -> dict[str, float]:
    return {row["conversation_id"]: row["recorded_seconds"] for row in (await listed(api))["conversations"]}


@pytest.mark.usefixtures("three")
async def test_one_that_is_too_large_to_be_looked_at_leaves_the_others_exact(api, conversation, monkeypatch):
    monkeypatch.setattr("storage_api.conversations.EXACT_OBJECTS", 2)
    assert await seconds_of(api) == {"c2": 15.0, "c1": 2.0, "c0": 2.0}
    # Those are known now, and take nothing any more; of the others two are opened.
    monkeypatch.setattr("storage_api.conversations.EXACT_OBJECTS", 0)
    assert await seconds_of(api) == {"c2": 15.0, "c1": 2.0, "c0": 2.0}
    await api.get(Conversation("user-1", "c2"))
    assert await seconds_of(api) == {"c2": 5.0, "c1": 2.0, "c0": 2.0}


@pytest.mark.usefixtures("three")
async def test_so_many_objects_a_page_are_laid_out_known_or_not(api, monkeypatch):
    assert await seconds_of(api) == {"c2": 5.0, "c1": 2.0, "c0": 2.0}
    monkeypatch.setattr("storage_api.conversations.KNOWN_OBJECTS", 1)
    assert await seconds_of(api) == {"c2": 15.0, "c1": 2.0, "c0": 12.0}


async def test_a_deleted_conversation_is_not_listed(api, tape, conversation, pcm_tone, one_bus, monkeypatch):
    await tape.record(pcm_tone(1))
    await tape.drain(0, len(tape.chunks))
    await one_bus.command("SET", one_bus.keys.tomb(conversation), "1")
    assert (await listed(api))["conversations"] == []
    monkeypatch.setattr("storage_api.conversations.EXACT_OBJECTS", 0)
    assert (await listed(api))["conversations"] == []


async def test_a_user_without_recordings_has_an_empty_list(api):
    assert await listed(api, "nobody") == {"conversations": [], "next_page_token": None}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"page_size": 0}, "bad_parameter"),
        ({"page_size": 1001}, "bad_parameter"),
        ({"page_size": "x"}, "bad_parameter"),
        ({"page_size": "-1"}, "bad_parameter"),
        ({"live": "maybe"}, "bad_parameter"),
        ({"page_token": "x"}, "bad_page_token"),
        ({"page_token": "ä"}, "bad_page_token"),
        ({"page_token": "A" * 2000}, "bad_page_token"),
    ],
)
async def test_bad_parameters_are_refused(api, query, code):
    answer = await api.http.get("/v1/users/user-1/conversations", params=query, headers=HEADERS)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_page_token_is_good_for_its_request_only(api, tape_for, pcm_tone):
    for number in range(3):
        await tape_for(Conversation("user-1", f"c{number}")).record(pcm_tone(0.5), start_ms=T0 + number)
    token = (await listed(api, page_size=1))["next_page_token"]
    for path, query in (
        ("/v1/users/user-2/conversations", {}),
        ("/v1/users/user-1/conversations", {"live": "true"}),
        ("/v1/users/user-1/conversations/c1/chunks", {}),
    ):
        answer = await api.http.get(path, params={**query, "page_token": token}, headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token")


async def test_a_long_list_comes_whole(api, tape_for, pcm_tone):
    for number in range(30):
        await tape_for(Conversation("user-1", f"c{number}")).record(pcm_tone(0.1), start_ms=T0 + number)
    assert len((await listed(api, page_size=1000))["conversations"]) == 30


async def test_what_waits_and_is_not_played_counts_as_it_is_listed(
    api, tape, tape_for, conversation, pcm_tone, one_bus
):
    """Another recording has its time: nobody hears it, and it waits to be stored all the same."""
    await tape.record(pcm_tone(10))
    await tape.drain(0, len(tape.chunks))
    later = tape_for(conversation)
    await later.record(pcm_tone(4), start_ms=T0 + 2_000)
    await one_bus.ask(conversation, "end", owner=later.owner, ends=True)
    row = (await api.get(conversation)).json()
    rows = (await api.get(conversation, "/chunks")).json()["chunks"]
    assert {one["overlapped"] for one in rows if one["state"] == "live"} == {True}
    assert (row["chunks"], row["live"], row["recorded_seconds"]) == (len(rows), True, 10.0)
    assert [one["conversation_id"] for one in (await listed(api, live="true"))["conversations"]] == ["conv-1"]
