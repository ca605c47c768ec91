"""`/openapi.json`: valid OpenAPI 3.1, and what it says is what the table says."""

from dataclasses import replace
from typing import Literal

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from servicekit.ids import valid_id
from servicekit.problem import problem_body
from storage_api import wire
from storage_api.flush import flush
from storage_api.openapi import ID_PATTERN, describe
from storage_api.problem_codes import PROBLEM_CODES
from storage_api.routes import TABLE
from storage_api.row import Header, Parameter, Row


class Body(msgspec.Struct):
    """Something that is sent."""

    word: Literal["a", "b"]
    """One of two."""
    more: list[wire.Gap]


ROW = Row(
    method="PUT",
    path="/v1/things/{id}",
    name="thing",
    handler=flush,
    scope="users:admin",
    summary="Put a thing",
    description="In *many* words.",
    parameters=(Parameter("when", str, "A time", required=True),),
    body=Body,
    answers={200: wire.Flushed, 204: None},
    headers={200: {"Tapedeck-Thing": Header("Its name", always=False)}, 404: {"Tapedeck-Not": Header("Why")}},
    codes=("busy",),
)


@pytest.fixture(scope="module")
def described():
    return describe(TABLE, "1.2.3")


@pytest.mark.parametrize("table", [TABLE, [ROW]], ids=["ours", "another"])
def test_it_is_valid(table):
    OpenAPIV31SpecValidator(describe(table, "1.2.3")).validate()


def test_every_route_of_the_api_is_in_it_and_nothing_else(described):
    operations = {
        (method.upper(), path) for path, methods in described["paths"].items() for method in methods
    }
    assert operations == {(row.method, row.path) for row in TABLE if row.path.startswith("/v1/")}


def test_an_operation_says_what_its_row_says():
    described = describe([ROW], "1")
    operation = described["paths"]["/v1/things/{id}"]["put"]
    assert operation["operationId"] == "put_thing"
    assert operation["tags"] == ["things"]
    assert operation["description"] == "In *many* words."
    assert operation["security"] == [{"bearer": ["users:admin"]}]
    names = [
        (parameter["name"], parameter["in"], parameter["required"]) for parameter in operation["parameters"]
    ]
    assert names == [("id", "path", True), ("when", "query", True)]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Body"}
    body = described["components"]["schemas"]["Body"]
    assert body["description"] == "Something that is sent."
    assert body["properties"]["word"] == {"enum": ["a", "b"], "description": "One of two."}
    assert set(operation["responses"]) == {str(status) for status in ROW.statuses}
    assert "content" not in operation["responses"]["204"]
    headers = {status: answer["headers"] for status, answer in operation["responses"].items()}
    assert headers["200"]["Tapedeck-Thing"] == {
        "description": "Its name",
        "required": False,
        "schema": {"type": "string"},
    }
    everywhere = {"X-Request-Id"}
    problem = everywhere | {"Cache-Control", "Content-Length"}
    assert {status: set(told) for status, told in headers.items()} == {
        "200": problem | {"Tapedeck-Thing"},
        "204": everywhere,
        **dict.fromkeys(("400", "403", "408", "413", "500"), problem),
        "401": problem | {"WWW-Authenticate"},
        "404": problem | {"Tapedeck-Not"},
        "503": problem | {"Retry-After"},
    }
    refused = operation["responses"]["503"]["content"]["application/problem+json"]["schema"]
    assert refused["properties"]["code"]["enum"] == ["busy", "unavailable"]


def test_a_body_is_required_but_where_its_absence_means_something(described):
    bodies = {
        path: method["requestBody"]["required"]
        for path, methods in described["paths"].items()
        for method in methods.values()
        if "requestBody" in method
    }
    assert [path for path, required in bodies.items() if not required] == ["/v1/buffers:flush"]
    assert len(bodies) > 1


def test_answers_to_head_have_no_body(described):
    head = described["paths"]["/v1/users/{uid}/conversations/{cid}/audio"]["head"]
    assert not any("content" in answer for answer in head["responses"].values())


def test_a_part_is_for_get_alone(described):
    audio = described["paths"]["/v1/users/{uid}/conversations/{cid}/audio"]
    assert {"206", "416"} <= audio["get"]["responses"].keys()
    assert not {"206", "416"} & audio["head"]["responses"].keys()


def test_fields_say_what_their_docstrings_say(described):
    fields = described["components"]["schemas"]["Conversation"]["properties"]
    assert fields["end"]["description"] == "The moment after the last one."
    assert fields["end"]["format"] == "date-time"


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ("Operation", "created"),
        ("Buffer", "oldest"),
        ("DeadLetter", "buried_at"),
        ("DeadLetter", "start"),
        ("DeadLetter", "retry_asked_at"),
        ("RetryAsked", "retry_asked_at"),
    ],
)
def test_every_time_is_a_date_time(described, schema, field):
    said = described["components"]["schemas"][schema]["properties"][field]
    assert "date-time" in {one.get("format") for one in (said, *said.get("anyOf", ()))}


def test_any_of_several_scopes_is_told_as_such(described):
    said = described["paths"]["/v1/operations/{id}"]["get"]["security"]
    assert said == [{"bearer": ["audio:read"]}, {"bearer": ["audio:write"]}]


def test_two_types_of_one_name_are_refused():
    class Flushed(msgspec.Struct):
        a: int

    other = replace(ROW, path="/v1/others", name="other", answers={200: Flushed})
    with pytest.raises(ValueError, match="Flushed"):
        describe([ROW, other], "1")


@pytest.mark.parametrize(
    "text", ["a", "0", "A0._@-", "x" * 128, "x" * 129, "", ".a", "-a", "a/b", "ä", "a b"]
)
def test_ids_are_what_the_door_takes_for_ids(text):
    import re  # noqa: PLC0415

    assert (re.match(ID_PATTERN, text) is not None) == valid_id(text)


def test_problems_are_what_the_description_says():
    printed = problem_body(400, "bad_parameter", "no", {"parameter": "start"})
    assert msgspec.json.decode(printed, type=wire.Problem).parameter == "start"
    assert set(msgspec.json.decode(printed)) <= set(wire.Problem.__struct_fields__)


def test_every_code_is_somewhere(described):
    used = {code for row in TABLE for code in row.problems}
    # Of operations: they are told in 200.
    told = {"merge_timeout"}
    assert used | told | {"method_not_allowed", "bad_json"} >= PROBLEM_CODES.keys()


async def test_it_is_served_without_a_token(api):
    answer = await api.http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"] == "3.1.0"
    assert answer.json()["paths"].keys() == {row.path for row in TABLE if row.path.startswith("/v1/")}
