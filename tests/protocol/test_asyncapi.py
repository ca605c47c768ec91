"""docs/asyncapi.yaml says what the code does: nothing more, nothing less; and its examples are real."""

import json
import signal
from typing import get_args

import httpx
import msgspec
import pytest

from audiobus import bus
from listen.errors import _CLOSE_CODES
from listen.messages import ErrorCode
from listen.metrics import CLOSE_CODES
from listen.settings import ListenSettings
from servicekit import ids
from tapedeck_testing.protocol import code_facts
from tapedeck_testing.protocol.asyncapi import PAGE, document
from tapedeck_testing.protocol.plain_yaml import NotPlainError, read_plain_yaml

constant = code_facts.constant
CHANNELS = ("listen", "webListen", "tickets")
QUERY = ("components", "channelBindings", "handshake", "ws", "query", "properties")
HEADERS = ("components", "channelBindings", "handshake", "ws", "headers", "properties")


def schema_of(message):
    return document().at("components", "messages", message, "payload")


# -- the document itself -----------------------------------------------------------------------------------------------


def test_it_is_an_asyncapi_document():
    """What the JSON schema of AsyncAPI 3.0 asks for, as far as this document uses it."""
    tree = document().tree
    assert tree["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= tree["info"].keys()
    known = {
        "asyncapi",
        "id",
        "info",
        "servers",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    }
    assert all(key in known or key.startswith("x-") for key in tree)
    for server in tree["servers"].values():
        assert {"host", "protocol"} <= server.keys()
    for channel in tree["channels"].values():
        assert channel["address"].startswith("/v")
        assert channel["messages"]
    for operation in tree["operations"].values():
        assert operation["action"] in ("send", "receive")
        own = operation["channel"]["$ref"] + "/messages/"
        assert all(message["$ref"].startswith(own) for message in operation["messages"])
    for message in tree["components"]["messages"].values():
        assert "payload" in message
        assert all(
            example.keys() <= {"name", "summary", "payload", "headers"}
            for example in message.get("examples", ())
        )


def test_every_reference_leads_somewhere():
    for reference in document().references():
        assert document().at(*reference.removeprefix("#/").split("/"))


def test_everything_is_used():
    used = {reference for reference in document().references() if reference.startswith("#/components/")}
    tree = document().tree["components"]
    there = {f"#/components/{kind}/{name}" for kind, parts in tree.items() for name in parts}
    assert there - used == set()


@pytest.mark.parametrize(
    "line",
    ["a: &x 1", "a: *x", "a: {b: c}", "a: 'b'", "a: |", "a: b: c", "- a", "a: b\n  c: d", "a: 1\na: 2"],
)
def test_the_reader_refuses_what_it_does_not_know(line):
    with pytest.raises((NotPlainError, ValueError)):
        read_plain_yaml("first: 1\n" + line + "\n")


def test_the_reader_reads():
    text = 'a: 1\nb:\n  - c: "1"\n    d: true\n  - e\nf: >-\n  one\n  two\n"200": [x, y]\n'
    assert read_plain_yaml(text) == {
        "a": 1,
        "b": [{"c": "1", "d": True}, "e"],
        "f": "one two",
        "200": ["x", "y"],
    }
    assert len(PAGE.read_text(encoding="utf-8")) > 10_000


# -- names -------------------------------------------------------------------------------------------------------------


def test_messages_of_the_client():
    known = {*document().types("record"), *document().types("recordFromPage")}
    assert known == code_facts.client_types() | {
        "keepalive"
    }  # which is answered as what is not known is: not at all
    assert set(document().types("recordFromPage")) - set(document().types("record")) == {"auth"}


def test_messages_of_the_server():
    assert set(document().types("tell")) == code_facts.server_types()
    assert document().types("tell") == document().types("tellPage")


def test_error_codes():
    schema = document().at("components", "schemas", "errorCode")
    assert schema["enum"] == list(get_args(ErrorCode))
    assert list(schema["x-meanings"]) == schema["enum"]


def test_query_parameters():
    assert set(document().at(*QUERY)) == code_facts.query_parameters()


def test_close_codes():
    said = {int(code) for code in document().at("x-close-codes")}
    # 1001 comes from proxies and from clients; no line of ours says it
    assert said - {1001} == code_facts.close_codes()
    assert set(CLOSE_CODES) <= said
    for row in document().at("x-close-codes").values():
        assert row.keys() == {"meaning", "client"}


def test_refusals():
    assert {int(status): code for status, code in document().at("x-refusals").items()} == _CLOSE_CODES


def test_paths():
    addresses = [document().at("channels", channel, "address") for channel in CHANNELS]
    assert addresses == ["/v4/listen", "/v4/web/listen", "/v1/tickets"]


# -- defaults and limits -----------------------------------------------------------------------------------------------


def test_defaults_of_the_query():
    query = document().at(*QUERY)
    for dialect, (codec, rate) in constant("DEFAULTS").items():
        assert query["codec"]["x-defaults"][dialect] == codec
        assert query["sample_rate"]["x-defaults"][dialect] == int(rate)
    assert (
        set(query["codec"]["x-defaults"])
        == set(query["sample_rate"]["x-defaults"])
        == set(constant("DEFAULTS"))
    )
    lookahead, block = constant("ENCODER_LOOKAHEAD"), constant("AAC_PRE_SKIP")
    assert query["pre_skip"]["x-defaults"] == {
        **dict.fromkeys(constant("PACKET_CODECS"), lookahead),
        "aac": block,
    }
    assert query["channels"]["default"] == 1


def test_bounds_of_the_query():
    query = document().at(*QUERY)
    assert query["codec"]["enum"] == list(constant("CODECS"))
    rate = query["sample_rate"]
    assert (rate["minimum"], rate["maximum"]) == (constant("RATE_LEAST"), constant("RATE_MOST"))
    skip = query["pre_skip"]
    assert (skip["x-minimum-of-opus"], skip["maximum"]) == (
        constant("PRE_SKIP_LEAST"),
        constant("PRE_SKIP_MOST"),
    )
    assert query["ticket"]["maxLength"] == constant("TICKET_LENGTH_LIMIT")
    session = document().at("components", "schemas", "session", "pattern")
    assert session == f"^[0-9]{{1,{constant('EPOCH_DIGITS')}}}$"


def test_ids():
    assert (
        document().at("components", "schemas", "id", "pattern")
        == "^" + ids._ID.pattern.removesuffix(r"\Z") + "$"
    )


def test_subprotocols():
    header = document().at(*HEADERS)["Sec-WebSocket-Protocol"]
    assert header["x-subprotocols"] == [constant("V1"), constant("BEARER_PREFIX")]


def test_limits():
    """Each limit of the document is one of the code's, in its own unit."""
    lookahead_ms, frame_ms = constant("ENCODER_LOOKAHEAD") / 48, constant("FRAME_SAMPLES") / 48
    assert document().at("x-limits") == {
        "message_bytes": constant("MAX_MESSAGE_BYTES"),
        "channel_byte": 1,
        "plain_keepalive_bytes": constant("KEEPALIVE_BYTES"),
        "bad_messages_in_a_row": constant("BAD_PACKETS_LIMIT"),
        "keepalive_s": constant("KEEPALIVE_S"),
        "silence_s": constant("SILENT_S"),
        "first_message_s": constant("FIRST_MESSAGE_S"),
        "ticket_s": constant("TICKET_S"),
        "ack_s": 1.5,  # the promise itself; bench/ measures what is kept of it
        "finalize_s": constant("FINALIZE_MS") / 1000,
        "stored_refresh_s": 15,
        "mark_ahead_ms": constant("MARK_AHEAD_MS"),
        "mark_oldest_days": constant("MARK_OLDEST_MS") / 86_400_000,
        "mark_newest_s": constant("MARK_NEWEST_MS") / 1000,
        "plain_late_ms": constant("LATE_MS"),
        "plain_late_for_ms": constant("LATE_FOR_MS"),
        "pcm_unacked_ms": 30,
        "pcm_rest_s": 2,
        "waiting_s": constant("MAX_WAITING_SAMPLES") / 48_000,
        "waiting_bytes": constant("MAX_WAITING_BYTES"),
        "redis_without_progress_s": constant("WITHOUT_PROGRESS_MS") / 1000,
        "resumable_h": bus.RESUMABLE_MS / 3_600_000,
        "previous_offset_days": bus.ENDS_KEPT_MS / 86_400_000,
        "opus_packet_ms": 120,
    }
    assert constant("REFRESH_MS") <= 15_000
    assert lookahead_ms + frame_ms < 30  # less than a frame is not coded yet, and the lookahead of what is


def test_fields_of_ready():
    properties = schema_of("ready")["properties"]
    assert properties["chunk_ms"]["default"] == {f.name: f for f in _fields()}["chunk_ms"].default
    assert properties["keepalive_s"]["const"] == constant("KEEPALIVE_S")
    assert schema_of("ticket")["properties"]["expires_in_s"]["const"] == constant("TICKET_S")
    away = schema_of("going_away")["properties"]["reconnect_after_ms"]
    assert (away["minimum"], away["maximum"]) == constant("GOING_AWAY_MS")


def _fields():
    return msgspec.structs.fields(ListenSettings)


def test_the_largest_message():
    assert schema_of("audio")["maxLength"] == constant("MAX_MESSAGE_BYTES") + 1


# -- examples ----------------------------------------------------------------------------------------------------------


def test_examples_are_as_their_schemas_say():
    count = 0
    for name, message in document().at("components", "messages").items():
        for example in message.get("examples", ()):
            document().check(example["payload"], schema_of(name))
            count += 1
    assert count >= 18


async def test_the_clients_examples_are_accepted(listen, second):
    """Sent as they stand, one after another, none gets an error; `close` is the last."""
    examples = document().examples("record")
    assert {example["type"] for example in examples} == set(document().types("record"))
    async with listen.connect(conversation_id="examples") as client:
        await client.ready()
        await client.send(second)
        for example in examples:
            await client.socket.send(json.dumps(example))
            if example["type"] == "conversation":
                await client.hear("ready")
        assert await client.closed() == 1000
    # the mark of the example is as old as the page is
    assert set(client.errors) <= {"bad_mark"}
    assert client.heard("finalized")


def shape(message):
    """Fields, and the words that are no texts for people or ids."""
    words = {message[key] for key in ("state", "code") if key in message}
    return message["type"], *sorted(message), *sorted(words)


QUICK = {"TAPEDECK_DRAIN_SECONDS": "3", "TAPEDECK_USAGE_SECONDS": "0.3", "TAPEDECK_DAILY_LIMIT_MS": "1000"}


async def test_the_servers_examples_are_produced(start_listen, redis_process, second):
    """Each one has been heard here, but for its ids and numbers."""
    listen = start_listen(redis_process.url, **QUICK)
    heard = []
    async with listen.connect(conversation_id="x", session="1732147200123") as client:
        await client.ready()
        await client.socket.send("no JSON")
        await client.say(type="finalize")
        await client.send(second)
        await client.hear("usage", state="near")
        redis_process.process.send_signal(signal.SIGSTOP)
        try:
            await client.send(*[second] * 10)
            await client.hear("status", state="buffering")
        finally:
            redis_process.process.send_signal(signal.SIGCONT)
        await client.hear("usage", state="exceeded")
        await client.say(type="close")
        assert await client.closed() == 1000
    heard += client.texts
    async with listen.connect(conversation_id="x", session=client.texts[0]["session"]) as client:
        await client.ready()
    heard += client.texts
    async with listen.connect() as client:
        await client.ready()
        listen.send_signal(signal.SIGTERM)
        assert await client.closed() == 1012
    heard += client.texts
    listen.wait()
    listen.start()
    redis_process.kill()
    async with listen.connect(headers={"Origin": "https://app.example"}) as client:
        assert await client.closed() == 1013
    heard += client.texts
    wanted = {shape(example) for example in document().examples("tell")}
    assert wanted - {shape(message) for message in heard} == set()


async def test_the_tickets_examples(listen):
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {listen.token()}"}
        ticket = (await http.post(f"{listen.http}/v1/tickets", headers=headers)).json()
        problem = (await http.post(f"{listen.http}/v1/tickets")).json()
    for name, answer in (("ticket", ticket), ("problem", problem)):
        [example] = document().at("components", "messages", name, "examples")
        document().check(answer, schema_of(name))
        assert answer.keys() == example["payload"].keys()
        assert [answer.get(key) for key in ("type", "title", "status", "code", "detail")] == [
            example["payload"].get(key) for key in ("type", "title", "status", "code", "detail")
        ]
        if name == "ticket":
            assert len(answer["ticket"]) == len(example["payload"]["ticket"])
