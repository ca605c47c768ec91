"""The synchronous client against a small real server: requests, answers, errors, retries. Downloads stand in test_download_file."""

import logging
import threading
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone

import httpx
import pytest

from tapedeck import AudioRequest, Retries, StorageClient
from tapedeck.errors import (
    BadRequestError,
    ClientSetupError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    StorageAwayError,
    StorageError,
    TokenRefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from tapedeck.storage_types import Deleted

BASE = "/v1/users/u/conversations"
QUICK = Retries(times=2, first_pause_s=0.001, longest_pause_s=0.001, refused_for_s=0)
T = "2026-11-21T00:00:00.250Z"
CONVERSATION = {"conversation_id": "c", "start": T, "end": T}
OPERATION = {"id": "o-1", "kind": "merge", "done": False, "progress": None, "error": None, "result": None}


@pytest.fixture
def client(storage_stand_in):
    with StorageClient(storage_stand_in.url, token="secret-token", retries=QUICK, timeout=5) as client:
        yield client


def asked(stand_in):
    return [request for request, _ in stand_in.requests]


def test_pages_are_followed_to_the_end(storage_stand_in, client):
    first = {"conversations": [CONVERSATION, CONVERSATION | {"new_field": 1}], "next_page_token": "t&1"}
    last = {"conversations": [CONVERSATION | {"conversation_id": "z"}], "next_page_token": None}
    storage_stand_in.answers = {
        f"{BASE}?page_size=2": (200, first, {"Tapedeck-Live": "unavailable"}),
        f"{BASE}?page_size=2&page_token=t%261": (200, last),
    }
    listing = client.conversations("u", page_size=2)
    assert [c.conversation_id for c in listing] == ["c", "c", "z"]
    pages = list(listing.pages())
    assert [page.live_known for page in pages] == [False, True]
    assert pages[0].conversations[0].start == datetime(2026, 11, 21, 0, 0, 0, 250_000, tzinfo=UTC)
    (page,) = client.conversations("u", page_size=2, page_token=pages[0].next_page_token).pages()
    assert page.conversations[0].conversation_id == "z"
    headers = storage_stand_in.requests[0][1]
    assert headers["Authorization"] == "Bearer secret-token"
    assert headers["User-Agent"].startswith("tapedeck-python/")


@pytest.mark.parametrize(("headers", "known"), [({}, True), ({"Tapedeck-Live": "unavailable"}, False)])
def test_of_one_conversation_it_is_told_whether_its_live_part_is_known(
    storage_stand_in, client, headers, known
):
    storage_stand_in.answers = {f"{BASE}/c": (200, CONVERSATION, headers)}
    assert client.conversation("u", "c").live_known is known


def test_a_server_that_answers_the_same_page_for_ever_is_not_followed(storage_stand_in, client):
    storage_stand_in.answers = {BASE: (200, {"conversations": [CONVERSATION], "next_page_token": "again"})}
    with pytest.raises(UnexpectedAnswerError, match="again and again"):
        list(client.conversations("u"))


def test_times_and_names_are_written_as_the_api_takes_them(storage_stand_in, client):
    storage_stand_in.answers = {
        f"{BASE}/c%2Fd%20%3F%3Aflush/chunks": (200, {"chunks": []}),
        f"{BASE}/%2E%2E": (200, CONVERSATION),
        f"{BASE}/c/chunks": (200, {"deleted_objects": 2, "deleted_seconds": 1.5}),
        f"{BASE}/c/audio": (200, {"deleted_objects": 1, "deleted_seconds": 1.0}),
        "/v1/users/u/usage": (200, {"days": [{"day": "2026-11-21", "ms": 5}], "daily_limit_ms": 0}),
    }
    start = datetime(2026, 11, 21, 1, 0, 0, 500, tzinfo=timezone(timedelta(hours=1)))
    assert list(client.chunks("u", "c/d ?:flush", start=start, end=1_700_000_000.25)) == []
    client.conversation("u", "..")
    assert client.delete_chunks("u", "c", ["1.000", 2]) == Deleted(2, 1.5)
    client.delete_stretch("u", "c", end="2026-11-21T00:00:00Z")
    assert client.usage("u", first=date(2026, 11, 21)).days[0].day == date(2026, 11, 21)
    assert asked(storage_stand_in) == [
        f"GET {BASE}/c%2Fd%20%3F%3Aflush/chunks?start=2026-11-21T00%3A00%3A00.000500Z&end=1700000000.250000&page_size=100",
        f"GET {BASE}/%2E%2E",
        f"DELETE {BASE}/c/chunks?timestamps=1.000%2C2.000000",
        f"DELETE {BASE}/c/audio?end=2026-11-21T00%3A00%3A00Z",
        "GET /v1/users/u/usage?from=2026-11-21",
    ]


def test_bodies(storage_stand_in, client):
    settings = {"protection": "enhanced", "store_audio": True, "daily_limit_ms": 0}
    storage_stand_in.answers = {
        "/v1/users/u/settings": (200, settings),
        f"{BASE}:merge": (202, OPERATION),
        "/v1/buffers:flush": (202, {"asked": 3, "unavailable": []}),
        "/v1/dead-letters/a%2Fb:retry": (202, {"id": "a/b", "retry_asked_at": T}),
    }
    assert client.put_settings("u", protection="enhanced", daily_limit_ms=0).store_audio
    client.put_settings("u", daily_limit_ms=None)
    client.put_settings("u", store_audio=False)
    assert client.merge("u", ["a", "b"], "c", delete_sources=False).id == "o-1"
    assert client.flush_buffers().asked == 3
    assert client.retry_dead_letter("a/b").id == "a/b"
    assert storage_stand_in.bodies == [
        b'{"protection":"enhanced","daily_limit_ms":0}',
        b'{"daily_limit_ms":null}',
        b'{"store_audio":false}',
        b'{"sources":["a","b"],"target":"c","delete_sources":false}',
        b"{}",
        b"",
    ]
    assert storage_stand_in.requests[0][1]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.conversation("u", ""),
        lambda c: c.conversation("\ud800", "c"),
        lambda c: list(c.chunks("u", "c", start=datetime(2026, 1, 1))),  # noqa: DTZ001 - that is the point
        lambda c: list(c.chunks("u", "c", start=float("nan"))),
        lambda c: c.delete_stretch("u", "c"),
        lambda c: c.delete_stretch("u", "c", start="", end=9),
        lambda c: c.delete_chunks("u", "c", []),
        lambda c: c.flush_buffers(uid="u"),
        lambda c: c.conversation("u", "c" * 70_000),
    ],
)
def test_what_makes_no_sense_is_never_sent(storage_stand_in, client, wrong):
    with pytest.raises(BadRequestError):
        wrong(client)
    assert storage_stand_in.requests == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, TokenRefusedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, BadRequestError),
        (429, UnavailableError),
        (500, ServerError),
        (504, UnavailableError),
    ],
)
def test_problems_become_errors_of_one_tree(storage_stand_in, client, status, kind):
    problem = {"title": "T", "detail": "why", "code": "some_code", "request_id": "r-1", "parameter": "x"}
    storage_stand_in.answers = {f"{BASE}/c": (status, problem)}
    with pytest.raises(StorageError, match=r"why \(request r-1\)") as caught:
        client.conversation("u", "c")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.title, error.detail) == (status, "some_code", "T", "why")
    assert (error.request_id, error.retry_after) == ("r-1", None)
    assert len(storage_stand_in.requests) == 1


def test_a_proxys_own_page_is_an_error_by_its_status(storage_stand_in, client):
    storage_stand_in.answers = {BASE: (502, b"<html>" * 100_000, {"Content-Type": "text/html"})}
    with pytest.raises(ServerError, match="HTTP 502"):
        list(client.conversations("u"))


def test_who_is_told_to_come_back_comes_back_a_few_times(storage_stand_in, client):
    busy = (503, {"code": "busy"}, {"Retry-After": "0"})
    storage_stand_in.answers = {
        f"{BASE}/c": [busy, (429, {}, {"Retry-After": "0"}), (200, CONVERSATION)],
        f"{BASE}/d": [busy] * 9,
        f"{BASE}/e": (503, {"code": "busy"}, {"Retry-After": "61"}),
        f"{BASE}/f": (503, {"code": "live_unavailable"}),
        f"{BASE}/c:flush": [busy, (200, {"stored_seconds": 2.5})],
        "/v1/users/u/audio": (503, {"code": "live_unavailable"}, {"Retry-After": "0"}),
    }
    assert client.conversation("u", "c").conversation_id == "c"
    with pytest.raises(UnavailableError) as caught:
        client.conversation("u", "d")
    assert caught.value.retry_after == 0
    with pytest.raises(UnavailableError) as caught:
        client.conversation("u", "e")
    assert caught.value.retry_after == 61
    with pytest.raises(UnavailableError):
        client.conversation("u", "f")
    assert client.flush("u", "c").stored_seconds == 2.5
    with pytest.raises(UnavailableError):
        client.delete_user_audio("u")  # a second one would delete more than was asked for
    last = [request.rpartition("/")[2] for request in asked(storage_stand_in)]
    assert last == ["c", "c", "c", "d", "d", "d", "e", "f", "c:flush", "c:flush", "audio"]


def test_a_bucket_that_is_away_for_longer_than_the_tries_is_outlasted(storage_stand_in):
    away = (503, {"code": "store_unavailable"}, {"Retry-After": "0"})
    storage_stand_in.answers = {f"{BASE}/c": [away] * 9 + [(200, CONVERSATION)]}
    patient = Retries(times=1, first_pause_s=0.001, longest_pause_s=0.001)
    with StorageClient(storage_stand_in.url, "t", retries=patient) as client:
        assert client.conversation("u", "c").conversation_id == "c"


def test_an_answer_that_is_cut_is_asked_for_again_where_that_is_safe(storage_stand_in, client):
    storage_stand_in.answers = {
        f"{BASE}/c": [(-5, CONVERSATION), (200, CONVERSATION)],
        f"{BASE}/d": [(-5, CONVERSATION)] * 9,
        f"{BASE}/c:flush": (-5, {"stored_seconds": 2.5}),
        "/v1/users/u/audio": (-5, OPERATION),
        f"{BASE}/gone": [(-5, {"deleted_objects": 1, "deleted_seconds": 1.0}), (404, {"code": "not_found"})],
    }
    assert client.conversation("u", "c").conversation_id == "c"
    for lost in (
        lambda: client.conversation("u", "d"),
        lambda: client.flush("u", "c"),
        lambda: client.delete_user_audio("u"),
    ):
        with pytest.raises(StorageAwayError, match="does not answer"):
            lost()
    with pytest.raises(NotFoundError) as caught:
        client.delete_conversation("u", "gone")
    assert "earlier try" in caught.value.hint
    last = [request.rpartition("/")[2] for request in asked(storage_stand_in)]
    assert last == ["c", "c", "d", "d", "d", "c:flush", "audio", "gone", "gone"]


@pytest.mark.parametrize(
    ("end", "times"),
    [("2026-11-01T00:00:00Z", 2), (1.5, 2), ("2999-01-01T00:00:00Z", 1), (4_102_444_800, 1), (None, 1)],
)
def test_a_stretch_up_to_what_is_yet_to_come_is_never_deleted_twice_by_itself(
    storage_stand_in, client, end, times
):
    """Up to "now" would be further."""
    deleted = {"deleted_objects": 1, "deleted_seconds": 1.0}
    storage_stand_in.answers = {f"{BASE}/c/audio": [(-5, deleted), (200, deleted)]}
    with suppress(StorageAwayError):
        client.delete_stretch("u", "c", start=1, end=end)
    assert len(storage_stand_in.requests) == times


def test_a_server_that_hangs_is_an_error(storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/c": (None, b"")}
    retries = Retries(times=0)
    with (
        StorageClient(storage_stand_in.url, "t", timeout=0.1, retries=retries) as client,
        pytest.raises(StorageAwayError, match="takes too long"),
    ):
        client.conversation("u", "c")


def test_nobody_there(unused_tcp_port):
    with StorageClient(f"http://127.0.0.1:{unused_tcp_port}", "t", retries=QUICK) as client:
        for ask in (lambda: client.flush("u", "c"), lambda: client.audio("u", "c")):
            with pytest.raises(StorageAwayError, match="does not answer") as caught:
                ask()
            assert "tapedeck up" in caught.value.hint
            assert caught.value.status == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"[]"), "something else than a Conversation"),
        ((200, b'{"conversation_id":"c","start":"x","end":"y"}'), "something else than a Conversation"),
        ((200, b"\xff\x00garbage"), "something else than a Conversation"),
        ((200, b"<html>", {"Content-Type": "text/html; charset=utf-8"}), "answered with 'text/html'"),
        ((200, b"x", {"Content-Encoding": "gzip"}), "'gzip'-packed"),
        ((204, b""), "something else than a Conversation"),
        ((302, b"", {"Location": "https://evil.example/?token=x"}), "a redirect to https://evil.example$"),
        ((307, b"", {"Location": "/login"}), "a redirect to another path"),
    ],
)
def test_what_is_no_answer_of_this_api_is_said(storage_stand_in, client, answer, said):
    storage_stand_in.answers = {f"{BASE}/c": answer}
    with pytest.raises(UnexpectedAnswerError, match=said):
        client.conversation("u", "c")
    assert len(storage_stand_in.requests) == 1


def test_the_token_is_in_no_text_and_goes_to_no_other_host(storage_stand_in, caplog):
    caplog.set_level(logging.DEBUG)
    token = "very-secret-token"
    storage_stand_in.answers = {
        f"{BASE}/echo": (400, {"detail": f"you sent Bearer {token}", "code": token}),
        f"{BASE}/c": (302, b"", {"Location": f"{storage_stand_in.url}/elsewhere"}),
    }
    http = httpx.Client(
        follow_redirects=True, auth=("other", "user")
    )  # a client of somebody's own, in a hurry
    with http, StorageClient(storage_stand_in.url, token, http=http, user_agent="mine/1") as client:
        assert token not in repr(client)
        with pytest.raises(BadRequestError) as caught:
            client.conversation("u", "echo")
        assert token not in f"{caught.value!r} {vars(caught.value)}"
        with pytest.raises(UnexpectedAnswerError):
            client.conversation("u", "c")
    assert len(storage_stand_in.requests) == 2
    headers = storage_stand_in.requests[0][1]
    assert headers["Authorization"] == f"Bearer {token}"
    assert headers["User-Agent"].startswith("mine/1 tapedeck-python/")
    assert token not in caplog.text


@pytest.mark.parametrize("token", ["", "two\nlines", "a b", "späß"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(token):
    with pytest.raises(ClientSetupError) as caught:
        StorageClient("http://127.0.0.1:1", token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:1",
        "ftp://x",
        "http://",
        "http://u:pass@x",
        "http://x/?a=pass",
        "http://[",
        "http://x:99999",
    ],
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ClientSetupError) as caught:
        StorageClient(url, "t")
    assert "pass" not in str(caught.value)


def test_a_newer_token_is_asked_for_before_each_request(storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/c": (200, CONVERSATION)}
    tokens = iter(["one", "two", "three", "four"])
    with StorageClient(storage_stand_in.url + "/", lambda: next(tokens)) as client:
        client.conversation("u", "c")
        client.conversation("u", "c")
    sent = [headers["Authorization"] for _, headers in storage_stand_in.requests]
    assert len(set(sent)) == 2


def test_a_client_that_was_given_stays_open(storage_stand_in):
    storage_stand_in.answers = {f"{BASE}/c": (200, CONVERSATION)}
    with httpx.Client() as http:
        for _ in range(2):
            with StorageClient(storage_stand_in.url, "t", http=http) as client:
                client.conversation("u", "c")


def test_a_client_that_is_closed_says_so(storage_stand_in):
    client = StorageClient(storage_stand_in.url, "t")
    client.close()
    with pytest.raises(ClientSetupError, match="closed"):
        client.conversation("u", "c")
    with pytest.raises(ClientSetupError, match="closed"), client.stream_audio("u", "c"):
        pass
    assert not storage_stand_in.requests


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.merge("u", "ab", "x"),
        lambda client: client.delete_chunks("u", "c", "1795343001"),
        lambda client: client.delete_chunks("u", "c", b"1795343001"),
        lambda client: client.audio("u", "c", AudioRequest(timestamps="1795343001")),
    ],
)
def test_a_text_is_not_taken_for_its_letters(storage_stand_in, client, call):
    with pytest.raises(TypeError, match="are several, and a text is one"):
        call(client)
    assert not storage_stand_in.requests


def test_threads_share_a_client(storage_stand_in, client):
    storage_stand_in.answers = {f"{BASE}/c": (200, CONVERSATION)}
    found = []
    threads = [threading.Thread(target=lambda: found.append(client.conversation("u", "c"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
