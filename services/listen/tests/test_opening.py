import pytest

from listen.errors import RefusedError
from listen.opening import read_opening


@pytest.mark.parametrize(
    ("query", "dialect", "expected"),
    [
        ({}, "v1", "pcm16:16000:1:312"),
        ({}, "plain", "pcm8:8000:1:312"),
        ({"codec": "opus", "sample_rate": "48000", "pre_skip": "3840"}, "v1", "opus:48000:1:3840"),
        ({"codec": "opus_fs320", "channels": "1", "nonsense": "x"}, "plain", "opus_fs320:8000:1:312"),
        ({"codec": "pcm16", "sample_rate": "24000", "pre_skip": "999"}, "plain", "pcm16:24000:1:312"),
        ({"sample_rate": "44100", "channels": "2"}, "v1", "pcm16:44100:2:312"),
        ({"codec": "aac", "sample_rate": "44100"}, "v1", "aac:44100:1:1024"),
        ({"codec": "aac", "channels": "2", "pre_skip": "0"}, "plain", "aac:8000:2:0"),
    ],
)
def test_a_format_is_read_with_its_dialects_defaults(query, dialect, expected):
    assert str(read_opening(query, dialect).audio_format) == expected


@pytest.mark.parametrize(
    ("query", "close_code"),
    [
        ({"codec": "mp3"}, 1003),
        ({"codec": "aac", "sample_rate": "44000"}, 1003),
        ({"sample_rate": "7999"}, 4400),
        ({"sample_rate": "16e3"}, 4400),
        ({"sample_rate": "9" * 5_000}, 4400),
        ({"sample_rate": "48001"}, 4400),
        ({"channels": "3"}, 4400),
        ({"channels": "-1"}, 4400),
        ({"codec": "opus", "pre_skip": "119"}, 4400),
        ({"codec": "opus", "pre_skip": "65536"}, 4400),
        ({"codec": "aac", "pre_skip": "65536"}, 4400),
        ({"conversation_id": "../x"}, 4400),
        ({"client_conversation_id": "a b"}, 4400),
    ],
)
def test_what_cannot_be_recorded_is_refused(query, close_code):
    with pytest.raises(RefusedError) as caught:
        read_opening(query, "v1")
    assert (caught.value.status, caught.value.code, caught.value.close_code) == (
        400,
        "bad_parameter",
        close_code,
    )


def test_both_names_of_the_conversation_are_taken():
    assert read_opening({"conversation_id": "a"}, "v1").conversation_id == "a"
    assert read_opening({"client_conversation_id": "b"}, "plain").conversation_id == "b"
    assert read_opening({}, "v1").conversation_id is None


def test_a_session_needs_its_conversation():
    assert read_opening({"session": "123", "conversation_id": "a"}, "v1").resume == 123
    assert read_opening({"session": "123"}, "v1").mismatch is not None
    assert read_opening({"session": "x1", "conversation_id": "a"}, "v1").mismatch is not None
    plain = read_opening({"session": "123"}, "plain")
    assert (plain.resume, plain.mismatch) == (None, None)
