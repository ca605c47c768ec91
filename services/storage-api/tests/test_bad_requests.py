"""Every route of the table against what strangers send: ids, times, pages and bodies that are none.

What is refused here must be refused before anything is done: the recording is there afterwards.
"""

import asyncio
import re

import pytest

from storage_api.routes import TABLE

V1 = [row for row in TABLE if row.path.startswith("/v1/")]
SERVICE = {"Authorization": "Bearer all-token"}

BAD_IDS = [
    "..", ".", "%2e%2e", "..%2f..", "a%2fb", "%2f", "%00", "a%00b", "-x", ".hidden", "a%20b", "%C3%A4", "%ff", "%",
    "%zz", "x" * 129, "a%0a", "a%0d%0aSet-Cookie:%20x", "*", "%3a", "%3Aflush", "%5c", "~", "a;b", "null%20",
]  # fmt: skip
BAD_MOMENTS = [
    "x", "-1", "1e3", "NaN", "Infinity", "0x10", "٣", "999999999999", "1.1234567890", "2023-02-30T00:00:00Z",
    "9999-12-31T23:59:59Z", "10000-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "1969-12-31T23:59:59Z", "2023-11-14",
    "2023-11-14T22:13:20", "\0", "17000000001700000000170000000017000000001700000000",
]  # fmt: skip
BAD_PAGE_SIZES = [
    "0",
    "-1",
    "1001",
    "99999999999999999999",
    "1.0",
    "1e2",
    "٣",
    " 1",
    "+1",
    "0x1",
    "true",
    "\0",
]
BAD_FLAGS = ["True", "1", "0", "yes", "null", "\0", "true "]


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row.method} {row.path}")


def taking(*names: str):
    """The rows that take one of these, and which."""
    found = [
        pytest.param(row, parameter.name, id=f"{row.method} {row.path} {parameter.name}")
        for row in V1
        for parameter in row.parameters
        if parameter.name in names
    ]
    return pytest.mark.parametrize(("row", "name"), found)


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


@taking("start", "end", "timestamps")
async def test_times_that_are_none(api, row, name):
    for bad in BAD_MOMENTS:
        await refused(api, row, 400, "bad_parameter", {name: bad})


@named([row for row in V1 if {"start", "end"} <= {parameter.name for parameter in row.parameters}])
async def test_times_backwards(api, row):
    for start, end in (("1700000001", "1700000000"), ("1700000000", "1700000000"), ("99999999999", "0")):
        await refused(api, row, 400, "bad_parameter", {"start": start, "end": end})


@taking("page_size")
async def test_pages_of_no_size(api, row, name):
    for bad in BAD_PAGE_SIZES:
        await refused(api, row, 400, "bad_parameter", {name: bad})


@taking("page_token")
async def test_page_tokens_that_nobody_gave(api, row, name):
    for bad in ("x", "AAAA", "\0", "é", "%", "=" * 40, "A" * 2000, "../../x"):
        await refused(api, row, 400, "bad_page_token", {name: bad})


@taking("live", "fill_gaps", "strict")
async def test_flags_that_are_neither(api, row, name):
    for bad in BAD_FLAGS:
        await refused(api, row, 400, "bad_parameter", {name: bad})


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(row, parameter.name, id=f"{row.method} {row.path} {parameter.name}")
        for row in V1
        for parameter in row.parameters
        if parameter.place == "query"
    ],
)
async def test_a_parameter_that_is_there_twice(api, row, name):
    await refused(api, row, 400, "bad_parameter", {name: ["1", "1"]})


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
    for bad in (b"", b"{", b"null", b"[]", b'"x"', b"\xff", b'{"a":' * 5000, b'{"\\ud800":1}'):
        answer = await api.http.request(row.method, path_of(row), headers=SERVICE, content=bad)
        assert answer.status_code == 400, bad


@named([row for row in V1 if row.body is None])
async def test_a_body_that_nobody_asked_for(api, row):
    path = path_of(row).replace("user-1", "user-3")  # what deletes may do it there
    answer = await api.http.request(row.method, path, headers=SERVICE, content=b"x" * 1000)
    assert answer.status_code < 500


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
