"""What a client does wrong: counted, told, and when it is too much."""

import json

from listen.actions import Count, SendText
from listen.errors import BadAudioError, WrongRateError
from listen.faults import BAD_PACKETS_LIMIT, Faults
from listen.replies import Replies


def begun() -> Replies:
    """Replies to a client that has been told `ready`."""
    out = Replies()
    out.ready("ready")
    out.take()
    return out


def codes(out: Replies) -> list[str]:
    return [json.loads(action.text)["code"] for action in out.take() if isinstance(action, SendText)]


def test_early_audio_is_counted_each_time_and_told_once_until_ready():
    out = begun()
    faults = Faults(out)
    faults.early_audio()
    faults.early_audio()
    actions = out.take()
    assert [action for action in actions if isinstance(action, Count)] == [
        Count("rejected", 1, "not_ready")
    ] * 2
    assert len(actions) == 3
    faults.ready()
    faults.early_audio()
    assert codes(out) == ["not_ready"]


def test_fifty_bad_packets_in_a_row_are_too_many():
    out = begun()
    faults = Faults(out)
    answers = [faults.bad_audio(BadAudioError("no packet")) for _ in range(BAD_PACKETS_LIMIT)]
    assert answers == [None] * (BAD_PACKETS_LIMIT - 1) + [1007]
    faults.bad_in_a_row = 0
    assert faults.bad_audio(BadAudioError("no packet")) is None


def test_what_ends_the_socket_at_once_answers_its_code():
    out = begun()
    faults = Faults(out)
    assert faults.bad_audio(WrongRateError("another rate")) == 1003
    assert faults.too_big() == faults.unreadable(1009, "") == 1009
    assert faults.unreadable(1002, "a wrong mask") == 1002
    faults.early_text()
    assert codes(out) == ["bad_parameter", "too_big", "too_big", "bad_parameter", "not_ready"]
