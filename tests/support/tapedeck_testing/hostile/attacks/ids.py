"""Names and numbers in the query: nothing but an id is an id, however it is written."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from tapedeck_testing.hostile.attack import Attack
from tapedeck_testing.hostile.server import Server

BAD: Final = ("HTTP 400",)
TAKEN: Final = ("accepted",)


def asks(name: str, query: str, right: Sequence[str], *, path: str = "/v4/listen") -> Attack:
    """An attack that opens a socket with a query, written as it is given."""

    async def run(server: Server) -> str:
        async with await server.connect() as peer:
            await peer.send(server.handshake(query, path=path))
            heard = await peer.hear(
                lambda heard: (
                    heard.last("ready") is not None
                    or heard.status not in (None, 101)
                    or heard.close_code is not None
                )
            )
            return "accepted" if heard.last("ready") is not None else str(heard)

    return Attack(name=name, run=run, right=tuple(right), wire=False, times=3)


def _ids() -> list[Attack]:
    bad = {
        "a slash": "a/b",
        "two dots": "..",
        "a path upwards": "../../etc/passwd",
        "a backslash": "a\\b",
        "a leading dot": ".a",
        "a leading dash": "-a",
        "a NUL": "a\0",
        "a NUL in front": "\0a",
        "a line end": "a\n",
        "CR LF": "a\r\nSet-Cookie: x",
        "a blank": "a b",
        "a hash tag": "{a}",
        "a star": "*",
        "Unicode": "gespräch",
        "Unicode digits": "١٢٣",
        "a full-width dot": "a．b",
        "129 characters": "a" * 129,
        "20,000 characters": "a" * 20_000,
        "twice encoded": "a%2fb",
    }
    good = {"128 characters": "a" * 128, "dots inside": "a..b", "all kinds": "A9._@-z"}
    return [
        *(asks(f"id: {name}", f"conversation_id={quote(cid, safe='')}", BAD) for name, cid in bad.items()),
        *(asks(f"id: {name}", f"conversation_id={quote(cid, safe='')}", TAKEN) for name, cid in good.items()),
        asks("id: no UTF-8", "conversation_id=%ff%fe", BAD),
        asks("id: broken escapes", "conversation_id=%zz%2", BAD),
        asks("id: under its other name", "client_conversation_id=..%2f", BAD),
        asks("id: twice", "conversation_id=a&conversation_id=..", (*BAD, *TAKEN)),
        asks("id: empty", "conversation_id=", TAKEN),
        asks("id: a user of another name", "uid=somebody&user=somebody&sub=somebody", TAKEN),
    ]


def _numbers() -> list[Attack]:
    bad = ("HTTP 400",)
    return [
        *(
            asks(f"rate: {value or 'empty'}", f"codec=pcm16&sample_rate={quote(value)}", bad)
            for value in (
                "0",
                "-1",
                "7999",
                "48001",
                "9" * 5_000,
                "1e4",
                "16000.0",
                "+16000",
                " 16000",
                "١٦٠٠٠",
                "0x10",
                "NaN",
            )
        ),
        *(
            asks(f"channels: {value}", f"channels={value}", bad)
            for value in ("0", "3", "-1", "2.0", "99999999999")
        ),
        *(
            asks(f"pre_skip: {value}", f"codec=opus&pre_skip={value}", bad)
            for value in ("0", "119", "65536", "-5")
        ),
        *(
            asks(f"codec: {name}", f"codec={value}", bad)
            for name, value in (("mp3", "mp3"), ("a NUL", "opus%00"), ("capitals", "OPUS"))
        ),
        asks("codec: twice", "codec=opus&codec=pcm16", (*TAKEN, *bad)),
        *(
            asks(f"session: {name}", f"conversation_id=a&session={value}", ("close 4400 bad_parameter",))
            for name, value in (
                ("a word", "abc"),
                ("below zero", "-1"),
                ("1,000 digits", "9" * 1_000),
                ("Unicode digits", quote("١٢٣")),
                ("a star", "*"),
            )
        ),
        asks("session: of nobody", "conversation_id=nobody&session=1732147200123", ("accepted",)),
        asks("session: without a conversation", "session=1732147200123", ("close 4400 bad_parameter",)),
        asks("2,000 parameters", "&".join(f"p{n}=1" for n in range(2_000)), (*TAKEN, *bad)),
        asks("5,000 ampersands", "&" * 5_000, bad),
        asks("parameters with semicolons", "codec=opus;sample_rate=1", bad),
    ]


ATTACKS = (*_ids(), *_numbers())
