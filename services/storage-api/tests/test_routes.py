"""The table of routes against storage-api's page, and every route of it against those who may not."""

import re

import pytest

from storage_api.problem_codes import PROBLEM_CODES
from storage_api.routes import TABLE
from storage_api.row import METHODS

USER = "/v1/users/{uid}"
CONVERSATION = USER + "/conversations/{cid}"

PAGE = {
    ("GET", USER + "/conversations"): "page_size page_token live",
    ("GET", CONVERSATION): "",
    ("GET", CONVERSATION + "/chunks"): "start end page_size page_token",
    ("GET", CONVERSATION + "/recordings"): "max_gap_s",
    ("GET", CONVERSATION + "/audio"): "format start end timestamps fill_gaps sample_rate channels strict",
    ("HEAD", CONVERSATION + "/audio"): "format start end timestamps fill_gaps sample_rate channels strict",
    ("GET", CONVERSATION + "/waveform"): "samples_per_pixel start end",
    ("DELETE", CONVERSATION + "/chunks"): "timestamps",
    ("DELETE", CONVERSATION + "/audio"): "start end",
    ("DELETE", CONVERSATION): "",
    ("DELETE", USER + "/audio"): "",
    ("POST", USER + "/conversations:merge"): "",
    ("POST", CONVERSATION + ":flush"): "",
    ("GET", "/v1/operations/{id}"): "",
    ("GET", USER + "/settings"): "",
    ("PUT", USER + "/settings"): "",
    ("GET", USER + "/usage"): "from to",
    ("GET", "/v1/buffers"): "page_size page_token",
    ("POST", "/v1/buffers:flush"): "",
    ("GET", "/v1/dead-letters"): "page_size page_token",
    ("POST", "/v1/dead-letters/{id}:retry"): "",
}
"""The rows of storage-api.md that are this service's, with the parameters of their queries."""

SCOPES = {"audio:read", "audio:write", "users:admin", "ops:admin"}
GUARDED = [row for row in TABLE if row.scope is not None]


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.operation_id)


def path_of(row, uid: str = "user-1") -> str:
    return re.sub(r"\{\w+\}", "some-id", row.path.replace("{uid}", uid))


def test_the_table_is_the_page():
    described = {(row.method, row.path) for row in TABLE if row.path.startswith("/v1/")}
    assert described == PAGE.keys()


@named([row for row in TABLE if row.path.startswith("/v1/")])
def test_a_row_takes_the_parameters_of_the_page(row):
    taken = {parameter.name for parameter in row.parameters if parameter.place == "query"}
    assert taken == set(PAGE[row.method, row.path].split())


@named(TABLE)
def test_a_row_is_complete(row):
    assert row.method in METHODS
    assert row.summary
    assert not row.summary.endswith(".")
    assert set(row.codes) <= PROBLEM_CODES.keys()
    assert all(200 <= status < 400 for status in row.answers)
    assert row.answers
    assert row.scope is not None or not row.path.startswith("/v1/")
    assert len({parameter.name for parameter in row.parameters}) == len(row.parameters)


def test_every_operation_has_an_id_of_its_own():
    assert len({row.operation_id for row in TABLE}) == len(TABLE)


@named(GUARDED)
async def test_without_a_token_nobody_is_let_in(api, row):
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        answer = await api.http.request(row.method, path_of(row), headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


@named(GUARDED)
async def test_a_service_without_the_scope_is_refused(api, row, tokens_file):
    tokens_file(SCOPES - {row.scope, *row.or_scopes})
    headers = {"Authorization": "Bearer changed-token"}
    answer = await api.http.request(row.method, path_of(row), headers=headers)
    assert answer.status_code == 403


@named([row for row in GUARDED if "uid" in row.path_ids])
async def test_a_foreign_user_finds_nothing(api, row):
    headers = {"Authorization": f"Bearer {api.token('user-2')}"}
    answer = await api.http.request(row.method, path_of(row), headers=headers)
    assert answer.status_code == 404


@named([row for row in TABLE if row.scope == "ops:admin"])
async def test_a_user_is_no_operator(api, row):
    headers = {"Authorization": f"Bearer {api.token('user-1')}"}
    answer = await api.http.request(row.method, path_of(row), headers=headers)
    assert answer.status_code in (403, 404)


@named([row for row in TABLE if row.path_ids])
async def test_a_bad_id_is_a_400_or_leads_nowhere(api, row):
    for bad in ("..%2f..", "%00", "-x", "a%20b", "x" * 129):
        path = re.sub(r"\{\w+\}", bad, row.path)
        answer = await api.http.request(row.method, path, headers={"Authorization": "Bearer all-token"})
        assert answer.status_code in (400, 403, 404)  # 403: the scope is asked for first


@pytest.mark.parametrize("path", sorted({row.path for row in TABLE}))
async def test_405_names_every_method_of_the_path(api, path):
    there = {row.method for row in TABLE if row.path == path}
    if "GET" in there:
        there.add("HEAD")
    url = path_of(next(row for row in TABLE if row.path == path))
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
        if method not in there:
            answer = await api.http.request(method, url, headers={"Authorization": "Bearer all-token"})
            assert answer.status_code == 405
            assert set(answer.headers["allow"].split(", ")) == there
