import asyncio
import gzip
import json

import jwt
import pytest

from servicekit.auth import UserTokens
from servicekit.errors import AuthError
from servicekit.groups import AuthSettings
from servicekit.health import Check, Health
from servicekit.jwks import CHECK, MAX_JWKS_BYTES, MAX_WAITING, Jwks
from servicekit.jwks_metrics import JwksMetrics
from servicekit.metrics import Metrics


class Issuer:
    """An ASGI app that serves a JWKS, or what a test wants it to."""

    def __init__(self):
        self.keys = []
        self.status = 200
        self.body = None
        self.fetches = 0
        self.open = asyncio.Event()
        self.open.set()
        self.headers = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.fetches += 1
        body = json.dumps({"keys": self.keys}).encode() if self.body is None else self.body
        await self.open.wait()
        headers = [(b"content-length", str(len(body)).encode()), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def issuer(served):
    app = Issuer()
    async with served(app, graceful_s=0.1) as url:
        app.url = f"{url}/jwks"
        yield app
        app.open.set()


@pytest.fixture
def metrics():
    return Metrics("listen", "0")


async def test_tokens_of_an_issuer(issuer, ec_key, jwk, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with UserTokens(AuthSettings(jwks_url=issuer.url), metrics) as tokens:
        for headers in ({"kid": "a"}, {}, {"kid": "a"}):
            claims = await tokens.verify(jwt.encode({"sub": "alice"}, ec_key, "ES256", headers=headers))
            assert claims.uid == "alice"
    assert issuer.fetches == 1


async def test_one_fetch_at_a_time(issuer, ec_key, jwk, eventually, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    issuer.open.clear()
    async with Jwks(issuer.url, JwksMetrics(metrics)) as jwks:
        waiting = [asyncio.create_task(jwks.keys("a")) for _ in range(50)]
        await eventually(lambda: issuer.fetches)
        issuer.open.set()
        assert {len(await task) for task in waiting} == {1}
    assert issuer.fetches == 1


async def test_a_rotated_key_is_fetched_when_its_token_comes_and_the_old_one_is_gone(
    issuer, ec_key, ed_key, jwk, metrics
):
    issuer.keys = [jwk(ec_key, kid="old")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=0) as jwks:
        assert [key.key_id for key in await jwks.keys("old")] == ["old"]
        issuer.keys = [jwk(ed_key, kid="new")]
        assert [key.key_id for key in await jwks.keys("new")] == ["new"]
    assert issuer.fetches == 2


async def test_made_up_key_ids_do_not_hammer_the_issuer(issuer, ec_key, jwk, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=0.2) as jwks:
        await jwks.keys("a")
        for round_ in range(1, 4):
            asked = [jwks.keys(f"made up {number}") for number in range(100)]
            assert {len(keys) for keys in await asyncio.gather(*asked)} == {1}
            assert issuer.fetches == 1 + round_


async def test_within_the_cooldown_only_a_few_wait_and_the_others_are_judged_by_the_set_just_fetched(
    issuer, ec_key, jwk, eventually, metrics
):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=3_600) as jwks:
        await jwks.keys("a")
        asked = [asyncio.create_task(jwks.keys(f"made up {number}")) for number in range(100)]
        await eventually(lambda: sum(task.done() for task in asked) == 100 - MAX_WAITING)
        assert {len(task.result()) for task in asked if task.done()} == {1}
        assert issuer.fetches == 1
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)


async def test_a_key_that_is_published_within_the_cooldown_is_waited_for(
    issuer, ec_key, ed_key, jwk, metrics
):
    issuer.keys = [jwk(ec_key, kid="old")]
    async with UserTokens(AuthSettings(jwks_url=issuer.url), metrics) as tokens:
        await tokens.verify(jwt.encode({"sub": "alice"}, ec_key, "ES256", headers={"kid": "old"}))
        issuer.keys.append(jwk(ed_key, kid="new"))
        claims = await tokens.verify(jwt.encode({"sub": "bob"}, ed_key, "EdDSA", headers={"kid": "new"}))
        assert claims.uid == "bob"
        with pytest.raises(AuthError) as caught:
            await tokens.verify(jwt.encode({"sub": "eve"}, ec_key, "ES256", headers={"kid": "made up"}))
        assert caught.value.code == "unauthorized"
    assert issuer.fetches == 3


async def test_a_key_that_is_published_while_a_fetch_is_under_way_is_waited_for(
    issuer, ec_key, jwk, eventually, metrics
):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=0) as jwks:
        await jwks.keys("a")
        issuer.open.clear()
        made_up = asyncio.create_task(jwks.keys("made up"))
        await eventually(lambda: issuer.fetches == 2)
        issuer.keys = [jwk(ec_key, kid="b")]
        asked = asyncio.create_task(jwks.keys("b"))
        await eventually(lambda: jwks._waiting == 2)
        issuer.open.set()
        assert [key.key_id for key in await asked] == ["b"]
        assert [key.key_id for key in await made_up] in (["a"], ["b"])
    assert issuer.fetches == 3


@pytest.mark.parametrize("what", ["500", "302", "junk", "empty", "too long", "hanging"])
async def test_an_unknown_key_id_cannot_be_checked_while_the_issuer_cannot_be_asked(
    issuer, ec_key, ed_key, jwk, monkeypatch, metrics, what
):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=0.1) as jwks:
        await jwks.keys("a")
        monkeypatch.setattr("servicekit.jwks.FETCH_TIMEOUT_S", 0.3)
        match what:
            case "500" | "302":
                issuer.status = int(what)
            case "hanging":
                issuer.open.clear()
            case _:
                bodies = {"junk": b"oops", "empty": b'{"keys":[]}', "too long": b" " * MAX_JWKS_BYTES * 2}
                issuer.body = bodies[what]
        for _ in range(3):
            with pytest.raises(AuthError) as caught:
                await jwks.keys("b")
            assert (caught.value.code, caught.value.retryable) == ("unavailable", True)
        assert [key.key_id for key in await jwks.keys("a")] == ["a"]
        issuer.open.set()
        issuer.status, issuer.body, issuer.keys = 200, None, [jwk(ed_key, kid="b")]
        async with asyncio.timeout(60):
            while True:
                try:
                    found = await jwks.keys("b")
                except AuthError as error:
                    assert error.retryable
                    await asyncio.sleep(0.02)
                else:
                    break
        assert [key.key_id for key in found] == ["b"]


async def test_it_is_refreshed_in_the_background(issuer, ec_key, ed_key, jwk, eventually, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), refresh_s=0.02) as jwks:
        await jwks.keys("a")
        issuer.keys = [jwk(ed_key, kid="b")]
        await eventually(lambda: jwks._keys[0].key_id == "b")


async def test_a_compressed_answer_is_not_unpacked(issuer, ec_key, jwk, eventually, caplog, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), refresh_s=0.02) as jwks:
        await jwks.keys("a")
        issuer.body = gzip.compress(bytes(64 * 1024 * 1024))
        issuer.headers = [(b"content-encoding", b"gzip")]
        await eventually(lambda: caplog.records)
        assert [key.key_id for key in await jwks.keys("a")] == ["a"]
    assert "compressed" in caplog.records[0].reason


async def test_an_issuer_that_hangs_holds_up_only_a_few_unknown_keys(
    issuer, ec_key, jwk, eventually, metrics
):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=0) as jwks:
        await jwks.keys("a")
        issuer.open.clear()
        waiting = [asyncio.create_task(jwks.keys(f"made up {number}")) for number in range(MAX_WAITING)]
        await eventually(lambda: issuer.fetches == 2)
        async with asyncio.timeout(60):
            for number in range(500):
                with pytest.raises(AuthError) as caught:
                    await jwks.keys(f"more {number}")
                assert caught.value.code == "unavailable"
            assert [key.key_id for key in await jwks.keys("a")] == ["a"]
        assert not any(task.done() for task in waiting)
        issuer.open.set()
        assert {len(await task) for task in waiting} == {1}
    assert issuer.fetches == 2


async def test_a_fetch_that_never_ends_is_given_up(issuer, ec_key, jwk, monkeypatch, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), cooldown_s=0) as jwks:
        await jwks.keys("a")
        monkeypatch.setattr("servicekit.jwks.FETCH_TIMEOUT_S", 0.3)
        issuer.open.clear()
        with pytest.raises(AuthError) as caught:
            await jwks.keys("b")
        assert caught.value.code == "unavailable"
        monkeypatch.setattr("servicekit.jwks.FETCH_TIMEOUT_S", 60.0)
        issuer.open.set()
        issuer.keys = [jwk(ec_key, kid="b")]
        assert [key.key_id for key in await jwks.keys("b")] == ["b"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, None), (302, None), (200, b"oops"), (200, b'{"keys":[]}'), (200, b" " * (MAX_JWKS_BYTES + 1))],
)
async def test_the_last_good_set_is_kept(issuer, ec_key, jwk, eventually, caplog, status, body, metrics):
    issuer.keys = [jwk(ec_key, kid="a")]
    async with Jwks(issuer.url, JwksMetrics(metrics), refresh_s=0.02) as jwks:
        await jwks.keys("a")
        issuer.status, issuer.body = status, body
        issuer.headers = [(b"location", b"/elsewhere")]
        await eventually(lambda: caplog.records)
        assert [key.key_id for key in await jwks.keys("a")] == ["a"]
    assert caplog.records[0].keys_kept == 1


async def test_an_issuer_that_is_away_is_no_reason_not_to_start(closed_port, metrics):
    async with Jwks(f"http://127.0.0.1:{closed_port}/", JwksMetrics(metrics)) as jwks:
        with pytest.raises(AuthError) as caught:
            await jwks.keys(None)
    assert (caught.value.code, caught.value.retryable) == ("unavailable", True)


async def test_leaving_in_the_middle_of_a_fetch(issuer, eventually, metrics):
    issuer.open.clear()
    async with Jwks(issuer.url, JwksMetrics(metrics)):
        await eventually(lambda: issuer.fetches)


async def test_without_a_set_it_is_not_ready_and_with_a_stale_one_it_is(
    issuer, ec_key, jwk, eventually, monkeypatch, metrics
):
    monkeypatch.setattr("servicekit.jwks.RETRY_S", (0.01,))
    issuer.keys, issuer.status, health = [jwk(ec_key, kid="a")], 500, Health()
    async with Jwks(issuer.url, JwksMetrics(metrics), health, refresh_s=0.01):
        assert (health.ready, health.checks[CHECK].detail) == (False, "not checked yet")
        await eventually(lambda: "none was ever fetched" in health.text())
        assert f"every user token is refused: {issuer.url} answered 500" in health.text()
        assert not health.ready
        issuer.status = 200
        await eventually(lambda: health.ready)
        assert health.checks[CHECK] == Check("ok")
        issuer.status = 500
        await eventually(lambda: health.checks[CHECK].state == "warning")
        assert health.ready
        assert (
            f"the last good set is kept, and cannot be fetched anew: {issuer.url} answered 500"
            in health.text()
        )
        issuer.status = 200
        await eventually(lambda: health.checks[CHECK] == Check("ok"))


@pytest.mark.parametrize("what", ["away", "500", "junk", "compressed", "none", "too long", "no key"])
async def test_a_password_in_the_address_is_used_and_told_nowhere(
    issuer, closed_port, eventually, caplog, metrics, what
):
    health, host = Health(), issuer.url.removeprefix("http://")
    url = f"http://me:hush@{host}?token=hush"
    match what:
        case "away":
            url = f"http://me:hush@127.0.0.1:{closed_port}/jwks?token=hush"
        case "500":
            issuer.status = 500
        case "junk":
            issuer.body = b"oops"
        case "too long":
            issuer.body = b" " * (MAX_JWKS_BYTES + 1)
        case "no key":
            issuer.keys = [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]
        case "compressed":
            issuer.headers = [(b"content-encoding", b"gzip")]
        case "none":
            url = "http://me:hush@host:port/"
    caplog.set_level("INFO", "servicekit")
    async with Jwks(url, JwksMetrics(metrics), health):
        await eventually(lambda: health.checks[CHECK].detail != "not checked yet")
        with pytest.raises(AuthError) as caught:
            await asyncio.wait_for(_refused(url), 60)
    said = health.text() + str(caught.value) + "".join(str(vars(record)) for record in caplog.records)
    assert "hush" not in said
    assert "://…@" in said


async def _refused(url):
    async with Jwks(url, JwksMetrics(Metrics("listen", "0"))) as jwks:
        await jwks.keys("a")
