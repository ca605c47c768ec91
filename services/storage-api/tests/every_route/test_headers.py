"""Headers that are described, met: that nothing is described which is never sent.

The other way, that nothing else is sent and nothing lacks, is looked at with every answer of these tests (see conftest).
"""

from collections import defaultdict

from audiobus.errors import BusUnavailableError
from storage_api.answer_headers import answer_headers
from storage_api.services import LIVE_HEADER

AUDIO = ({"format": "wav"}, {"format": "ogg"})


async def met(house, row, *, of_audio: bool) -> dict[int, set[str]]:
    """By status the headers that were sent."""
    queries = AUDIO if of_audio else (None,)
    answers = [await house.ask(row, None), await house.ask(row, "none-token")]
    if "cid" in row.path_ids:
        answers.append(await house.ask(row, path=house.path(row, cid="nothing")))
    for query in queries:
        whole = await house.ask(row, query=query)
        answers.append(whole)
        if of_audio:
            nowhere = {**query, "start": "1600000000", "end": "1600000001"}
            given = (
                {"Range": "bytes=0-9"},
                {"If-None-Match": whole.headers["etag"]},
                {"Range": "bytes=99999999-"},
            )
            answers += [await house.ask(row, query=query, headers=headers) for headers in given]
            answers.append(await house.ask(row, query=nowhere))
    found = defaultdict(set)
    for answer in answers:
        found[answer.status_code].update(name.lower() for name in answer.headers)
    return found


async def test_what_is_described_is_sent(house, row, asked):
    of_audio = row.name == "audio" and row.method in ("GET", "HEAD")
    found = await met(house, row, of_audio=of_audio)
    assert {asked.status, 401, 403} <= found.keys()
    if of_audio:
        assert found.keys() >= ({200, 304, 404, 206, 416} if row.method == "GET" else {200, 304, 404})
    for status, sent in found.items():
        told = {name.lower() for name in answer_headers(row, status)} - {LIVE_HEADER.lower()}
        if row.name == "waveform" and status == 404:
            told.discard("tapedeck-missing")  # of `no_audio`, which this was not
        assert told <= sent, status


async def test_that_the_live_part_is_not_known_is_said(house, rows, monkeypatch):
    async def away(*_):
        raise BusUnavailableError("HGETALL: no answer")

    monkeypatch.setattr("storage_api.recording.noted", away)
    names = {"conversation", "chunks", "recordings", "audio", "waveform"}
    told = [row for row in rows.values() if row.name in names and row.method in ("GET", "HEAD")]
    assert len(told) == 6
    for row in told:
        assert LIVE_HEADER in row.headers[200]
        assert (await house.ask(row)).headers[LIVE_HEADER] == "unavailable"


async def test_what_strict_misses_is_in_the_problem(house, rows, monkeypatch):
    async def away(*_):
        raise BusUnavailableError("HGETALL: no answer")

    monkeypatch.setattr("storage_api.recording.noted", away)
    row = rows["GET /v1/users/{uid}/conversations/{cid}/audio"]
    answer = await house.ask(row, query={"format": "wav", "strict": "true"})
    described = (await house.api.http.get("/openapi.json")).json()["components"]["schemas"]["Problem"]
    told = answer.json()
    assert (answer.status_code, told["code"], told["missing"], told["live"]) == (502, "incomplete", 0, False)
    assert told.keys() <= described["properties"].keys()
