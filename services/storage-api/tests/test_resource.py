"""The rows of one path, and what makes a table none."""

from dataclasses import replace

import pytest

from storage_api.flush import flush
from storage_api.resource import Resource, resources
from storage_api.row import Row

GET = Row(
    method="GET", path="/v1/a/{id}", name="a", handler=flush, scope=None, summary="A", answers={200: None}
)


def test_rows_of_one_path_are_one_route():
    (only,) = resources([GET, replace(GET, method="DELETE")])
    assert only.route.methods == {"GET", "HEAD", "DELETE"}
    assert only.route.path == "/v1/a/{id:segment}"


@pytest.mark.parametrize(
    "table",
    [
        [GET, GET],
        [GET, replace(GET, method="PUT", name="b")],
        [GET, replace(GET, path="/v1/b", name="b"), replace(GET, method="PUT")],
        [GET, replace(GET, path="/v1/b")],
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table):
    with pytest.raises(ValueError, match="path"):
        resources(table)


def test_a_resource_is_one_path():
    with pytest.raises(ValueError, match="not one path's"):
        Resource([GET, replace(GET, path="/v1/b")])
