import json

import pytest

from tapedeck import listen_messages as wire
from tapedeck.audio_format import AudioFormat
from tapedeck.errors import ProtocolError
from tapedeck.listen_recording import Phase, Recording


def recording(conversation_id="c", keep="acked", codec="pcm16"):
    return Recording(
        AudioFormat(codec, 16000), conversation_id=conversation_id, keep=keep, limit_bytes=1_000_000
    )


def ready(session="1", resume_offset=0, previous_offset=None, conversation_id="c"):
    return wire.Ready(conversation_id, session, resume_offset, previous_offset)


def sent(now):
    """Everything that goes out until something must be awaited: texts as types, audio as bytes."""
    out = []
    while (message := now.next()) is not None:
        out += [json.loads(text)["type"] for text in message.texts]
        out += [message.audio] if message.audio is not None else []
    return out


def test_nothing_goes_out_before_ready():
    now = recording()
    now.add(b"ab", 0, 0)
    assert now.next() is None
    assert now.query() == {"codec": "pcm16", "sample_rate": "16000", "channels": "1", "conversation_id": "c"}
    assert now.on_ready(ready())
    assert sent(now) == [b"ab"]


def test_requests_go_out_behind_what_was_added_before_them():
    now = recording()
    now.on_ready(ready())
    now.add(b"ab", 0, 0)
    now.finalize()
    now.add(b"cd", 0, 0)
    now.close()
    assert sent(now) == [b"ab", "finalize", b"cd", "close"]
    assert now.phase is Phase.CLOSING


def test_what_was_asked_and_not_answered_is_asked_again_on_the_next_socket():
    now = recording()
    now.on_ready(ready())
    now.add(b"abcd", 0, 0)
    request = now.finalize()
    now.close()
    assert sent(now) == [b"abcd", "finalize", "close"]
    now.on_lost()
    assert now.query()["session"] == "1"
    now.on_ready(ready(resume_offset=2))
    assert sent(now) == [b"cd", "finalize", "close"]
    now.on_finalized(wire.Finalized(4, stored=True))
    assert request.answer.stored
    assert now.outbox.stored == 4
    now.on_lost()
    now.on_ready(ready(resume_offset=4))
    assert sent(now) == ["close"]


def test_a_change_of_conversation_waits_for_its_ready():
    now = recording()
    now.on_ready(ready())
    now.add(b"ab", 0, 0)
    request = now.switch("d")
    now.add(b"cd", 0, 0)
    assert sent(now) == [b"ab", "conversation"]
    now.on_ack(wire.Ack("c", 2))
    now.on_ready(ready("7", conversation_id="d"))
    assert request.done
    assert sent(now) == [b"cd"]
    now.on_ack(wire.Ack("c", 2, 2))  # late, of the conversation that was left
    assert now.outbox.acked == 2
    now.on_ack(wire.Ack("d", 2))
    assert now.outbox.acked == 4
    assert (now.session, now.conversation_id) == ("7", "d")


def test_a_change_of_conversation_that_breaks_is_done_again_from_the_old_one():
    now = recording()
    now.on_ready(ready())
    now.add(b"abcd", 0, 0)
    now.switch("d")
    now.add(b"ef", 0, 0)
    sent(now)
    now.on_lost()
    assert (now.query()["conversation_id"], now.query()["session"]) == ("c", "1")
    now.on_ready(ready("2", previous_offset=4))  # the server had ended the old session already
    assert sent(now) == ["conversation"]
    now.on_ready(ready("3", conversation_id="d"))
    assert sent(now) == ["mark", b"ef"]


def test_a_fresh_session_begins_where_the_old_one_is_known_to_be_safe():
    now = recording()
    now.on_ready(ready())
    now.outbox.mark(1000)
    for _ in range(3):
        now.add(bytes(320), 0, 0)
    sent(now)
    now.on_ack(wire.Ack("c", 320))
    now.on_lost()
    now.on_ready(ready("2", previous_offset=640))
    message = now.next()
    assert [json.loads(t) for t in message.texts] == [{"type": "mark", "at_ms": 1020}]
    assert len(message.audio) == 320
    now.on_ack(wire.Ack("c", 320))
    assert now.outbox.acked == 960
    assert now.begun_anew == 1


def test_a_fresh_session_of_which_nothing_is_known_gets_what_was_never_acked():
    now = recording()
    now.on_ready(ready())
    now.add(bytes(320), 0, 0)
    now.add(bytes(320), 0, 0)
    sent(now)
    now.on_ack(wire.Ack("c", 400))
    now.on_lost()
    now.on_ready(ready("2"))
    assert [len(part) for part in sent(now) if isinstance(part, bytes)] == [240]


def test_bytes_that_the_server_lost_and_nobody_has_make_a_fresh_session_and_are_counted():
    now = recording()
    now.on_ready(ready())
    now.add(bytes(320), 0, 0)
    now.add(bytes(320), 0, 0)
    sent(now)
    now.on_ack(wire.Ack("c", 320))
    now.on_lost()
    assert not now.on_ready(ready(resume_offset=100))
    assert now.lost_bytes == 220
    assert "session" not in now.query()
    now.on_lost()
    assert now.on_ready(ready("2"))
    assert sent(now) == ["mark", bytes(320)]


def test_who_keeps_until_stored_sends_them_again():
    now = recording(keep="stored")
    now.on_ready(ready())
    now.add(bytes(range(10)) * 32, 0, 0)
    sent(now)
    now.on_ack(wire.Ack("c", 320))
    now.on_lost()
    assert now.on_ready(ready(resume_offset=100))
    assert sent(now) == [(bytes(range(10)) * 32)[100:]]
    assert now.lost_bytes == 0


def test_after_a_merge_the_target_is_named_by_ready():
    now = recording()
    now.on_ready(ready())
    now.on_lost()
    now.on_ready(ready("9", conversation_id="target"))
    assert now.query()["conversation_id"] == "target"


def test_a_server_that_knows_more_than_was_sent_is_not_believed():
    now = recording()
    now.on_ready(ready())
    now.on_lost()
    with pytest.raises(ProtocolError, match="never sent"):
        now.on_ready(ready(resume_offset=10))


def test_a_ready_that_nothing_asked_for_is_refused():
    now = recording()
    now.on_ready(ready())
    with pytest.raises(ProtocolError, match="second `ready`"):
        now.on_ready(ready())


def test_an_odd_byte_counts_as_all_acked():
    now = recording()
    now.on_ready(ready())
    now.add(b"abc", 0, 0)
    sent(now)
    assert not now.all_acked
    now.on_ack(wire.Ack("c", 2))
    assert now.all_acked
