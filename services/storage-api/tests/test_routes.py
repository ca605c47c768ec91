"""The table of routes: each row is whole, and the paths are what they say. `every_route/` asks them for something."""

import re

import pytest

from storage_api.problem_codes import PROBLEM_CODES
from storage_api.routes import TABLE
from storage_api.row import METHODS


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: f"{row.method} {row.path}")


def path_of(row, uid: str = "user-1") -> str:
    return re.sub(r"\{\w+\}", "some-id", row.path.replace("{uid}", uid))


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
