"""Every route of the table against what strangers send: ids, times, pages and bodies that are none.

What is refused here must be refused before anything is done: the recording is there afterwards.
"""

import asyncio
import re
from contextlib import suppress

import pytest

from storage_api.routes import TABLE

V1 = [row for row in TABLE if row.path.startswith("/v1/")]
SERVICE = {"Authorization": "Bearer all-token"}

BAD_IDS = [
    "..", ".", "%2e%2e", "..%2f..", "a%2fb", "%2f", "%00", "a%00b", "-x", ".hidden", "a%20b", "%C3%A4", "%ff", "%",
    "%zz", "x" * 129, "a%0a", "a%0d%0aSet-Cookie:%20x", "*", "%3a", "%3Aflush", "%5c", "~", "a;b", "null%20",
]  # fmt: skip
BAD_MOMENTS = [
    "", "x", "-1", "1e3", "NaN", "Infinity", "0x10", "٣", "999999999999", "1.1234567890", "2023-02-30T00:00:00Z",
    "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "1969-12-31T23:59:59Z", "2023-11-14",
    "2023-11-14T22:13:20", "\0", "17000000001700000000170000000017000000001700000000",
]  # fmt: skip
BAD_DAYS = [
    "x", "", "2023-13-01", "2023-02-30", "0000-00-00", "10000-01-01", "20231114", "2023-11-14T00:00:00Z", "-1", "\0", "٣",
    "1700000000", "9" * 1000,
]  # fmt: skip
BAD_NUMBERS = [
    "0",
    "-1",
    "99999999999999999999",
    "1.0",
    "1e2",
    "٣",
    " 1",
    "+1",
    "0x1",
    "true",
    "\0",
    "9" * 5000,
]
BAD_FLAGS = ["True", "1", "0", "yes", "null", "\0", "true "]
BAD = {
    "start": BAD_MOMENTS,
    "end": BAD_MOMENTS,
    "timestamps": [*BAD_MOMENTS, ",", "1,x", "1," * 1000 + "1"],
    "from": [*BAD_DAYS, "9999-12-31"],
    "to": BAD_DAYS,
    "page_size": [*BAD_NUMBERS, "1001", ""],
    "page_token": ["x", "AAAA", "\0", "é", "%", "=" * 40, "A" * 2000, "../../x"],
    "live": BAD_FLAGS,
    "fill_gaps": BAD_FLAGS,
    "strict": BAD_FLAGS,
    "format": ["mp3", "OGG", "ogg ", "wav,pcm", "%6fgg", "\0", "o" * 5000],
    "sample_rate": [*BAD_NUMBERS, "8001", "44100", "96000"],
    "channels": [*BAD_NUMBERS, "3"],
    "samples_per_pixel": [*BAD_NUMBERS, "255", "257", "2097152"],
    "max_gap_s": [
        "-1",
        "",
        "NaN",
        "inf",
        "1e3",
        "0x1",
        "2678401",
        "9" * 400,
        "1.0001",
        "٣",
        ".5",
        "1.",
        "\0",
    ],
}
"""By the name of a parameter what it must not be: a parameter that is new has none, and fails."""


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row.method} {row.path}")


def path_of(row, other: str = "some-id") -> str:
    """The path to the recording of these tests."""
    return re.sub(r"\{\w+\}", other, row.path.replace("{uid}", "user-1").replace("{cid}", "conv-1"))


@pytest.fixture(autouse=True)
async def recorded(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(2))
    await tape.drain(0, len(tape.chunks))
    yield
    assert (await api.get(conversation)).json()["recorded_seconds"] == 2.0


async def refused(api, row, status: int, code: str, query: dict) -> None:
    answer = await api.http.request(row.method, path_of(row), params=query, headers=SERVICE)
    assert answer.status_code == status, query
    assert row.method == "HEAD" or answer.json()["code"] == code


@named([row for row in V1 if row.path_ids])
async def test_ids_that_are_none(api, row):
    for bad in BAD_IDS:
        for name in row.path_ids:
            path = path_of(row).replace("some-id", bad)
            if name in ("uid", "cid"):
                path = re.sub(r"\{\w+\}", "some-id", row.path.replace(f"{{{name}}}", bad))
            status, text = await raw(api, row.method, path)
            assert status in (400, 404, 405), path
            assert "application/problem+json" in text
            assert "Set-Cookie" not in text


async def raw(api, method: str, path: str) -> tuple[int, str]:
    """The very path on the wire: clients tidy dots away."""
    reader, writer = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Authorization: Bearer all-token", "Connection: close"]
    writer.write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return int(answer.split(" ")[1]), answer.partition("\r\n\r\n")[0]


@named([row for row in V1 if any(parameter.place == "query" for parameter in row.parameters)])
async def test_parameters_that_are_none(api, row):
    for parameter in row.parameters:
        if parameter.place == "query":
            code = "bad_page_token" if parameter.name == "page_token" else "bad_parameter"
            for bad in BAD[parameter.name]:
                await refused(api, row, 400, code, {parameter.name: bad})


@named([row for row in V1 if {"from", "to"} <= {parameter.name for parameter in row.parameters}])
async def test_days_backwards_and_too_many(api, row):
    for first, last in (
        ("2023-11-15", "2023-11-14"),
        ("1970-01-01", "9999-12-31"),
        ("2022-01-01", "2023-11-14"),
    ):
        await refused(api, row, 400, "bad_parameter", {"from": first, "to": last})


@named([row for row in V1 if {"start", "end"} <= {parameter.name for parameter in row.parameters}])
async def test_times_backwards(api, row):
    for start, end in (("1700000001", "1700000000"), ("1700000000", "1700000000"), ("99999999999", "0")):
        await refused(api, row, 400, "bad_parameter", {"start": start, "end": end})


@named([row for row in V1 if any(parameter.place == "query" for parameter in row.parameters)])
async def test_a_parameter_that_is_there_twice(api, row):
    for parameter in row.parameters:
        if parameter.place == "query":
            await refused(api, row, 400, "bad_parameter", {parameter.name: ["1", "1"]})


@named(V1)
async def test_a_path_longer_than_any(api, row):
    path = path_of(row)
    for long in (path + "?" + "x" * 200_000, path + "x" * 200_000):
        # Before a route is looked for. Who goes on sending sees the answer, or the end of the connection.
        with suppress(ConnectionError):
            assert (await raw(api, row.method, long))[0] in (400, 414, 431)
    if row.path_ids:
        long = re.sub(r"\{\w+\}", "i" * 9_000, row.path)
        assert (await raw(api, row.method, long))[0] == 400


@named([row for row in V1 if row.method == "GET" and row.name != "audio"])
async def test_a_range_where_there_is_none(api, row):
    """Whatever is asked for, the answer is as without."""
    plain = await api.http.get(path_of(row), headers=SERVICE)
    for asked in ("bytes=0-0", "bytes=9-1", "bytes=-", "items=0-1", "bytes=" + "9" * 1000 + "-"):
        answer = await api.http.get(path_of(row), headers={**SERVICE, "Range": asked, "If-Range": "x"})
        assert (answer.status_code, len(answer.content)) == (plain.status_code, len(plain.content))
        assert "content-range" not in answer.headers


@named([row for row in V1 if any(parameter.place == "query" for parameter in row.parameters)])
async def test_a_parameter_longer_than_any(api, row):
    name = next(parameter.name for parameter in row.parameters if parameter.place == "query")
    for size in (33_000, 60_000):
        answer = await api.http.request(
            row.method, path_of(row), params={name: "1" * size}, headers={**SERVICE, "Connection": "close"}
        )
        assert answer.status_code in (400, 431)


@named([row for row in V1 if row.method == "GET"])
async def test_unknown_parameters_are_ignored(api, row):
    query = {"unknown": "\0", "Start": "x", "": "", "start[]": "x"}
    plain = await api.http.get(path_of(row), headers=SERVICE)
    answer = await api.http.get(path_of(row), headers=SERVICE, params=query)
    assert answer.status_code == plain.status_code
    if answer.is_error:
        assert answer.json()["code"] == plain.json()["code"]
    else:
        assert answer.content == plain.content


@named([row for row in V1 if row.body is not None or "too_big" in row.codes])
async def test_a_body_over_the_limit(api, row):
    answer = await api.http.request(row.method, path_of(row), headers=SERVICE, content=bytes(65_537))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_big")


@named([row for row in V1 if row.body is not None])
async def test_bodies_that_are_none(api, row):
    none = [b""] if row.body_required else []
    for bad in (*none, b"{", b"null", b"[]", b'"x"', b"\xff", b'{"a":' * 5000, b'{"\\ud800":1}'):
        answer = await api.http.request(row.method, path_of(row), headers=SERVICE, content=bad)
        assert answer.status_code == 400, bad


@named([row for row in V1 if row.body is not None])
async def test_ids_in_bodies_that_are_none(api, row):
    """Every member that is an id has a right body here, in which it is exchanged: one that is new has none, and fails."""
    right = {
        "MergeConversations": {"sources": ["conv-1"], "target": "all", "delete_sources": False},
        "FlushBuffers": {"user_id": "user-1", "conversation_id": "conv-1"},
        "UserSettingsChange": {},
    }[row.body.__name__]
    ids = [name for name, value in right.items() if isinstance(value, str | list)]
    for name in ids:
        for bad in (
            "",
            "..",
            "a/b",
            "%2e%2e",
            "a\0b",
            "-x",
            ".x",
            "a b",
            "ä",
            "x" * 129,
            "a\n",
            "*",
            "a:flush",
            None,
            1,
            {},
        ):
            value = [bad] if isinstance(right[name], list) else bad
            body = {**right, name: value}
            answer = await api.http.request(row.method, path_of(row), headers=SERVICE, json=body)
            assert (answer.status_code, answer.json()["code"]) in ((400, "bad_json"), (400, "bad_id")), body


@named([row for row in V1 if row.body is None])
@pytest.mark.parametrize("size", [1000, 300_000])
async def test_a_body_that_nobody_asked_for(api, row, size):
    path = path_of(row).replace("user-1", "user-3")  # what deletes may do it there
    answer = await api.http.request(row.method, path, headers=SERVICE, content=b"x" * size)
    assert answer.status_code < 500
    assert (await api.http.get("/openapi.json")).status_code == 200


@named([row for row in V1 if any(parameter.name == "Range" for parameter in row.parameters)])
@pytest.mark.parametrize("form", ["ogg", "wav", "pcm"])
async def test_ranges_of_every_odd_kind(api, row, form):
    for asked in (
        "", "bytes", "bytes=", "bytes=-", "bytes=--1", "bytes=a-b", "bytes=0", "bytes=2-1", "bytes=-0", "bytes=0-0,2-3",
        "bytes=0-0, -1", "items=0-1", "bytes = 0-1", "bytes=0-1;", "bytes=+0-1", "bytes=0x0-0x1", "bytes=1e3-",
        "bytes=" + "9" * 18 + "-", "bytes=" + "9" * 1000 + "-", "bytes=" + ",".join("0-0" for _ in range(1000)),
        "bytes=-" + "9" * 30, "bytes=\xb2-",
    ):  # fmt: skip
        headers = {**SERVICE, "Range": asked.encode("latin-1")}
        answer = await api.http.get(path_of(row), params={"format": form}, headers=headers)
        assert answer.status_code in (200, 206, 416), asked
        if answer.status_code == 416:
            assert re.fullmatch(r"bytes \*/\d+", answer.headers["content-range"])
        else:
            assert len(answer.content) == int(answer.headers.get("content-length", len(answer.content)))
