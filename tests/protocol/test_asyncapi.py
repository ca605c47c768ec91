"""docs/asyncapi.yaml says what the code does: nothing more, nothing less; and its examples are real."""

import copy
import json
import signal
from pathlib import Path
from typing import get_args

import httpx
import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator
from jsonschema.validators import SPECIFICATIONS

from audiobus import bus
from listen.close_codes import ALL, OF_STATUS
from listen.messages import ErrorCode
from listen.settings import ListenSettings
from servicekit import ids
from tapedeck_testing.protocol import code_facts
from tapedeck_testing.protocol.asyncapi import PAGE, document, read_yaml

constant = code_facts.constant
ASYNCAPI = Path(__file__).parent / "asyncapi/3.0.0.json"
CHANNELS = ("listen", "webListen", "tickets")
QUERY = ("components", "channelBindings", "handshake", "ws", "query", "properties")
HEADERS = ("components", "channelBindings", "handshake", "ws", "headers", "properties")


def schema_of(message):
    return document().at("components", "messages", message, "payload")


# -- the document itself -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def official():
    """The JSON schema of AsyncAPI, which has all that it refers to in itself: nothing is fetched."""
    schema = json.loads(ASYNCAPI.read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema, registry=SPECIFICATIONS)


def test_it_is_an_asyncapi_document(official):
    assert [f"{error.json_path}: {error.message}" for error in official.iter_errors(document().tree)] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("asyncapi",), "2.6.0"),
        (("info",), {"title": "no version"}),
        (("channel",), {}),
        (("servers", "http", "protocol"), None),
        (("operations", "tell", "action"), "shout"),
        (("components", "messages", "ack", "payload", "type"), "objekt"),
        (("components", "securitySchemes", "ticket", "in"), "pocket"),
    ],
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else "",
)
def test_the_official_schema_finds_mistakes(official, path, value):
    tree = copy.deepcopy(document().tree)
    here = tree
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    assert not official.is_valid(tree)


def test_what_this_document_has_beyond_the_official_schema():
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


def test_schemas_have_no_keyword_that_is_not_checked():
    """A keyword of ours begins with `x-`; any other one is JSON Schema's."""
    strict = {**Draft7Validator.META_SCHEMA, "additionalProperties": False, "patternProperties": {"^x-": {}}}
    del strict["$id"]
    handshake = document().at(*QUERY[:4])
    schemas = [
        *document().tree["components"]["schemas"].values(),
        *(message["payload"] for message in document().tree["components"]["messages"].values()),
        handshake["query"],
        handshake["headers"],
    ]
    for schema in schemas:
        assert [error.message for error in Draft7Validator(strict).iter_errors(schema)] == []
    assert not Draft7Validator(strict).is_valid({"properties": {"a": {"requird": []}}})


@pytest.mark.parametrize("line", ["a: *x", "a: {b: c", "a: b: c", "- a", "a: b\n  c: d", "a: 1\na: 2"])
def test_the_reader_refuses_what_is_no_yaml(line):
    with pytest.raises(yaml.YAMLError):
        read_yaml("first: 1\n" + line + "\n")


def test_the_reader_reads():
    text = 'a: 1\nb:\n  - c: "1"\n    d: true\n  - e\nf: >-\n  one\n  two\n"200": [x, y]\n'
    assert read_yaml(text) == {
        "a": 1,
        "b": [{"c": "1", "d": True}, "e"],
        "f": "one two",
        "200": ["x", "y"],
    }


def test_the_document_means_the_same_as_json():
    """It has no dates and no keys but strings, where YAML 1.1 and 1.2 differ."""
    assert json.loads(json.dumps(document().tree)) == document().tree
    assert len(PAGE.read_text(encoding="utf-8")) > 10_000


@pytest.mark.parametrize("value", [True, 1.0, "1", -1, None])
def test_what_is_no_offset_is_refused(value):
    with pytest.raises(AssertionError):
        document().check(
            {"type": "ack", "conversation_id": "a", "offset": value, "stored": 0}, schema_of("ack")
        )


def test_a_pattern_ends_at_the_end():
    document().check("1732147200123", document().at("components", "schemas", "session"))
    with pytest.raises(AssertionError):
        document().check("1732147200123\n", document().at("components", "schemas", "session"))


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
    assert set(ALL) <= said
    for row in document().at("x-close-codes").values():
        assert row.keys() == {"meaning", "client"}


def test_refusals():
    assert {int(status): code for status, code in document().at("x-refusals").items()} == OF_STATUS


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
