import errno

import pytest

from tapedeck import listen_messages as wire
from tapedeck.errors import DeletedError, NotAcceptedError, NotAllowedError, ReplacedError
from tapedeck.listen_verdict import (
    MAX_RETRY_AFTER_S,
    Again,
    Done,
    Stop,
    nobody_listens,
    of_close,
    of_refusal,
    refusal_detail,
)


def test_1000_is_the_end():
    assert of_close(1000, None, None) == Done()


@pytest.mark.parametrize("code", [None, 1001, 1005, 1006, 1011, 1012, 1013])
def test_what_is_no_fault_of_ours_is_tried_again(code):
    assert of_close(code, None, None) == Again()


def test_the_servers_own_pause_is_kept():
    assert of_close(1012, None, wire.GoingAway(1830)) == Again(1.83)
    assert of_close(1013, wire.Error("unavailable", retry_after_ms=500), None) == Again(0.5)
    assert of_close(4429, wire.Error("limit", retry_after_ms=10**9), None) == Again(MAX_RETRY_AFTER_S)
    assert of_close(4401, wire.Error("token_expired"), None) == Again(None, new_token=True)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1003, NotAcceptedError),
        (1007, NotAcceptedError),
        (1009, NotAcceptedError),
        (4400, NotAcceptedError),
        (4403, NotAllowedError),
        (4404, DeletedError),
        (4409, ReplacedError),
        (4999, NotAcceptedError),
    ],
)
def test_the_rest_ends_the_recording_and_says_why(code, kind):
    verdict = of_close(code, wire.Error("x", "because"), None)
    assert isinstance(verdict, Stop)
    assert type(verdict.error) is kind
    assert "because" in str(verdict.error)
    assert verdict.error.code == "x"


def test_a_merge_says_where_to_go_on():
    verdict = of_close(4409, wire.Error("merging"), None)
    assert isinstance(verdict, Stop)
    assert "target" in verdict.error.hint


def test_refusals_of_the_handshake():
    assert of_refusal(503, "7", "") == Again(7.0)
    assert of_refusal(429, None, "") == Again(None)
    assert of_refusal(502, "Wed, 21 Oct 2015 07:28:00 GMT", "") == Again(None)
    assert of_refusal(401, None, "") == Again(None, new_token=True)
    for status, kind in (
        (400, NotAcceptedError),
        (403, NotAllowedError),
        (404, DeletedError),
        (418, NotAcceptedError),
    ):
        verdict = of_refusal(status, None, "")
        assert isinstance(verdict, Stop)
        assert type(verdict.error) is kind


def test_a_refused_connection_is_told_from_other_trouble():
    refused = f"[Errno {errno.ECONNREFUSED}] Connect call failed"
    assert nobody_listens(ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"))
    assert nobody_listens(OSError(f"Multiple exceptions: {refused} ('::1', 1), {refused} ('127.0.0.1', 1)"))
    assert not nobody_listens(TimeoutError())
    assert not nobody_listens(OSError(errno.ENETUNREACH, "Network is unreachable"))


def test_what_a_refusal_says_is_read_where_it_is_a_problem():
    assert refusal_detail(b'{"title":"No","detail":"told to refuse"}') == "told to refuse"
    assert refusal_detail(b'{"title":"No"}') == "No"
    assert refusal_detail(b"<html>") == ""
