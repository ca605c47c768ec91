"""The line before the bucket: what it does to a request, and what the bucket has done by then."""

import json

import httpx
import pytest
import pytest_asyncio

from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.faults.chaos.bucket_line import BucketLine, Spoil, op_of


@pytest.fixture(scope="module")
def gcs(tmp_path_factory):
    server = GcsServer.started(tmp_path_factory.mktemp("gcs") / "server")
    yield server
    server.stop()


@pytest.fixture
def bucket(gcs):
    return gcs.make_bucket()


@pytest_asyncio.fixture
async def line(gcs):
    running = await BucketLine(gcs.port).start()
    yield running
    await running.stop()


def put(http, bucket, name, data=b"some audio"):
    params = {"uploadType": "media", "name": name, "ifGenerationMatch": "0"}
    return http.post(f"/upload/storage/v1/b/{bucket}/o", params=params, content=data)


async def names(gcs, bucket):
    async with httpx.AsyncClient(base_url=gcs.url) as http:
        found = (await http.get(f"/storage/v1/b/{bucket}/o")).json()
    return [item["name"] for item in found.get("items", [])]


def client(line):
    return httpx.AsyncClient(base_url=line.url, timeout=20)


async def test_it_hands_on_what_it_is_not_told_to_spoil(gcs, line, bucket):
    async with client(line) as http:
        assert (await put(http, bucket, "a")).status_code == 200
        assert (await put(http, bucket, "a")).status_code == 412
        listed = (await http.get(f"/storage/v1/b/{bucket}/o")).json()
        assert [item["name"] for item in listed["items"]] == ["a"]
        back = await http.get(f"/storage/v1/b/{bucket}/o/a", params={"alt": "media"})
        assert back.content == b"some audio"
    assert not line.hits
    assert (line.requests["put"], line.requests["list"], line.requests["get"]) == (2, 1, 1)


@pytest.mark.parametrize("how", ["429", "500", "503", "403", "404"])
async def test_a_refusal_keeps_the_request_from_the_bucket(gcs, line, bucket, how):
    line.spoils.append(Spoil(how))
    async with client(line) as http:
        answer = await put(http, bucket, "a")
    assert answer.status_code == int(how)
    assert json.loads(answer.content)["error"]["code"] == int(how)
    assert line.hit(how) == 1
    assert await names(gcs, bucket) == []


@pytest.mark.parametrize("how", ["lose", "cut"])
async def test_a_lost_reply_is_one_to_work_that_was_done(gcs, line, bucket, how):
    line.spoils.append(Spoil(how))
    async with client(line) as http:
        with pytest.raises(httpx.TransportError):
            await put(http, bucket, "a")
    assert line.hit(how) == 1
    assert await names(gcs, bucket) == ["a"]


@pytest.mark.parametrize("how", ["reset", "away"])
async def test_a_line_that_is_reset_is_so_before_the_bucket_hears_of_it(gcs, line, bucket, how):
    if how == "away":
        line.away = frozenset({bucket})
    else:
        line.spoils.append(Spoil("reset"))
    async with client(line) as http:
        with pytest.raises(httpx.TransportError):
            await put(http, bucket, "a")
    assert line.hit(how) == 1
    assert await names(gcs, bucket) == []


async def test_a_garbled_answer_names_another_checksum(line, bucket):
    async with client(line) as http:
        right = (await put(http, bucket, "a")).json()
        line.spoils.append(Spoil("garble"))
        wrong = (await put(http, bucket, "b")).json()
    checksums = [answer.get("resource", answer)["crc32c"] for answer in (right, wrong)]
    assert checksums[0] != checksums[1]


async def test_one_bucket_is_spoiled_and_another_is_not(gcs, line, bucket):
    other = gcs.make_bucket()
    line.spoils.append(Spoil("503", bucket=bucket))
    async with client(line) as http:
        assert (await put(http, bucket, "a")).status_code == 503
        assert (await put(http, other, "a")).status_code == 200


async def test_it_comes_back_on_the_port_it_had(line, bucket):
    await line.stop()
    async with client(line) as http:
        with pytest.raises(httpx.ConnectError):
            await put(http, bucket, "a")
        await line.start()
        assert (await put(http, bucket, "a")).status_code == 200


@pytest.mark.parametrize(
    ("method", "target", "op"),
    [
        ("POST", "/upload/storage/v1/b/x/o?uploadType=multipart", "put"),
        ("GET", "/storage/v1/b/x/o?prefix=chunks", "list"),
        ("GET", "/storage/v1/b/x/o/chunks%2Fu?alt=media", "get"),
        ("GET", "/download/storage/v1/b/x/o/chunks%2Fu?alt=media", "get"),
        ("GET", "/storage/v1/b/x/o/chunks%2Fu", "head"),
        ("DELETE", "/storage/v1/b/x/o/chunks%2Fu", "delete"),
        ("POST", "/storage/v1/b/x/o/a/rewriteTo/b/x/o/b", "copy"),
        ("GET", "/storage/v1/b/x", "other"),
    ],
)
def test_what_a_request_is(method, target, op):
    assert op_of(method, target) == op
