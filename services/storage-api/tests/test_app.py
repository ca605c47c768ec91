"""Routes, problems, and the counting of requests."""

import pytest

HEADERS = {"Authorization": "Bearer all-token"}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/v1/users/u", 404, "not_found"),
        ("GET", "/v1/users/u/conversations/c/nothing", 404, "not_found"),
        ("GET", "/v1/users/u/nothing", 404, "not_found"),
        ("POST", "/v1/users/u/conversations:nothing", 404, "not_found"),
        ("PATCH", "/v1/users/u/conversations/c", 405, "method_not_allowed"),
        ("PATCH", "/v1/users/u/conversations/c/audio", 405, "method_not_allowed"),
        ("POST", "/v1/users/u/conversations", 405, "method_not_allowed"),
        ("GET", "/v1/users/u/conversations/c:flush", 405, "method_not_allowed"),
        ("POST", "/v1/users/u/conversations/c:freeze", 404, "not_found"),
        ("PUT", "/v1/users/u/conversations/c/chunks", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem(api, method, path, status, code):
    answer = await api.http.request(method, path, headers=HEADERS)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["x-request-id"]
    if status == 405:
        assert answer.headers["allow"]


async def test_a_bug_is_a_problem_without_its_trace(api, tape, conversation, pcm_tone, monkeypatch, caplog):
    await tape.record(pcm_tone(1))

    def fail(*_args):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("storage_api.conversations.summary", fail)
    answer = await api.get(conversation)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert [record.message for record in caplog.records if record.exc_info] == ["a request failed"]


async def test_a_clients_request_id_comes_back(api, conversation):
    answer = await api.get(conversation, headers={"X-Request-Id": "from-the-client"})
    assert answer.json()["request_id"] == "from-the-client"


async def test_requests_are_counted_by_route_and_never_by_path(api, tape, conversation, pcm_tone):
    await tape.record(pcm_tone(1))
    await api.get(conversation)
    await api.get(conversation, "/audio")
    await api.get(conversation, "/audio", format="mp3")
    await api.http.get("/somewhere", headers=HEADERS)
    requests = api.services.metrics.requests

    def count(*labels):
        return requests[labels]._value.get()

    assert count("GET", "conversation", "200") == 1
    assert count("GET", "audio", "200") == 1
    assert count("GET", "audio", "400") == 1
    assert count("GET", "other", "404") == 1
    assert count("GET", "chunks", "200") == 0
