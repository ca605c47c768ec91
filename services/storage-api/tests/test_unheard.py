"""What lies in Redis and cannot be heard: entries that do not parse, and dead letters. It is missed, and never passes for silence."""

import threading

import pytest

from audiobus import Entry, EntryId
from audiobus.census import exact
from storage_api import known_letters, live_tail

T0 = 1_700_000_000_000
HEADERS = {"Authorization": "Bearer all-token"}


async def bury(tape, *which: int, damaged: bool = True) -> None:
    """These chunks become dead letters, as a pusher makes them."""
    entries = [one for one in await tape.bus.read(tape.conversation, count=1_000) if one.chunk]
    ids = [EntryId(tape.epoch, end) for _, end in tape.chunks]
    for number in which:
        [entry] = [one for one in entries if one.id == ids[number]]
        fields = {**entry.fields, b"c": entry.chunk[: len(entry.chunk) // 2]} if damaged else entry.fields
        chunk = tape.chunks[number][0]
        assert await tape.bus.bury(
            tape.conversation, Entry(entry.id, fields), reason="test", first_offset=chunk.first_offset,
            samples=chunk.samples, now_ms=T0,
        )  # fmt: skip


async def damage(tape, *which: int) -> None:
    """These entries of the buffer do not parse."""
    key = tape.bus.keys.audio(tape.conversation)
    entries = await tape.bus.read(tape.conversation, count=1_000)
    await tape.bus.command("DEL", key)
    bad = {EntryId(tape.epoch, tape.chunks[number][1]) for number in which}
    for entry in entries:
        fields = dict(entry.fields)
        if entry.id in bad:
            fields[b"c"] = fields[b"c"][:50]
        pairs = [part for pair in fields.items() for part in pair]
        await tape.bus.command("XADD", key, str(entry.id), *pairs)


async def rows_of(api, conversation, **query) -> list[dict]:
    answer = await api.get(conversation, "/chunks", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()["chunks"]


@pytest.fixture(params=["a letter that does not parse", "a letter that parses", "an entry"])
async def third(request, tape, pcm_tone):
    """Of six seconds the third cannot be heard."""
    await tape.record(pcm_tone(6))
    if request.param == "an entry":
        await damage(tape, 2)
    else:
        await bury(tape, 2, damaged="not" in request.param)
    return "damaged" if request.param == "an entry" else "dead_letter"


@pytest.mark.parametrize("stored", [False, True])
async def test_it_is_missing_and_a_gap_and_has_a_row(api, tape, conversation, third, stored):
    if stored:
        await tape.put(0, 2)
        await tape.put(3, len(tape.chunks))
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-missing"], len(answer.content)) == ("1", 6 * 32_000)
    assert not any(answer.content[2 * 32_000 : 3 * 32_000 - 400])
    answer = await api.get(conversation, "/audio", strict="true")
    assert (answer.status_code, answer.json()["missing"]) == (502, 1)
    body = (await api.get(conversation, "/chunks")).json()
    [row] = [row for row in body["chunks"] if row["unreadable"]]
    assert (row["unreadable"], row["path"], row["state"]) == (third, None, "live")
    assert (row["timestamp"], row["duration_ms"]) == ("1700000001.993", 1000)
    assert [(gap["start"], gap["duration_ms"]) for gap in body["gaps"]] == [(row["start"], 1000)]
    said = (await api.get(conversation)).json()
    assert (said["chunks"], said["recorded_seconds"]) == (len(body["chunks"]), 5.0)
    waveform = await api.get(conversation, "/waveform")
    assert waveform.headers["tapedeck-missing"] == "1"
    [stretch] = (await api.get(conversation, "/recordings", max_gap_s=0)).json()["recordings"]
    assert row["timestamp"] in stretch["timestamps"]


async def test_only_where_it_is_asked_for(api, conversation, third):
    for start, end, missing in (
        (T0, T0 + 1_900, "0"),
        (T0 + 3_100, T0 + 9_000, "0"),
        (T0 + 2_500, T0 + 3_500, "1"),
    ):
        window = {"start": start / 1000, "end": end / 1000}
        answer = await api.get(conversation, "/audio", format="pcm", **window)
        assert answer.headers["tapedeck-missing"] == missing, window
        answer = await api.get(conversation, "/audio", strict="true", **window)
        assert answer.status_code == (502 if missing == "1" else 200)
        assert [
            row["unreadable"] for row in await rows_of(api, conversation, **window) if row["unreadable"]
        ] == ([third] if missing == "1" else [])


@pytest.mark.usefixtures("third")
async def test_pages_hold_it_as_the_whole_list_does(api, tape, conversation):
    await tape.put(0, 1)
    await tape.put(1, 2)
    every = (await api.get(conversation, "/chunks")).json()
    for size in (1, 2, 3):
        rows, gaps, token = [], [], {}
        while token is not None:
            page = (await api.get(conversation, "/chunks", page_size=size, **token)).json()
            rows, gaps = rows + page["chunks"], gaps + page["gaps"]
            token = {"page_token": page["next_page_token"]} if page["next_page_token"] else None
        assert (rows, gaps) == (every["chunks"], every["gaps"])


@pytest.mark.usefixtures("third")
async def test_alone_by_its_time_it_is_no_audio(api, conversation):
    [row] = [row for row in await rows_of(api, conversation) if row["unreadable"]]
    answer = await api.get(conversation, "/audio", timestamps=row["timestamp"])
    assert (answer.status_code, answer.json()["code"], answer.headers["tapedeck-missing"]) == (
        404,
        "no_audio",
        "1",
    )
    assert (
        await api.get(conversation, "/audio", timestamps=row["timestamp"], strict="true")
    ).status_code == 502


@pytest.mark.usefixtures("third")
async def test_by_its_time_it_can_be_deleted_and_nothing_beside_it(api, one_bus, conversation):
    before = await rows_of(api, conversation)
    [row] = [row for row in before if row["unreadable"]]
    for seconds in (1.0, 0):
        answer = await api.http.delete(
            api.path(conversation, "/chunks"), params={"timestamps": row["timestamp"]}, headers=HEADERS
        )
        assert (answer.status_code, answer.json()["deleted_seconds"]) == (200, seconds)
    assert await rows_of(api, conversation) == [one for one in before if one is not row]
    assert (await api.get(conversation, "/audio", strict="true")).status_code == 200
    assert (await exact(one_bus, conversation)).difference == 0


@pytest.mark.parametrize(
    "kind", ["a letter that does not parse", "a letter that parses", "an entry", "a chunk"]
)
@pytest.mark.parametrize("number", [0, 3, 5])
async def test_asked_for_again_it_takes_nothing_along_that_plays_or_holds_its_time(
    api, tape, tape_for, store, conversation, one_bus, encode, pcm_tone, kind, number
):
    """Neither the batches beside it, nor another session that goes over all of it, nor an object that cannot be read."""
    await tape.record(pcm_tone(6))
    if kind.startswith("a letter"):
        await bury(tape, number, damaged="not" in kind)
    elif kind == "an entry":
        await damage(tape, number)
    await tape.put(0, number)
    await tape.put(number + 1, len(tape.chunks))
    other = tape_for(conversation)
    await other.open(T0 + 1)
    await other.append(encode(pcm_tone(8), run_start_ms=T0 - 500))
    await other.put(0, len(other.chunks))
    bad = "chunks/user-1/conv-1/1699999999.900-1700000008.000.batch.bin"
    await store.put(bad, b"x" * 999, content_type="x/y", metadata={})
    before = await rows_of(api, conversation)
    [row] = [row for row in before if row["path"] is None]
    for seconds in (row["duration_ms"] / 1000, 0, 0):
        answer = await api.http.delete(
            api.path(conversation, "/chunks"), params={"timestamps": row["timestamp"]}, headers=HEADERS
        )
        assert (answer.status_code, answer.json()["deleted_objects"]) == (200, 0), answer.text
        assert answer.json()["deleted_seconds"] == pytest.approx(seconds, abs=0.01)
        assert await rows_of(api, conversation) == [one for one in before if one is not row]
    assert (await exact(one_bus, conversation)).difference == 0


async def test_asked_for_again_it_does_not_take_the_next_that_does_not_parse(
    api, tape, conversation, one_bus, pcm_tone
):
    """Where that lies is worked out from what is before it: it is listed then where the one lay that is gone."""
    await tape.record(pcm_tone(6))
    await damage(tape, 2)
    await damage(tape, 3)
    first = next(row for row in await rows_of(api, conversation) if row["unreadable"])
    for left in (1, 1, 1):
        answer = await api.http.delete(
            api.path(conversation, "/chunks"), params={"timestamps": first["timestamp"]}, headers=HEADERS
        )
        assert answer.status_code == 200
        assert len([row for row in await rows_of(api, conversation) if row["unreadable"]]) == left
    assert (await exact(one_bus, conversation)).difference == 0


async def test_where_one_is_gone_the_next_is_listed_at_a_time_of_its_own(
    api, tape, conversation, one_bus, pcm_tone
):
    """Where that lies is worked out from what is before it: where the one lay that is gone, but for a millisecond. By that time it goes itself."""
    await tape.record(pcm_tone(6))
    await damage(tape, 2, 3, 4)
    seen = []
    for left in (2, 1, 0):
        row = next(row for row in await rows_of(api, conversation) if row["unreadable"])
        seen.append(row["timestamp"])
        # A second time by the same takes no other.
        for _ in range(2):
            answer = await api.http.delete(
                api.path(conversation, "/chunks"), params={"timestamps": seen[-1]}, headers=HEADERS
            )
            assert answer.status_code == 200
        bad = [one for one in await rows_of(api, conversation) if one["unreadable"]]
        assert len(bad) == left
    first_ms = round(float(seen[0]) * 1000)
    assert [round(float(one) * 1000) - first_ms for one in seen] == [0, 1, 2]
    assert (await exact(one_bus, conversation)).difference == 0


async def test_letters_are_parsed_in_threads_all_of_them(api, tape, conversation, pcm_tone, monkeypatch):
    seen, real = [], live_tail.decode_chunk

    def watched(data: bytes):
        seen.append(threading.current_thread() is not threading.main_thread())
        return real(data)

    await tape.record(pcm_tone(6))
    await bury(tape, 0, 1, 2, 3, 4, damaged=False)
    monkeypatch.setattr(known_letters, "PAGE_LETTERS", 2)
    for module in (live_tail, known_letters):
        monkeypatch.setattr(module, "decode_chunk", watched)
    assert len([row for row in await rows_of(api, conversation) if row["unreadable"]]) == 5
    assert seen == [True] * len(tape.chunks)


async def test_a_letter_that_was_stored_after_all_is_not_missing(api, tape, conversation, pcm_tone):
    """Put, and not settled yet: the object is listed, and the letter lies there still."""
    await tape.record(pcm_tone(6))
    await bury(tape, 2, damaged=False)
    await tape.put(2, 3)
    answer = await api.get(conversation, "/audio", strict="true")
    assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "0")
    assert not [row for row in await rows_of(api, conversation) if row["unreadable"]]


async def test_where_others_play_its_time_nothing_is_lost(api, tape, tape_for, conversation, pcm_tone):
    await tape.record(pcm_tone(6))
    await bury(tape, 2)
    await tape_for(conversation).record(pcm_tone(6), start_ms=T0)
    answer = await api.get(conversation, "/audio", strict="true")
    assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "1")


@pytest.mark.parametrize("damaged", [True, False])
async def test_at_the_ends_it_lengthens_the_audio(api, tape, conversation, pcm_tone, damaged):
    await tape.record(pcm_tone(4))
    await bury(tape, 0, len(tape.chunks) - 1, damaged=damaged)
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-missing"], len(answer.content)) == ("2", 4 * 32_000)
    said = (await api.get(conversation)).json()
    assert (said["start"], said["end"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:24.000Z")


@pytest.mark.parametrize("damaged", [True, False])
async def test_a_conversation_of_nothing_but_letters_is_there(
    api, tape, conversation, pcm_tone, one_bus, damaged
):
    await tape.record(pcm_tone(2))
    count = len(tape.chunks)
    await bury(tape, *range(count), damaged=damaged)
    await one_bus.ask(conversation, "end", owner=tape.owner, ends=True)
    said = (await api.get(conversation)).json()
    assert (said["recorded_seconds"], said["chunks"], said["live"]) == (0, count, False)
    path = f"/v1/users/{conversation.uid}/conversations"
    assert (await api.http.get(path, headers=HEADERS)).json()["conversations"] == [said]
    # A day later there is no buffer any more.
    await one_bus.command("XDEL", one_bus.keys.audio(conversation), str(EntryId(tape.epoch, 0)))
    assert await one_bus.forget(conversation, 2 * T0)
    assert (await api.http.get(path, headers=HEADERS)).json()["conversations"] == [said]
    rows = await rows_of(api, conversation)
    assert [row["unreadable"] for row in rows] == ["dead_letter"] * count
    assert (rows[0]["start"], rows[-1]["end"]) == (said["start"], said["end"])
    for rest in ("/audio", "/waveform"):
        answer = await api.get(conversation, rest)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_audio")
        assert answer.headers["tapedeck-missing"] == str(count)
    assert (await api.get(conversation, "/audio", strict="true")).status_code == 502
    [stretch] = (await api.get(conversation, "/recordings")).json()["recordings"]
    assert (stretch["recorded_seconds"], len(stretch["timestamps"])) == (0, count)
    flushed = await api.http.post(api.path(conversation, ":flush"), headers=HEADERS)
    assert (flushed.status_code, flushed.json()) == (200, {"stored_seconds": 0})
    deleted = await api.http.delete(api.path(conversation), headers=HEADERS)
    assert deleted.json() == {"deleted_objects": 0, "deleted_seconds": 2.0}
    assert (await api.get(conversation)).status_code == 404


async def test_what_is_damaged_and_still_waits_is_live_and_listed(api, tape, conversation, pcm_tone, one_bus):
    await tape.record(pcm_tone(0.5))
    await damage(tape, 0, 1)
    await one_bus.ask(conversation, "end", owner=tape.owner, ends=True)
    path = f"/v1/users/{conversation.uid}/conversations"
    [said] = (await api.http.get(path, headers=HEADERS)).json()["conversations"]
    assert (said["chunks"], said["live"]) == (2, True)


async def test_a_letter_that_is_itself_damaged_is_missing_and_other_fields_are_no_audio(
    api, tape, conversation, pcm_tone, one_bus
):
    await tape.record(pcm_tone(3))
    await bury(tape, 1)
    key = one_bus.keys.dead(conversation)
    await one_bus.command("HSET", key, str(EntryId(tape.epoch, tape.chunks[1][1])), b"\xc1", "what?", b"x")
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-missing"], len(answer.content)) == ("1", 3 * 32_000)


async def test_without_letters_nobody_asks_for_them(api, tape, conversation, pcm_tone, monkeypatch):
    await tape.record(pcm_tone(1))

    async def asked(*_args):
        raise AssertionError("asked for letters")

    monkeypatch.setattr("storage_api.known_letters.names_of", asked)
    assert (await api.get(conversation, "/audio")).status_code == 200


async def test_an_entry_that_does_not_parse_and_nothing_else_has_no_time(api, tape, conversation, one_bus):
    await tape.open()
    await one_bus.command(
        "XADD", one_bus.keys.audio(conversation), f"{tape.epoch}-99999999", "c", b"\x91\x63"
    )
    answer = await api.get(conversation, "/audio")
    assert (answer.status_code, answer.headers["tapedeck-missing"]) == (404, "1")
    assert (await api.get(conversation, "/audio", strict="true")).status_code == 502


async def test_an_entry_that_does_not_parse_is_counted(api, tape, conversation, one_bus, pcm_tone):
    await tape.record(pcm_tone(2))
    await one_bus.command(
        "XADD", one_bus.keys.audio(conversation), f"{tape.epoch}-99999999", "c", b"\x91\x63"
    )
    answer = await api.get(conversation, "/audio", format="pcm")
    assert (answer.headers["tapedeck-missing"], len(answer.content)) == ("1", 64_000)
