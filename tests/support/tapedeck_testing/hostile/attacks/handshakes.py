"""Request heads that are too large, malformed, ambiguous, or no HTTP at all.

What must never come of one: a 101 for something that a proxy in front may have read otherwise.
"""

from collections.abc import Sequence
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import close, masked
from tapedeck_testing.hostile.heads import UPGRADE, Header, head, instead, without
from tapedeck_testing.hostile.server import V1, Server

BAD: Final = ("HTTP 400",)
TOO_LARGE: Final = ("HTTP 431", "HTTP 414", "HTTP 413", "HTTP 400")
NO_UPGRADE: Final = ("HTTP 400", "HTTP 404", "HTTP 405", "HTTP 426")
ENDED: Final = ("HTTP 400", "cut", "HTTP 408")
"""What has no end of a head looks like a slow one: then the answer takes as long as for that."""
TLS_HELLO: Final = bytes.fromhex(
    "16030100c2010000be0303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
) + bytes(160)


def sends(
    name: str,
    data: bytes,
    right: Sequence[str],
    *,
    wire: bool = True,
    finishes: bool = False,
    waits: bool = False,
    times: int = 10,
) -> Attack:
    """An attack that sends bytes on a bare connection, with or without a FIN behind, and hears the answer."""

    async def run(server: Server) -> str:
        async with await server.connect() as peer:
            await peer.send(data.replace(b"$TOKEN", server.token().encode()))
            if finishes:
                peer.finish()
            heard = await peer.hear(
                lambda heard: (
                    heard.status not in (None, 101, 0)
                    or heard.last("ready") is not None
                    or heard.close_code is not None
                )
            )
            return "accepted" if heard.last("ready") is not None else str(heard)

    return Attack(name=name, run=run, right=tuple(right), wire=wire, waits=waits, times=times)


AUTHORIZED: Final[tuple[Header, ...]] = (*UPGRADE, (b"Authorization", b"Bearer $TOKEN"), V1)


def _with(name: str, right: Sequence[str], *more: Header, wire: bool = True) -> Attack:
    return sends(name, head(headers=(*AUTHORIZED, *more)), right, wire=wire)


def _raw(name: str, line: bytes, right: Sequence[str], *, wire: bool = True) -> Attack:
    """A good handshake with one more line, written as it is."""
    return sends(name, head(headers=AUTHORIZED)[:-2] + line + b"\r\n\r\n", right, wire=wire)


def _large() -> list[Attack]:
    many = [(b"X-%d" % number, b"x") for number in range(5_000)]
    return [
        _with("a header of 64 KiB", TOO_LARGE, (b"X-Large", b"x" * 65_536)),
        _with("5,000 headers", TOO_LARGE, *many),
        sends(
            "8,000 headers within the limit",
            head(headers=UPGRADE)[:-2] + b"a:\n" * 8_000 + b"\r\n",
            TOO_LARGE,
            times=50,
        ),
        sends(
            "30,000 spaces and a NUL",
            head(headers=UPGRADE)[:-2] + b"X:" + b" " * 30_000 + b"\0\r\n\r\n",
            BAD,
            times=50,
        ),
        sends("16,000 parameters", head(b"/v4/listen?" + b"a&" * 15_000, AUTHORIZED), TOO_LARGE, times=50),
        sends("4,000 parameters", head(b"/v4/listen?" + b"a&" * 4_000, AUTHORIZED), TOO_LARGE, times=50),
        sends(
            "15,000 subprotocols",
            head(headers=(*UPGRADE, (b"Sec-WebSocket-Protocol", b"x," * 15_000))),
            ("HTTP 401", *TOO_LARGE),
            times=50,
        ),
        _with("a header name of 40 KB", TOO_LARGE, (b"x" * 40_000, b"x")),
        _with("a cookie of 30 KB", ("accepted", *TOO_LARGE), (b"Cookie", b"x" * 30_000)),
        sends(
            "a query of 30 KB", head(b"/v4/listen?x=" + b"y" * 30_000, AUTHORIZED), ("accepted", *TOO_LARGE)
        ),
        sends("a query of 40 KB", head(b"/v4/listen?x=" + b"y" * 40_000, AUTHORIZED), TOO_LARGE),
        sends("a path of 1 MB", head(b"/" + b"y" * 1_000_000, AUTHORIZED), (*TOO_LARGE, "cut"), times=5),
        sends("an endless request line", b"G" * 200_000, (*TOO_LARGE, "cut")),
        sends("endless empty lines", b"\r\n" * 100_000, (*TOO_LARGE, "cut")),
        sends(
            "a head that has no end",
            head(headers=AUTHORIZED)[:-2] + b"X: y\r\n" * 20_000,
            (*TOO_LARGE, "cut"),
        ),
    ]


def _ambiguous() -> list[Attack]:
    return [
        _raw("obs-fold", b"X-Folded: a\r\n b", (*BAD, "accepted")),
        _raw("a folded Authorization", b"X-A: b\r\n\tTransfer-Encoding: chunked", (*BAD, "accepted")),
        _raw("a space before the colon", b"X-Space : a", BAD),
        _raw("a header without a colon", b"X-Nothing", BAD),
        _raw("a NUL in a header", b"X-Nul: a\0b", BAD),
        _raw("a bare CR in a header", b"X-Cr: a\rb", BAD),
        _raw("a header without a name", b": a", BAD),
        _with(
            "Content-Length and Transfer-Encoding",
            BAD,
            (b"Content-Length", b"5"),
            (b"Transfer-Encoding", b"chunked"),
        ),
        _with("two lengths", BAD, (b"Content-Length", b"5"), (b"Content-Length", b"6")),
        _with("a length below zero", BAD, (b"Content-Length", b"-1")),
        _with("a length that is no number", BAD, (b"Content-Length", b"+5")),
        _with("an unknown coding", (*BAD, "HTTP 501"), (b"Transfer-Encoding", b"xchunked")),
        _with("two hosts", BAD, (b"Host", b"elsewhere")),
        _with(
            "two tokens", ("HTTP 400", "HTTP 401", "accepted"), (b"Authorization", b"Bearer x"), wire=False
        ),
        sends("no host", head(headers=without(b"Host", AUTHORIZED)), BAD),
        sends("bare LF", head(headers=AUTHORIZED).replace(b"\r\n", b"\n"), (*BAD, "accepted")),
        sends(
            "an absolute target", head(b"http://elsewhere/v4/listen", AUTHORIZED), ("accepted", *NO_UPGRADE)
        ),
        sends("a target with spaces", head(b"/v4/listen HTTP/1.1 x", AUTHORIZED), BAD),
        sends("a NUL in the target", head(b"/v4/listen\0", AUTHORIZED), (*BAD, "HTTP 404")),
        sends(
            "bytes above 127 in the target", head(b"/v4/listen?x=\xff\xfe", AUTHORIZED), (*BAD, "accepted")
        ),
        sends(
            "a method of small letters", head(method=b"get", headers=AUTHORIZED), (*NO_UPGRADE, "HTTP 501")
        ),
    ]


def _upgrades() -> list[Attack]:
    def key(value: bytes) -> bytes:
        return head(headers=instead(b"Sec-WebSocket-Key", value, AUTHORIZED))

    return [
        sends("no key", head(headers=without(b"Sec-WebSocket-Key", AUTHORIZED)), BAD),
        sends("an empty key", key(b""), BAD),
        sends("a key of 3 bytes", key(b"AAAA"), BAD),
        sends("a key that is no base64", key(b"!" * 24), BAD),
        _with("two keys", BAD, (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA==")),
        # §4.4: 426 with the versions that are spoken.
        sends("no version", head(headers=without(b"Sec-WebSocket-Version", AUTHORIZED)), ("HTTP 426", *BAD)),
        sends(
            "version 7", head(headers=instead(b"Sec-WebSocket-Version", b"7", AUTHORIZED)), ("HTTP 426", *BAD)
        ),
        sends("no Upgrade", head(headers=without(b"Upgrade", AUTHORIZED)), NO_UPGRADE),
        sends("no Connection", head(headers=without(b"Connection", AUTHORIZED)), NO_UPGRADE),
        sends(
            "an upgrade to h2c", head(headers=instead(b"Upgrade", b"h2c", AUTHORIZED)), (*NO_UPGRADE, "open")
        ),
        sends("HTTP/1.0", head(version=b"HTTP/1.0", headers=AUTHORIZED), (*NO_UPGRADE, "HTTP 505")),
        sends("HTTP/1.2", head(version=b"HTTP/1.2", headers=AUTHORIZED), (*NO_UPGRADE, "HTTP 505")),
        sends("HTTP/9.9", head(version=b"HTTP/9.9", headers=AUTHORIZED), (*NO_UPGRADE, "HTTP 505")),
        sends("POST", head(method=b"POST", headers=AUTHORIZED), NO_UPGRADE),
        sends("CONNECT", head(method=b"CONNECT", headers=AUTHORIZED), NO_UPGRADE),
        sends(
            "a path that is none of ours", head(b"/v4/listen/../../etc", AUTHORIZED), NO_UPGRADE, wire=False
        ),
        sends("a path in another spelling", head(b"//v4//listen", AUTHORIZED), NO_UPGRADE, wire=False),
        _with(
            "a subprotocol of 1,000 names",
            ("accepted", *BAD),
            (b"Sec-WebSocket-Protocol", b"a, " * 1_000 + b"b"),
        ),
        _with("a subprotocol that is no token", ("accepted", *BAD), (b"Sec-WebSocket-Protocol", b'", "')),
        _with("extensions that are no list", ("accepted", *BAD), (b"Sec-WebSocket-Extensions", b";;=,,")),
    ]


def _not_http() -> list[Attack]:
    return [
        sends("TLS on the plain port", TLS_HELLO, ENDED, waits=True),
        sends("garbage", bytes(range(256)) * 16, ENDED, waits=True),
        sends("garbage of NULs", bytes(10_000), ENDED, waits=True),
        sends("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", ENDED, finishes=True),
        sends("SOCKS", b"\x05\x01\x00", ENDED, finishes=True),
        sends("a PROXY line", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + head(headers=AUTHORIZED), ENDED),
        sends("nothing, and FIN", b"", ENDED, finishes=True),
        sends("half a head, and FIN", head(headers=AUTHORIZED)[:70], ENDED, finishes=True),
    ]


async def _body(server: Server) -> str:
    """A body on the GET that is a good close frame with a code of its own: taken as a frame, it would be answered so."""
    smuggled = close(4999)
    async with await server.connect() as peer:
        await peer.send(server.handshake()[:-2] + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled)
        heard = await peer.hear(
            lambda heard: heard.status not in (None, 101) or heard.close_code is not None or bool(heard.texts)
        )
        if heard.status != 101:
            return str(heard)
        await peer.hear(lambda heard: heard.close_code is not None, within_s=0.5)
        return "took the body for a frame" if heard.close_code == 4999 else await server.alive(peer)


async def _early_frames(server: Server) -> str:
    """Frames in the same segment as the handshake: what comes before `ready` is left out, or taken, but never misread."""
    async with await server.connect() as peer:
        junk = b"\x82\x85\0\0\0\0" + masked(b"hello", bytes(4))
        await peer.send(server.handshake() + junk)
        await peer.hear(lambda heard: heard.last("ready") is not None or heard.close_code is not None)
        return await server.alive(peer)


async def _pipelined(server: Server) -> str:
    """A second handshake behind the first: it is no frame, so it ends the socket."""
    async with await server.connect() as peer:
        await peer.send(server.handshake() + server.handshake())
        return str(await peer.hear(lambda heard: heard.close_code is not None))


async def _pipelined_requests(server: Server) -> str:
    """Requests in a row: the first one's answer is what counts."""
    one = head(b"/nothing", ((b"Host", b"localhost"),))
    async with await server.connect() as peer:
        await peer.send(one * 500)
        return str(await peer.hear(lambda heard: heard.status is not None))


ATTACKS = (
    *_large(),
    *_ambiguous(),
    *_upgrades(),
    *_not_http(),
    Attack(name="a body on the GET", run=_body, right=("HTTP 400", "open")),
    Attack(name="frames with the handshake", run=_early_frames, right=("open", "open not_ready")),
    Attack(name="a handshake behind the handshake", run=_pipelined, right=("close 1002*",)),
    Attack(name="500 requests in a row", run=_pipelined_requests, right=("HTTP 404",)),
)
