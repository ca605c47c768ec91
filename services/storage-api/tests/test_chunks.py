"""The list of chunks."""

import msgspec
import pytest

HEADERS = {"Authorization": "Bearer all-token"}
T0 = 1_700_000_000_000


async def chunks_of(api, conversation, **query):
    answer = await api.get(conversation, "/chunks", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_objects_and_what_waits_are_listed_each_once(api, tape, conversation, pcm_tone, tmp_path):
    await tape.record(pcm_tone(6))
    (name,) = await tape.drain(0, 2)
    await tape.put(2, 4)  # put, and not finished
    body = await chunks_of(api, conversation)
    assert [chunk["state"] for chunk in body["chunks"]] == ["stored", "stored", "live", "live", "live"]
    assert body["chunks"][0] == {
        "timestamp": "1700000000.000",
        "start": "2023-11-14T22:13:20.000Z",
        "end": "2023-11-14T22:13:21.993Z",
        "duration_ms": 1993,
        "path": name,
        "size": (tmp_path / "store" / name).stat().st_size,
        "is_batch": True,
        "format": "ogg_opus",
        "protection": "standard",
        "state": "stored",
        "overlapped": False,
        "unreadable": None,
    }
    live = body["chunks"][2]
    assert (live["path"], live["size"], live["is_batch"], live["state"]) == (None, None, False, "live")
    assert live["timestamp"] == "1700000003.993"
    assert body["gaps"] == []
    assert body["next_page_token"] is None


async def with_gap(tape, encode, pcm_tone) -> None:
    await tape.open()
    await tape.append(encode(pcm_tone(3)))
    moved = [
        (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + 96_000), end + 96_000)
        for chunk, end in encode(pcm_tone(3), run_start_ms=T0 + 10_250)
    ]
    await tape.append(moved)


async def test_gaps_are_told_exactly(api, tape, conversation, encode, pcm_tone):
    await with_gap(tape, encode, pcm_tone)
    wanted = [{"start": "2023-11-14T22:13:23.000Z", "end": "2023-11-14T22:13:30.250Z", "duration_ms": 7250}]
    assert (await chunks_of(api, conversation))["gaps"] == wanted
    await tape.drain(0, len(tape.chunks))  # both runs in one object, with the gap inside
    body = await chunks_of(api, conversation)
    assert body["gaps"] == wanted
    assert [chunk["duration_ms"] for chunk in body["chunks"]] == [13_250]


async def test_pages_hold_everything_once(api, tape, conversation, encode, pcm_tone):
    await with_gap(tape, encode, pcm_tone)
    everything = await chunks_of(api, conversation)
    chunks, gaps, token = [], [], None
    while True:
        body = await chunks_of(api, conversation, page_size=2, **({"page_token": token} if token else {}))
        chunks += body["chunks"]
        gaps += body["gaps"]
        token = body["next_page_token"]
        if token is None:
            break
    assert chunks == everything["chunks"]
    assert gaps == everything["gaps"]


async def test_a_flush_between_two_pages_leaves_no_hole(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(10))
    first = await chunks_of(api, conversation, page_size=3)
    await tape.drain(0, 8)
    rest = await chunks_of(api, conversation, page_size=100, page_token=first["next_page_token"])
    reached = max(chunk["end"] for chunk in first["chunks"])
    for chunk in rest["chunks"]:
        assert chunk["start"] <= reached
        reached = max(reached, chunk["end"])
    assert reached == "2023-11-14T22:13:30.000Z"


async def test_start_and_end_choose(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(10))
    body = await chunks_of(api, conversation, start=T0 / 1000 + 2, end="2023-11-14T22:13:24Z")
    assert [chunk["timestamp"] for chunk in body["chunks"]] == [
        "1700000001.993",
        "1700000002.993",
        "1700000003.993",
    ]
    answer = await api.get(conversation, "/chunks", start=5, end=4)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")


@pytest.mark.parametrize("query", [{"page_size": 0}, {"page_token": "AAAA"}, {"start": "x"}])
async def test_bad_parameters_are_refused(api, tape, conversation, pcm_tone, query):
    await tape.record(pcm_tone(1))
    assert (await api.get(conversation, "/chunks", **query)).status_code == 400
