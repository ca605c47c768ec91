"""How operators' commands find what they are to look at."""

import pytest

from tapedeck.errors import UsageError
from tapedeck.operators import reach


@pytest.mark.parametrize(
    "text", ["../..", "a/..", "-a/b", "a/b c", "a/b/c", "a", "/b", "a/", "a/b\n", f"a/{'x' * 129}", "ü/b"]
)
def test_what_can_name_no_conversation(text):
    with pytest.raises(UsageError, match="names no conversation"):
        reach.conversation(text)


def test_a_name_that_is_far_too_long_is_not_repeated():
    with pytest.raises(UsageError, match=r"^this is too long to name a conversation$"):
        reach.conversation(f"{'x' * 3000}/y")


def test_a_conversation():
    assert reach.conversation(f"auth0@x.y-z_/{'1' * 128}").uid == "auth0@x.y-z_"


def test_commands_refuse_it(command):
    for arguments in (("where", "../.."), ("buffers", "flush", "../.."), ("dead", "list", "../..")):
        answer = command(*arguments)
        assert answer.code == 2
        assert "names no conversation" in answer.err


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:99999/0", "redis+sentinel://127.0.0.1:26379", "http://127.0.0.1"]
)
def test_an_address_of_redis_that_is_none(command, url):
    answer = command("buffers", "list", TAPEDECK_REDIS_URL=url)
    assert answer.code == 2
    assert "TAPEDECK_REDIS_URL (or --redis-url) is redis://host" in answer.err
    assert "PREFIX" not in answer.err


def test_the_doctor_sends_nobody_to_the_doctor(command):
    found = command("doctor", "--no-books", "--json", TAPEDECK_REDIS_URL="redis://127.0.0.1:1/0")
    [redis] = [one for one in found.json["findings"] if one["check"] == "redis"]
    assert redis["level"] == "wrong"
    assert redis["hint"] == reach.REDIS_HINT
