"""Heads of requests: what is a handshake, what is HTTP, and what is neither."""

import pytest

from listen.errors import BadHandshakeError
from listen.handshake import HTTP2_PREFACE, Handshake, Http2Preface, HttpHead, head_end, read_head

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def head(
    *lines: str, target: str = "/v4/listen", method: str = "GET", version: str = "1.1", **changed
) -> bytes:
    fields = {
        "Host": "x",
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    text = "\r\n".join(
        [
            f"{method} {target} HTTP/{version}",
            *(f"{name}: {value}" for name, value in fields.items()),
            *lines,
            "\r\n",
        ]
    )
    return text.encode("latin-1")


def test_a_handshake_says_what_it_wants():
    wanted = read_head(
        head(
            "Sec-WebSocket-Protocol: tapedeck.v1, ,tapedeck.bearer.x",
            "sec-websocket-protocol: more",
            "X-Forwarded-For: 1.2.3.4",
            target="/v4/listen?codec=opus&codec=aac&empty=&name=a%2Fb+c&bad=%ff",
        )
    )
    assert isinstance(wanted, Handshake)
    assert wanted.path == "/v4/listen"
    assert wanted.query == {"codec": "aac", "empty": "", "name": "a/b c", "bad": "\ufffd"}
    assert wanted.subprotocols == ("tapedeck.v1", "tapedeck.bearer.x", "more")
    assert wanted.headers["x-forwarded-for"] == "1.2.3.4"
    assert wanted.key == KEY


def test_a_head_has_so_many_lines_and_one_more_is_refused_before_it_is_read():
    lines = [f"X-{number}: x" for number in range(100)]
    most = next(count for count in range(80, 101) if head(*lines[:count]).count(b"\n") == 100)
    assert isinstance(read_head(head(*lines[:most])), Handshake)
    for too_many in (head(*lines[: most + 1]), b"GET / HTTP/1.1\r\n" + b"a:\n" * 100 + b"\n", b"\n" * 200):
        with pytest.raises(BadHandshakeError) as refused:
            read_head(too_many)
        assert refused.value.status == 431


@pytest.mark.parametrize("byte", [b"\x00", b"\x0b", b"\x0c", b"\x7f", b"\r"])
def test_what_no_head_may_hold_is_refused(byte):
    with pytest.raises(BadHandshakeError) as refused:
        read_head(head()[:-2] + b"X:" + b" " * 30_000 + byte + b"\r\n\r\n")
    assert (refused.value.status, "control" in refused.value.message) == (400, True)


def test_a_body_in_chunks_is_the_http_sides():
    sent = b"POST /v1/tickets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert isinstance(read_head(sent), HttpHead)


def test_a_query_that_is_too_long_is_not_looked_at_but_for_a_ticket():
    wanted = read_head(head(target="/v4/listen?ticket=" + "y" * 8_000))
    assert isinstance(wanted, Handshake)
    assert (wanted.crowded, wanted.offers_ticket, len(wanted.query["ticket"])) == (False, True, 8_000)
    for word, offers in (("ticket=", True), ("x=", False)):
        wanted = read_head(head(target="/v4/listen?" + word + "y" * 9_000))
        assert isinstance(wanted, Handshake)
        assert (wanted.crowded, wanted.offers_ticket, wanted.query) == (True, offers, {})


def test_a_query_with_too_many_parameters_is_not_looked_at():
    wanted = read_head(head(target="/v4/listen?ticket=t" + "&a=1" * 99))
    assert isinstance(wanted, Handshake)
    assert (wanted.crowded, wanted.query["ticket"]) == (False, "t")
    wanted = read_head(head(target="/v4/listen?ticket=t" + "&a=1" * 100))
    assert isinstance(wanted, Handshake)
    assert (wanted.crowded, wanted.query) == (True, {})


def test_of_the_offered_subprotocols_so_many_are_looked_at():
    wanted = read_head(head("Sec-WebSocket-Protocol: tapedeck.v1" + ", x" * 5_000))
    assert isinstance(wanted, Handshake)
    assert wanted.subprotocols[0] == "tapedeck.v1"
    assert len(wanted.subprotocols) == 65


@pytest.mark.parametrize("target", ["http://host:80/v4/listen?a=1", "/v4/listen?a=1#part"])
def test_the_target_may_be_a_whole_address(target):
    wanted = read_head(head(target=target))
    assert isinstance(wanted, Handshake)
    assert (wanted.path, wanted.query) == ("/v4/listen", {"a": "1"})


@pytest.mark.parametrize(
    "request_head",
    [
        head(Upgrade=None),
        head(Upgrade="h2c"),
        head(method="POST"),
        b"POST /v1/tickets HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
    ],
)
def test_anything_else_that_is_a_request_is_http(request_head):
    wanted = read_head(request_head)
    assert isinstance(wanted, HttpHead)
    assert wanted.head in (
        request_head,
        request_head.replace(b"Upgrade: h2c\r\n", b""),
        head(Upgrade=None, method="POST"),
    )
    assert b"\nUpgrade" not in wanted.head


def test_http_2_is_known_by_its_preface():
    assert isinstance(read_head(HTTP2_PREFACE), Http2Preface)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (head(Sec_WebSocket_Version="12"), 426),
        (head(Sec_WebSocket_Version=None), 426),
        (head(Sec_WebSocket_Key=None), 400),
        (head(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (head(Sec_WebSocket_Key="not base64, at all =="), 400),
        (head(Sec_WebSocket_Key="\xe9" * 24), 400),
        (head(Connection="close"), 400),
        (head(version="1.0"), 400),
        (head("Content-Length: 5"), 400),
        (head("Transfer-Encoding: chunked"), 400),
        (head(Host=None), 400),
        (head(target="http://[x/"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (head("Bad Name: x"), 400),
        (head("X: \x00"), 400),
    ],
)
def test_what_is_broken_says_how(request_head, status):
    with pytest.raises(BadHandshakeError) as caught:
        read_head(request_head)
    assert caught.value.status == status


def test_a_wrong_version_names_the_right_one():
    with pytest.raises(BadHandshakeError) as caught:
        read_head(head(Sec_WebSocket_Version="8"))
    assert caught.value.headers == {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"}


def test_the_end_of_a_head_is_found_wherever_it_is_cut():
    whole = head() + b"more"
    size = len(whole) - 4
    for cut in range(len(whole)):
        searched = 0
        if head_end(whole[:cut], 0) is None:
            searched = cut
        assert head_end(whole, searched) == size
    assert head_end(b"GET / HTTP/1.1\n\nrest", 0) == 16
