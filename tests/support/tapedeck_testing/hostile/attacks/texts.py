"""Texts that are no message of the protocol: broken, huge, deep, ambiguous; and texts where audio belongs, and the reverse."""

import json
from collections.abc import Sequence
from typing import Final

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.frames import BINARY, TEXT, frame
from tapedeck_testing.hostile.server import Server

BAD_JSON: Final = ("open bad_json",)
BAD_MARK: Final = ("open bad_mark",)
IGNORED: Final = ("open",)


def says(name: str, text: bytes, right: Sequence[str]) -> Attack:
    """An attack that says one text on an open session; the session must serve on."""

    async def run(server: Server) -> str:
        async with await server.session() as peer:
            await peer.send(frame(TEXT, text))
            if right[0].startswith("close"):
                return str(await peer.hear(lambda heard: heard.close_code is not None))
            return await server.alive(peer)

    return Attack(name=name, run=run, right=tuple(right), wire=False, times=5)


def _mark(value: str) -> bytes:
    return b'{"type":"mark","at_ms":%s}' % value.encode()


def _json() -> list[Attack]:
    digits = "9" * 60_000
    return [
        says("JSON: 30,000 arrays deep", b"[" * 30_000, BAD_JSON),
        says("JSON: 30,000 arrays deep, and closed", b"[" * 30_000 + b"]" * 30_000, BAD_JSON),
        says("JSON: 10,000 objects deep", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, BAD_JSON),
        says(
            "JSON: a number of 60,000 digits",
            b'{"type":"x","n":' + digits.encode() + b"}",
            (*BAD_JSON, *IGNORED),
        ),
        says(
            "JSON: a number with an exponent of 9 digits",
            b'{"type":"x","n":1e999999999}',
            (*IGNORED, *BAD_JSON),
        ),
        says("JSON: NaN", b'{"type":"x","n":NaN}', (*BAD_JSON, *IGNORED)),
        says("JSON: an array", b"[]", BAD_JSON),
        says("JSON: null", b"null", BAD_JSON),
        says("JSON: a string", b'"close"', BAD_JSON),
        says("JSON: cut off", b'{"type":"clo', BAD_JSON),
        says("JSON: two in one", b"{}{}", BAD_JSON),
        says("JSON: a byte order mark", b"\xef\xbb\xbf{}", (*BAD_JSON, *IGNORED)),
        says("JSON: a control character", b'{"type":"a\nb"}', (*BAD_JSON, *IGNORED)),
        says("JSON: the same key twice", b'{"type":"x","type":"y"}', (*IGNORED, *BAD_JSON)),
        says(
            "JSON: 8,000 keys",
            json.dumps({f"k{n}": 1 for n in range(5_000)}).encode()[:65_000],
            (*IGNORED, *BAD_JSON),
        ),
        says("JSON: 64 KiB of blanks", b" " * 65_530 + b"{}", IGNORED),
        says("type: an unknown one", b'{"type":"shutdown"}', IGNORED),
        says("type: a list", b'{"type":["close"]}', IGNORED),
        says("type: an object", b'{"type":{}}', IGNORED),
        says("type: a lone surrogate", b'{"type":"\\ud800"}', IGNORED),
        says("type: a server's own", b'{"type":"ack","offset":99999999}', IGNORED),
        says("type: none", b"{}", IGNORED),
        says("type: auth, when nobody asks", b'{"type":"auth","token":"x"}', IGNORED),
    ]


def _marks() -> list[Attack]:
    bad = {
        "missing": b'{"type":"mark"}',
        "null": _mark("null"),
        "a string": _mark('"1732147200123"'),
        "a float": _mark("1.5"),
        "true": _mark("true"),
        "a list": _mark("[1]"),
        "below zero": _mark("-1"),
        "zero": _mark("0"),
        "2^63": _mark(str(2**63)),
        "4,000 digits": _mark("9" * 4_000),
        "1e308": _mark("1e308"),
        "Infinity": _mark("Infinity"),
    }
    return [
        *(says(f"at_ms: {name}", text, (*BAD_MARK, *BAD_JSON)) for name, text in bad.items()),
        says("at_ms: 60,000 digits", _mark("9" * 60_000), (*BAD_JSON, *BAD_MARK)),
    ]


def _switches() -> list[Attack]:
    def switch(cid: str) -> bytes:
        return json.dumps({"type": "conversation", "conversation_id": cid}).encode()

    bad = ("open bad_parameter",)
    ids = {
        "empty": "",
        "a slash": "a/b",
        "two dots": "..",
        "a NUL": "a\0b",
        "a lone surrogate": "\ud800",
        "Unicode": "gespräch",
        "129 characters": "a" * 129,
        "60,000 characters": "a" * 60_000,
        "a hash tag": "a}{b",
        "a line end": "a\n",
    }
    return [
        *(says(f"conversation: {name}", switch(cid), bad) for name, cid in ids.items()),
        says("conversation: a number", b'{"type":"conversation","conversation_id":7}', bad),
        says("conversation: none", b'{"type":"conversation"}', bad),
    ]


async def _text_for_audio(server: Server) -> str:
    """Audio as text frames: no message of it is audio, and the session lives."""
    async with await server.session() as peer:
        for _ in range(100):
            await peer.send(frame(TEXT, b"RIFF    WAVEfmt"))
        return await server.alive(peer)


async def _audio_for_text(server: Server) -> str:
    """JSON as binary frames on Opus: a few happen to be packets, and are stored; nothing else comes of it."""
    async with await server.session("codec=opus") as peer:
        for _ in range(40):
            await peer.send(frame(BINARY, b'{"type":"close"}'))
        await peer.send(frame(BINARY, b"\x48" * 60))
        heard = await peer.hear(lambda heard: heard.close_code is not None, within_s=0.5)
        return str(heard)


async def _early_audio(server: Server) -> str:
    """Audio before `ready` is left out in v1, a thousand messages of it with one error."""
    async with await server.connect() as peer:
        await peer.send(server.handshake("codec=pcm16"))
        await peer.hear(lambda heard: heard.status is not None)
        for _ in range(10):
            await peer.send(frame(BINARY, bytes(320)) * 100)
        await peer.hear(lambda heard: heard.last("ready") is not None or heard.close_code is not None)
        return await server.alive(peer)


ATTACKS = (
    *_json(),
    *_marks(),
    *_switches(),
    Attack(name="texts where audio belongs", run=_text_for_audio, right=BAD_JSON, times=5, wire=False),
    Attack(
        name="JSON where packets belong",
        run=_audio_for_text,
        right=("open", "open bad_audio", "close 1007 bad_audio"),
        times=5,
        wire=False,
    ),
    Attack(
        name="audio before ready", run=_early_audio, right=("open", "open not_ready"), times=5, wire=False
    ),
)
