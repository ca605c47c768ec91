import json

import pytest

from listen import messages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"mark","at_ms":5}', messages.Mark(5)),
        ('{"type":"mark","at_ms":5.5}', messages.Mark(None)),
        ('{"type":"mark","at_ms":true}', messages.Mark(None)),
        ('{"type":"mark"}', messages.Mark(None)),
        ('{"type":"conversation","conversation_id":"b"}', messages.SwitchConversation("b")),
        ('{"type":"conversation"}', messages.SwitchConversation(None)),
        ('{"type":"finalize","more":1}', messages.Finalize()),
        ('{"type":"close"}', messages.CloseSession()),
        ('{"type":"auth","token":"t"}', messages.AuthFirst("t")),
        ('{"type":"keepalive"}', messages.Nothing()),
        ('{"type":"hello"}', messages.Nothing()),
        ('{"type":["mark"]}', messages.Nothing()),
        ("{}", messages.Nothing()),
    ],
)
def test_what_a_client_says(text, expected):
    assert messages.parse_client_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "5", "null", "[" * 60_000, '{"type":"close"' + " " * 5_000),
        '{"type":"hello","deep":' + "[" * 30_000 + "]" * 30_000 + "}",
    ],
)
def test_malformed_json_is_told_from_an_unknown_type(text):
    assert isinstance(messages.parse_client_text(text), messages.Malformed)


@pytest.mark.parametrize("character", ["x", "ä", "\U0001f4fc"])
def test_a_text_is_parsed_up_to_64_kib_whatever_its_type(character):
    empty = len('{"type":"hello","more":""}')
    room = (65_536 - empty) // len(character.encode())
    text = json.dumps({"type": "hello", "more": character * room}, separators=(",", ":"), ensure_ascii=False)
    assert 65_530 < len(text.encode()) <= 65_536
    assert messages.parse_client_text(text) == messages.Nothing()
    assert messages.parse_client_text(text.replace("hello", "close")) == messages.CloseSession()
    assert messages.parse_client_text(text + 6 * " ") == messages.TooBig()


def test_texts_of_the_server_have_the_shapes_of_the_page():
    assert json.loads(messages.ready("c", 12, 7, 1_000, None)) == {
        "type": "ready",
        "conversation_id": "c",
        "session": "12",
        "resume_offset": 7,
        "chunk_ms": 1_000,
        "keepalive_s": 20,
    }
    assert json.loads(messages.ready("c", 12, 0, 1_000, 0))["previous_offset"] == 0
    assert json.loads(messages.ack("c", 9, 4)) == {
        "type": "ack",
        "conversation_id": "c",
        "offset": 9,
        "stored": 4,
    }
    assert json.loads(messages.finalized(9, stored=True)) == {
        "type": "finalized",
        "offset": 9,
        "stored": True,
    }
    assert json.loads(messages.status("ok")) == {"type": "status", "state": "ok"}
    assert json.loads(messages.going_away(7)) == {"type": "going_away", "reconnect_after_ms": 7}
    assert json.loads(messages.error("limit", "m", 5)) == {
        "type": "error",
        "code": "limit",
        "message": "m",
        "retry_after_ms": 5,
    }
    assert "retry_after_ms" not in json.loads(messages.error("limit", "m"))


def test_what_is_too_long_for_an_id_is_not_kept():
    text = json.dumps({"type": "conversation", "conversation_id": "x" * 129})
    assert messages.parse_client_text(text) == messages.SwitchConversation(None)
