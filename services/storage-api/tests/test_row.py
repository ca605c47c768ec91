"""What follows from a row."""

from dataclasses import replace

import pytest

from storage_api.flush import flush
from storage_api.row import Parameter, Row

ROW = Row(
    method="GET", path="/v1/open", name="open", handler=flush, scope=None, summary="Open", answers={200: None}
)


def test_an_open_row_can_only_fail():
    assert ROW.problems == ("internal",)
    assert ROW.statuses == (200, 500)
    assert ROW.path_ids == ()
    assert ROW.operation_id == "get_open"


def test_problems_follow_from_what_a_row_takes():
    row = replace(
        ROW,
        path="/v1/users/{uid}/x/{cid}:verb",
        scope="audio:read",
        parameters=(Parameter("live", bool, "Live"),),
        body=dict[str, str],
        codes=("busy",),
    )
    assert row.path_ids == ("uid", "cid")
    assert set(row.problems) == {
        "bad_id", "bad_parameter", "bad_request", "busy", "forbidden", "internal", "not_found",
        "token_expired", "too_big", "too_slow", "unauthorized", "unavailable",
    }  # fmt: skip
    assert row.statuses == (200, 400, 401, 403, 404, 408, 413, 500, 503)


def test_a_code_that_nobody_knows_is_refused():
    with pytest.raises(KeyError):
        replace(ROW, codes=("no_such_code",))


def test_only_what_stands_in_the_query_can_be_a_bad_parameter():
    row = replace(ROW, parameters=(Parameter("Range", str, "A part", place="header"),))
    assert row.problems == ("internal",)
