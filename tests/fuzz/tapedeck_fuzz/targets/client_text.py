"""`listen.messages.parse_client_text`: what any client may send."""

import json
from random import Random
from typing import get_args

from listen.messages import (
    AuthFirst,
    ClientMessage,
    Malformed,
    Mark,
    SwitchConversation,
    TooBig,
    parse_client_text,
)
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """Never raises; what comes out is one of the messages, with the value of the very field that it has there."""
    text = data.decode("utf-8", "replace")
    message = parse_client_text(text)
    demand(isinstance(message, get_args(ClientMessage)), f"{type(message).__name__} is no message")
    if isinstance(message, Malformed | TooBig):
        return None
    fields = json.loads(text)
    match message:
        case Mark(at_ms=int(at_ms)):
            demand(fields["at_ms"] == at_ms and fields["type"] == "mark", "another time than was sent")
        case SwitchConversation(conversation_id=str(cid)):
            demand(
                fields["conversation_id"] == cid and fields["type"] == "conversation",
                "another id than was sent",
            )
            return len(cid)
        case AuthFirst(token=token):
            demand(fields["token"] == token and fields["type"] == "auth", "another token than was sent")
            return len(token)
    return 0


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """The JSON changed from inside."""
    try:
        fields = json.loads(data)
        return json.dumps(edits.value(fields, random), ensure_ascii=bool(random.randrange(2))).encode(
            "utf-8", "replace"
        )
    except (ValueError, RecursionError, TypeError):
        return raw(data)


TARGET = Target(
    check,
    mutate,
    words=(
        b'{"type":"mark","at_ms":',
        b'"conversation_id":"',
        b'"type":"auth","token":"',
        b"\\ud800",
        b"NaN",
        b"1e999",
        b"[" * 64,
    ),
)
