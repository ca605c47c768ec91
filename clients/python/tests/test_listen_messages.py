import json

import pytest

from tapedeck import listen_messages as wire
from tapedeck.errors import ProtocolError


def test_the_protocol_pages_examples_are_read():
    text = '{"type":"ready","conversation_id":"c","session":"1732147200123","resume_offset":0,"chunk_ms":1000,"keepalive_s":20}'
    assert wire.parse(text) == wire.Ready("c", "1732147200123", 0, None, 1000, 20)
    assert wire.parse('{"type":"ack","conversation_id":"c","offset":32000,"stored":0}') == wire.Ack(
        "c", 32000, 0
    )
    assert wire.parse('{"type":"finalized","offset":96000,"stored":true}') == wire.Finalized(
        96000, stored=True
    )
    assert wire.parse('{"type":"status","state":"buffering"}') == wire.Status("buffering")
    assert wire.parse('{"type":"usage","state":"near"}') == wire.Usage("near")
    assert wire.parse('{"type":"going_away","reconnect_after_ms":1830}') == wire.GoingAway(1830)
    assert wire.parse('{"type":"error","code":"bad_mark","message":"m"}') == wire.Error("bad_mark", "m")


def test_unknown_types_and_fields_are_no_error():
    assert wire.parse('{"type":"later","x":1}') == wire.Unknown("later")
    assert wire.parse('{"type":"status","state":"ok","x":1}') == wire.Status("ok")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", "{}", '{"type":1}', '{"type":"ack"}', '{"type":"ack","offset":"x"}']
)
def test_what_cannot_be_read_is_an_error(text):
    with pytest.raises(ProtocolError):
        wire.parse(text)


def test_what_is_sent():
    assert json.loads(wire.mark(5)) == {"type": "mark", "at_ms": 5}
    assert json.loads(wire.conversation("c")) == {"type": "conversation", "conversation_id": "c"}
    assert [json.loads(t)["type"] for t in (wire.finalize(), wire.keepalive(), wire.close())] == [
        "finalize",
        "keepalive",
        "close",
    ]
