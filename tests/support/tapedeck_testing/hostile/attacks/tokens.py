"""Tokens that must open nothing: of others, expired, unsigned, confused, enormous; and every way to send one.

The `jku` of some of them names an address where this process listens: nobody may come and ask.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.forgery import FAR, RsaKey, b64, signed, unsigned
from tapedeck_testing.hostile.frames import TEXT, frame
from tapedeck_testing.hostile.heads import UPGRADE, head
from tapedeck_testing.hostile.peer import LOOPBACK
from tapedeck_testing.hostile.server import SECRET, V1, Server

REFUSED: Final = ("HTTP 401",)
EXPIRED: Final = ("HTTP 401",)
CLOSED: Final = ("close 4401 unauthorized",)
HS: Final = {"alg": "HS256", "typ": "JWT"}
GOOD: Final = {"sub": "mallory", "exp": FAR}
SUBJECTS: Final[tuple[Any, ...]] = (7, None, [], {}, True, "")
"""What names nobody."""
TOO_LARGE: Final = ("HTTP 431", "HTTP 401", "HTTP 400")


async def _offer(
    server: Server, headers: Sequence[tuple[bytes, bytes]], target: bytes = b"/v4/listen"
) -> str:
    async with await server.connect() as peer:
        await peer.send(head(target, (*UPGRADE, *headers)))
        heard = await peer.hear(
            lambda heard: (
                heard.last("ready") is not None
                or heard.close_code is not None
                or heard.status not in (None, 101)
            )
        )
        return "accepted" if heard.last("ready") is not None else str(heard)


def bears(name: str, token: str | Callable[[], str], right: Sequence[str] = REFUSED) -> Attack:
    """An attack that sends a token as a bearer's."""

    async def run(server: Server) -> str:
        made = token if isinstance(token, str) else token()
        return await _offer(server, ((b"Authorization", b"Bearer " + made.encode()), V1))

    return Attack(name=f"token: {name}", run=run, right=tuple(right), wire=False, times=3)


def _claims(**claims: Any) -> str:
    return signed(HS, {**GOOD, **claims}, SECRET)


def _forged() -> list[Attack]:
    deep = b"[" * 5_000
    key = RsaKey()
    return [
        bears("of another key", signed(HS, GOOD, "some other secret that is long enough")),
        bears("expired", lambda: signed(HS, {"sub": "mallory", "exp": int(time.time()) - 3_600}, SECRET)),
        bears("not yet", _claims(nbf=FAR)),
        bears("issued in the future", _claims(iat=FAR)),
        bears("of another audience", _claims(aud="somebody else")),
        *(
            bears(f"alg {alg}", unsigned(alg, "mallory"))
            for alg in ("none", "None", "NONE", "nOnE", "", "HS256")
        ),
        bears("alg none with a signature", unsigned("none", "mallory", b64(b"x" * 32))),
        bears("alg HS1", unsigned("HS1", "mallory", "AAAA")),
        bears("alg a number", signed({"alg": 256}, GOOD, SECRET)),
        bears("alg a list", signed({"alg": ["HS256"]}, GOOD, SECRET)),
        bears("no alg", signed({"typ": "JWT"}, GOOD, SECRET)),
        bears("HS512 said, HS256 signed", signed({"alg": "HS512"}, GOOD, SECRET)),
        bears("an empty key", signed(HS, GOOD, "")),
        bears("RS256 by the attacker", lambda: key.token("mallory")),
        bears("RS256 with its own jwk", lambda: key.token("mallory", jwk=key.jwk)),
        bears("RS256 with its own x5c", lambda: key.token("mallory", x5c=[b64(key.public_pem)])),
        bears("kid a path", signed({**HS, "kid": "../../dev/null"}, GOOD, "")),
        bears("kid a list", signed({**HS, "kid": []}, GOOD, SECRET)),
        bears("kid an object", signed({**HS, "kid": {}}, GOOD, SECRET)),
        bears("crit that nobody knows", signed({**HS, "crit": ["x"], "x": 1}, GOOD, SECRET)),
        bears("payload not encoded", signed({**HS, "b64": False, "crit": ["b64"]}, GOOD, SECRET)),
        bears("a zipped payload", signed({**HS, "zip": "DEF"}, b"\x78\x9c" + bytes(100), SECRET)),
        bears("a header 5,000 deep", signed(deep, GOOD, SECRET)),
        bears("a header 900 deep", signed(b"[" * 900 + b"]" * 900, GOOD, SECRET)),
        bears("a header that is a list", signed([], GOOD, SECRET)),
        bears("a header that is no UTF-8", signed(b"\xff\xfe", GOOD, SECRET)),
        bears(
            "a header with a number of 5,000 digits", signed(b'{"alg":' + b"9" * 5_000 + b"}", GOOD, SECRET)
        ),
        bears("a signed payload 4,000 deep", signed(HS, b"[" * 4_000, SECRET)),
        bears("a signed payload that is a list", signed(HS, [], SECRET)),
    ]


def _claimed() -> list[Attack]:
    """Signed rightly, as a careless issuer might: what they say must not break anything."""
    return [
        bears("no sub", signed(HS, {"exp": FAR}, SECRET)),
        *(bears(f"sub {value!r}", _claims(sub=value)) for value in SUBJECTS),
        bears("sub of 2,000 characters", _claims(sub="a" * 2_000), ("accepted", *REFUSED)),
        *(
            bears(f"sub {name}", _claims(sub=value), ("accepted", *REFUSED))
            for name, value in (
                ("a path", "../../x"),
                ("a NUL", "a\0b"),
                ("Unicode", "mällory"),
                ("a lone surrogate", "\ud800"),
            )
        ),
        *(
            bears(f"exp {name}", signed(HS, b'{"sub":"mallory","exp":%s}' % value, SECRET), right)
            for name, value, right in (
                ("a word", b'"tomorrow"', REFUSED),
                ("a list", b"[]", REFUSED),
                ("null", b"null", (*REFUSED, "accepted")),
                ("true", b"true", REFUSED),
                ("below zero", b"-1", REFUSED),
                ("NaN", b"NaN", REFUSED),
                ("Infinity", b"Infinity", ("accepted", *REFUSED)),
                ("1e400", b"1e400", ("accepted", *REFUSED)),
                ("of 1,000 digits", b"9" * 1_000, ("accepted", *REFUSED)),
            )
        ),
    ]


def _shapes() -> list[Attack]:
    good = signed(HS, GOOD, SECRET)
    return [
        bears("empty", ""),
        bears("dots", ".."),
        bears("five parts", f"{good}.a.b"),
        bears("two parts", good.rpartition(".")[0]),
        bears("of 7 KB", "a" * 7_000),
        bears("of 20 KB", "a" * 20_000),
        bears("of 1 MB", "a" * 1_000_000, TOO_LARGE),
        bears("of 1 MB, in parts", f"{b64(bytes(10))}.{'a' * 1_000_000}.x", TOO_LARGE),
        bears("with padding", f"{good}=="),
        bears("of Unicode", "ü" * 20, ("HTTP 401", "HTTP 400")),
    ]


async def _fetches_nothing(server: Server) -> str:
    """`jku` and `x5u` name an address of ours: the keys come from the settings alone."""
    asked = asyncio.Event()

    def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        asked.set()
        writer.close()

    trap = await asyncio.start_server(note, LOOPBACK, 0)
    async with trap:
        url = f"http://{LOOPBACK}:{trap.sockets[0].getsockname()[1]}/keys"
        key = RsaKey()
        answers = {
            await _offer(server, ((b"Authorization", b"Bearer " + token.encode()), V1))
            for token in (
                key.token("mallory", jku=url, kid="x"),
                key.token("mallory", x5u=url),
                signed({**HS, "jku": url, "kid": "x"}, GOOD, "a key of the attacker's own"),
            )
        }
        return "asked for keys" if asked.is_set() else ", ".join(sorted(answers))


def _ways() -> list[Attack]:
    bad = signed(HS, GOOD, "another secret")

    def way(
        name: str, right: Sequence[str], headers: Sequence[tuple[bytes, bytes]], target: bytes = b"/v4/listen"
    ) -> Attack:
        async def run(server: Server) -> str:
            return await _offer(server, headers, target)

        return Attack(name=f"token: {name}", run=run, right=tuple(right), wire=False, times=3)

    offered = b"tapedeck.v1, tapedeck.bearer."
    return [
        way("none", REFUSED, (V1,)),
        way("Basic", REFUSED, ((b"Authorization", b"Basic bWFsbG9yeTpw"), V1)),
        way("a bad bearer subprotocol", CLOSED, ((b"Sec-WebSocket-Protocol", offered + bad.encode()),)),
        way("an empty bearer subprotocol", (*CLOSED, *REFUSED), ((b"Sec-WebSocket-Protocol", offered),)),
        way("an unknown ticket", CLOSED, (V1,), b"/v4/listen?ticket=abc"),
        way(
            "a ticket of 20 KB",
            ("close 4400 bad_parameter", *CLOSED),
            (V1,),
            b"/v4/listen?ticket=" + b"a" * 20_000,
        ),
        way("a ticket with a NUL", CLOSED, (V1,), b"/v4/listen?ticket=%00*%0d%0a"),
        way("a foreign origin", ("HTTP 403",), ((b"Origin", b"https://evil.example"), V1)),
        way("origin null", ("HTTP 403",), ((b"Origin", b"null"), V1)),
        way("an origin that begins rightly", ("HTTP 403",), ((b"Origin", b"https://app.example.evil"), V1)),
        way(
            "two origins",
            ("HTTP 403", "HTTP 400"),
            ((b"Origin", b"https://evil.example"), (b"Origin", b"https://app.example"), V1),
        ),
        way("an allowed origin, no token", CLOSED, ((b"Origin", b"https://app.example"), V1)),
    ]


def _first(name: str, message: bytes, right: Sequence[str]) -> Attack:
    async def run(server: Server) -> str:
        async with await server.connect() as peer:
            await peer.send(head(b"/v4/web/listen", (*UPGRADE, V1)))
            await peer.hear(lambda heard: heard.status is not None)
            await peer.send(message)
            heard = await peer.hear(
                lambda heard: heard.close_code is not None or heard.last("ready") is not None
            )
            return "accepted" if heard.last("ready") else str(heard)

    return Attack(name=f"first message: {name}", run=run, right=tuple(right), wire=False, times=3)


def _firsts() -> list[Attack]:
    bad = signed(HS, GOOD, "another secret")
    return [
        _first("a bad token", frame(TEXT, b'{"type":"auth","token":"%s"}' % bad.encode()), CLOSED),
        _first("a token of 60 KB", frame(TEXT, b'{"type":"auth","token":"%s"}' % (b"a" * 60_000)), CLOSED),
        _first(
            "a token of 1 MB",
            frame(TEXT, b'{"type":"auth","token":"%s"}' % (b"a" * 1_000_000)),
            ("close 1009", "close 1009 too_big"),
        ),
        _first("no token", frame(TEXT, b'{"type":"auth"}'), CLOSED),
        _first("a token that is a list", frame(TEXT, b'{"type":"auth","token":[]}'), CLOSED),
        _first("a lone surrogate", frame(TEXT, b'{"type":"auth","token":"\\ud800"}'), CLOSED),
        _first("something else", frame(TEXT, b'{"type":"close"}'), CLOSED),
        _first("5,000 deep", frame(TEXT, b"[" * 5_000), CLOSED),
        _first("audio", frame(2, bytes(320)), CLOSED),
        _first("a close frame", frame(8, b"\x03\xe8"), ("close 1000", "close 1005")),
    ]


async def _expires(server: Server) -> str:
    """A token that ends in the middle of a session ends it."""
    lines = server.handshake().split(b"\r\n")
    token = signed(HS, {"sub": server.name(), "exp": time.time() + 3.0}, SECRET).encode()
    good = b"\r\n".join(
        b"Authorization: Bearer " + token if line.startswith(b"Authorization") else line for line in lines
    )
    async with await server.connect() as peer:
        await peer.send(good)
        await peer.hear(lambda heard: heard.last("ready") is not None or heard.status not in (None, 101))
        return str(await peer.hear(lambda heard: heard.close_code is not None))


ATTACKS = (
    *_forged(),
    *_claimed(),
    *_shapes(),
    *_ways(),
    *_firsts(),
    Attack(name="token: its own addresses of keys", run=_fetches_nothing, right=REFUSED, times=2, wire=False),
    Attack(
        name="token: ends in mid-session",
        run=_expires,
        right=("close 4401 token_expired",),
        times=5,
        wire=False,
    ),
)
