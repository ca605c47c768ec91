"""Who gets in, over real sockets and with a real issuer: its keys rotated, away, hanging, answering nonsense; guessers held back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from websockets.exceptions import InvalidStatus

from listen.failed_auth import FAILURES
from listen.ticket_rate import TICKETS_MOST

ISSUER = "https://issuer.example"
AUDIENCE = "tapedeck"


class Issuer:
    """An HTTP server that answers every request with a JWKS, or what a test wants it to."""

    def __init__(self) -> None:
        self.keys: list[dict] = []
        self.answer: bytes | None = None
        """The whole answer, head and body."""
        self.hangs = False
        self.fetches = 0
        self.paths: list[str] = []
        self._held: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._held:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.paths.append(head.split()[1].decode())
        self.fetches += 1
        if self.hangs:
            self._held.append(writer)
            return
        body = json.dumps({"keys": self.keys}).encode()
        writer.write(self.answer or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
_KINDS = {
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def jwk(algorithm: str, kid: str) -> dict:
    return {**json.loads(_KINDS[algorithm].to_jwk(KEYS[algorithm].public_key())), "kid": kid}


def signed(algorithm: str = "ES256", kid: str = "a", uid: str = "alice", **claims) -> str:
    payload = {"sub": uid, "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    payload = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(payload, KEYS[algorithm], algorithm, headers={"kid": kid})


@pytest_asyncio.fixture
async def issuer() -> AsyncIterator[Issuer]:
    running = Issuer()
    running.keys = [jwk("ES256", "a")]
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def make_jwks_service(make_service, issuer):
    def make(**environ):
        service = make_service(
            TAPEDECK_JWT_JWKS_URL=issuer.url,
            TAPEDECK_JWT_ISSUER=ISSUER,
            TAPEDECK_JWT_AUDIENCE=AUDIENCE,
            TAPEDECK_AUTH="jwt",
            **environ,
        )
        del service.environ["TAPEDECK_JWT_SECRET_FILE"]
        return service

    return make


async def status(service, bearer: str, **options) -> int:
    """What a handshake is answered with."""
    try:
        async with service.connect(bearer=bearer, **options) as client:
            await client.hear("ready")
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def test_tokens_of_every_kind_of_key_and_by_every_way_in(make_jwks_service, issuer):
    issuer.keys = [jwk(algorithm, algorithm) for algorithm in KEYS]
    async with make_jwks_service().here() as service:
        for algorithm in KEYS:
            assert await status(service, signed(algorithm, algorithm)) == 101
        async with service.connect(
            bearer="", subprotocols=["tapedeck.v1", f"tapedeck.bearer.{signed('RS256', 'RS256')}"]
        ) as client:
            await client.hear("ready")
        async with service.connect(path="/v4/web/listen", bearer="") as client:
            await client.say(type="auth", token=signed("EdDSA", "EdDSA"))
            await client.hear("ready")
    assert issuer.fetches == 1


async def test_tokens_of_others_for_others_and_of_no_algorithm_of_ours(make_jwks_service):
    forged = jwt.encode(
        {"sub": "a"}, "a secret that is long enough to sign with", "HS256", headers={"kid": "a"}
    )
    none = jwt.encode({"sub": "a"}, None, "none", headers={"kid": "a"})
    stranger = jwt.encode(
        {"sub": "a", "iss": ISSUER, "aud": AUDIENCE},
        ec.generate_private_key(ec.SECP256R1()),
        "ES256",
        headers={"kid": "a", "jku": "http://127.0.0.1:1/", "jwk": jwk("RS256", "a")},
    )
    async with make_jwks_service().here() as service:
        for wrong in (
            forged,
            none,
            stranger,
            signed(iss="https://evil.example"),
            signed(iss=None),
            signed(aud="billing"),
            signed(aud=None),
            signed(nbf=int(time.time()) + 600),
            signed(exp=int(time.time()) - 600),
            "x" * 20_000,
            signed() + "A",
        ):
            assert await status(service, wrong) == 401
        assert await status(service, signed()) == 101


async def test_the_last_good_keys_stay_whatever_becomes_of_the_issuer(make_jwks_service, issuer):
    async with make_jwks_service().here() as service:
        assert await status(service, signed()) == 101
        for answer in (
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops",
            b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}',
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        ):
            issuer.answer = answer
            assert await status(service, signed(kid="unknown")) == 503
            assert await status(service, signed()) == 101
        await issuer.stop()
        assert await status(service, signed()) == 101
        metrics = await service.metrics()
        assert metrics['tapedeck_jwks_fetches_total{outcome="ok"}'] == 1
        assert 0 < metrics["tapedeck_jwks_age_seconds"] < 60
        assert "/elsewhere" not in issuer.paths, "keys come from where the settings say, and nowhere else"
    await issuer.start()


async def test_an_issuer_that_hangs_holds_up_only_who_needs_it(make_jwks_service, issuer):
    async with make_jwks_service().here() as service:
        assert await status(service, signed()) == 101
        # Floods of made-up key ids: one fetch at a time, and not for every token.
        assert set(
            await asyncio.gather(*(status(service, signed(kid=f"made-up-{n}")) for n in range(20)))
        ) == {401}
        assert issuer.fetches == 2
        issuer.hangs = True
        assert await status(service, signed()) == 101


async def test_while_the_issuer_cannot_be_asked_an_unknown_key_is_503_and_no_guess(make_jwks_service, issuer):
    async with make_jwks_service(TAPEDECK_TRUSTED_PROXIES="127.0.0.0/8").here() as service:
        headers = {"X-Forwarded-For": "8.8.8.8"}
        assert await status(service, signed(), headers=headers) == 101
        issuer.answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
        asked = (status(service, signed(kid="new"), headers=headers) for _ in range(2 * FAILURES))
        assert set(await asyncio.gather(*asked)) == {503}
        bearer = f"tapedeck.bearer.{signed(kid='new')}"
        async with service.connect(
            bearer="", subprotocols=["tapedeck.v1", bearer], headers=headers
        ) as browser:
            assert await browser.closed() == 1013
            assert browser.codes == ["unavailable"]
        assert (await ask(service, signed(kid="new"), **headers)).status_code == 503
        assert await status(service, signed(), headers=headers) == 101
        # It answers again, and does not know that key: now they are guesses.
        issuer.answer = None
        async with asyncio.timeout(60):
            while await status(service, signed(kid="new"), headers=headers) != 401:
                await asyncio.sleep(0.05)
        asked = (status(service, signed(kid="new"), headers=headers) for _ in range(2 * FAILURES))
        assert set(await asyncio.gather(*asked)) <= {401, 429}
        assert await status(service, signed(), headers=headers) == 429


async def test_no_key_yet_is_503_with_a_time_to_come_back_and_then_all_is_well(make_jwks_service, issuer):
    """Not ready, as well: clients are sent to others, if there are any. Whoever comes all the same is told."""
    await issuer.stop()
    async with make_jwks_service().here(readiness=503) as service:
        with pytest.raises(InvalidStatus) as refused:
            async with service.connect(bearer=signed()):
                pass
        assert refused.value.response.status_code == 503
        assert 5 <= int(refused.value.response.headers["retry-after"]) <= 15
        await issuer.start()
        async with asyncio.timeout(60):
            while await status(service, signed()) != 101:
                await asyncio.sleep(0.05)


async def test_a_guesser_is_held_back_and_nobody_else(make_service, sign):
    service = make_service(TAPEDECK_TRUSTED_PROXIES="127.0.0.0/8")
    guesser, neighbour = {"X-Forwarded-For": "8.8.8.8"}, {"X-Forwarded-For": "8.8.4.4"}
    async with service.here():
        answers = [await status(service, "nonsense", headers=guesser) for _ in range(FAILURES + 1)]
        assert answers.count(401) == FAILURES
        assert answers[-1] == 429
        with pytest.raises(InvalidStatus) as refused:
            async with service.connect(headers=guesser):
                pass
        assert json.loads(refused.value.response.body)["code"] == "limit"
        assert int(refused.value.response.headers["retry-after"]) > 0
        assert await status(service, sign(), headers=neighbour) == 101
        assert (await service.metrics())['tapedeck_refused_total{reason="failed_auth"}'] >= 2


@pytest.mark.parametrize("proxies", ["", "10.0.0.0/8"])
async def test_at_an_address_that_is_not_public_nobody_is_held_back(make_service, sign, proxies):
    environ = {"TAPEDECK_TRUSTED_PROXIES": proxies} if proxies else {}
    async with make_service(**environ).here() as service:
        for headers in ({}, {"X-Forwarded-For": "8.8.8.8"}):
            for _ in range(FAILURES + 5):
                assert await status(service, "nonsense", headers=headers) == 401
            assert await status(service, sign(), headers=headers) == 101


async def test_a_header_of_ones_own_makes_no_guesser_uncertain(make_service, sign, monkeypatch):
    monkeypatch.setattr(
        "listen.admission.is_public", lambda _address: True
    )  # loopback stands for a public peer
    async with make_service(TAPEDECK_TRUSTED_PROXIES="10.0.0.0/8").here() as service:
        for number in range(FAILURES):
            headers = {"X-Forwarded-For": f"8.8.8.{number}"}
            assert await status(service, "nonsense", headers=headers) == 401
        assert await status(service, "nonsense", headers={"X-Forwarded-For": "9.9.9.9"}) == 429
        assert await status(service, sign(), headers={}) == 429
    async with make_service().here() as service:  # nobody has said which proxies there are: it may be one's
        for _ in range(FAILURES + 5):
            assert await status(service, "nonsense", headers={"X-Forwarded-For": "9.9.9.9"}) == 401


async def test_a_proxy_that_names_no_client_is_not_locked_out(make_service, sign, monkeypatch):
    monkeypatch.setattr(
        "listen.admission.is_public", lambda _address: True
    )  # loopback stands for a public peer
    async with make_service(TAPEDECK_TRUSTED_PROXIES="127.0.0.0/8").here() as service:
        for _ in range(FAILURES + 5):
            assert await status(service, "nonsense") == 401
            assert (await ask(service, "nonsense")).status_code == 401
        assert await status(service, sign()) == 101


async def test_first_messages_that_were_waited_for_together_are_held_back_as_well(make_service, sign):
    service = make_service(TAPEDECK_TRUSTED_PROXIES="127.0.0.0/8")
    guesser = {"X-Forwarded-For": "8.8.8.8"}
    async with service.here(), AsyncExitStack() as stack:
        strangers = [
            await stack.enter_async_context(
                service.connect(path="/v4/web/listen", bearer="", headers=guesser)
            )
            for _ in range(3 * FAILURES)
        ]
        for stranger in strangers:
            await stranger.say(type="auth", token="nonsense")
        codes = [await stranger.closed() for stranger in strangers]
        assert set(codes) == {4401, 4429}
        held_back = strangers[codes.index(4429)]
        assert held_back.codes == ["limit"]
        assert held_back.texts[0]["retry_after_ms"] > 0
        async with asyncio.timeout(60):
            while await status(service, sign(), headers=guesser) != 101:
                await asyncio.sleep(0.05)


async def test_expired_tokens_are_no_guesses(make_service, sign):
    async with make_service(TAPEDECK_TRUSTED_PROXIES="127.0.0.0/8").here() as service:
        headers = {"X-Forwarded-For": "8.8.8.8"}
        for _ in range(FAILURES + 5):
            assert await status(service, sign(exp=5), headers=headers) == 401
        assert await status(service, sign(), headers=headers) == 101


async def ask(service, bearer: str, **headers: str) -> httpx.Response:
    """What a request for a ticket is answered with."""
    async with httpx.AsyncClient(base_url=service.http) as http:
        return await http.post("/v1/tickets", headers={"Authorization": f"Bearer {bearer}", **headers})


async def test_who_guesses_at_tickets_is_held_back_as_at_sockets_and_nobody_else(make_service, sign):
    service = make_service(TAPEDECK_TRUSTED_PROXIES="127.0.0.0/8")
    guesser, neighbour = {"X-Forwarded-For": "9.9.9.9, 8.8.8.8"}, {"X-Forwarded-For": "8.8.8.8, 8.8.4.4"}
    async with service.here():
        guesses = await asyncio.gather(*(ask(service, "nonsense", **guesser) for _ in range(2 * FAILURES)))
        answers = [guess.status_code for guess in guesses]
        assert set(answers) == {401, 429}
        assert answers.count(401) >= FAILURES
        refused = await ask(service, sign(), **guesser)
        assert (refused.status_code, refused.json()["code"]) == (429, "limit")
        assert int(refused.headers["retry-after"]) > 0
        assert await status(service, sign(), headers=guesser) == 429
        assert (await ask(service, sign(), **neighbour)).status_code == 201
        metrics = await service.metrics()
        assert metrics['tapedeck_refused_total{reason="failed_auth"}'] == answers.count(429) + 2
        assert metrics['tapedeck_refused_total{reason="unauthorized"}'] == answers.count(401)


async def test_tickets_are_not_held_back_by_an_address_that_may_be_many_clients(service, sign):
    for headers in ({}, {"X-Forwarded-For": "8.8.8.8"}):
        for _ in range(FAILURES + 5):
            assert (await ask(service, "nonsense", **headers)).status_code == 401
        assert (await ask(service, sign(), **headers)).status_code == 201


async def test_a_user_may_ask_for_so_many_tickets_and_others_do_not_notice(service, sign):
    asked = (ask(service, sign(), Origin="https://app.example") for _ in range(2 * TICKETS_MOST))
    answers = await asyncio.gather(*asked)
    codes = [answer.status_code for answer in answers]
    assert set(codes) == {201, 429}
    assert codes.count(201) >= TICKETS_MOST
    refused = answers[codes.index(429)]
    assert refused.json()["code"] == "limit"
    assert int(refused.headers["retry-after"]) > 0
    assert "retry-after" in refused.headers["access-control-expose-headers"].lower()
    assert (await ask(service, sign("bob"))).status_code == 201
    metrics = await service.metrics()
    assert metrics['tapedeck_refused_total{reason="tickets_of_user"}'] == codes.count(429)


async def ticket(service, bearer: str) -> str:
    async with httpx.AsyncClient(base_url=service.http) as http:
        answer = await http.post("/v1/tickets", headers={"Authorization": f"Bearer {bearer}"})
    assert answer.status_code == 201
    return str(answer.json()["ticket"])


async def test_a_ticket_lasts_no_longer_than_its_token(service, sign):
    expires_at = int(time.time()) + 2
    used, kept = [await ticket(service, sign(exp=expires_at)) for _ in range(2)]
    async with service.connect(f"ticket={used}", bearer="") as client:
        await client.hear("ready")
        assert await client.closed() == 4401
        assert client.codes == ["token_expired"]
    assert time.time() >= expires_at
    async with service.connect(f"ticket={kept}", bearer="") as client:
        assert await client.closed() == 4401
        assert [text["type"] for text in client.texts] == ["error"]
        assert client.codes == ["token_expired"]
